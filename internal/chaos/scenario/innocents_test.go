//go:build unix

package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/nemesis"
)

func TestWhatWasRejectedWithEverythingIsBroughtBack(t *testing.T) {
	t.Parallel()
	h, _ := openTestHouse(t, 1)
	keys, err := h.bringBack(t.Context(), time.Minute)
	require.NoError(t, err)
	require.Empty(t, keys)

	require.NoError(t, enqueueMany(t.Context(), application(t, h), "act", 3))
	require.False(t, h.drain(t.Context(), time.Minute).IsZero())
	_, err = h.referee.pool.Exec(t.Context(), `INSERT INTO chaos.action (key, spec) VALUES ('act:1', '{}'), ('act:2', '{"poison": "named"}'), ('act:3', '{}')`)
	require.NoError(t, err)
	_, err = h.referee.pool.Exec(t.Context(), `UPDATE waybill.delivery SET outcome = 'rejected', at = now() + interval '2 hours'
		WHERE bundle_id IN (SELECT id FROM waybill.bundle WHERE action_key IN ('act:1', 'act:2'))`)
	require.NoError(t, err)

	keys, err = h.bringBack(t.Context(), time.Minute)

	require.NoError(t, err)
	require.Equal(t, []string{"act:1"}, keys)
	var outcomes string
	require.NoError(t, h.referee.pool.QueryRow(t.Context(),
		"SELECT string_agg(d.outcome, ' ' ORDER BY b.action_key) FROM waybill.bundle AS b JOIN waybill.delivery AS d ON d.bundle_id = b.id").Scan(&outcomes))
	require.Equal(t, "delivered rejected delivered", outcomes)
}

func TestRefusalsOfEverythingAreCounted(t *testing.T) {
	t.Parallel()
	require.Equal(t, 3, refusals([]Band{{Kind: nemesis.RefuseAll}, {Kind: nemesis.Outage}, {Kind: nemesis.Pages}, {Kind: nemesis.FirstIndex}, {Kind: nemesis.RefuseAll}}))
}
