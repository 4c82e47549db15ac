package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/ops"
)

func TestRestored(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	enqueue(t, db, "order:1")
	settled(t, db, "order:2", "delivered", "")
	at := time.Now().Add(-8 * 24 * time.Hour).UTC().Truncate(time.Second)
	outcome := func() string {
		return ask[string](t, db, "SELECT coalesce(max(outcome), 'none') FROM waybill.job WHERE action_key = 'order:1'")
	}

	dry := invoke(t, on(db.URL), "restored", "--at", at.Format(time.RFC3339), "--dry-run")
	require.Equal(t, exitOK, dry.code, dry.stderr)
	require.Contains(t, dry.stdout, "1 bundle without an outcome")
	require.Contains(t, dry.stdout, "would be uncertain")
	requireNarrow(t, dry.stdout)
	require.Equal(t, exitUsage, invoke(t, on(db.URL), "restored", "--at", "192h").code, "nobody is there to say yes")
	require.Equal(t, "none", outcome())

	done := invoke(t, on(db.URL), "restored", "--at", at.Format(time.RFC3339), "--yes", "--json")
	require.Equal(t, exitOK, done.code, done.stderr)
	var r ops.Restored
	require.NoError(t, json.Unmarshal([]byte(done.stdout), &r))
	require.True(t, r.Done)
	require.EqualValues(t, 1, r.Bundles)
	require.True(t, at.Equal(r.At))
	require.Equal(t, "uncertain", outcome())

	exec1(t, db, "INSERT INTO waybill.worker (id) VALUES ($1)", "early")
	running := invoke(t, on(db.URL), "restored", "--at", at.Format(time.RFC3339), "--yes")
	require.Equal(t, exitRuntime, running.code)
	require.Contains(t, running.stderr, "stop all workers")
}

func TestRestoredWantsAMomentThatHasBeen(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"--at", "yesterday"}, {"--at", "2999-01-01T00:00:00Z"}, {"--at", "1h", "--yes", "--dry-run"},
	} {
		require.Equal(t, exitUsage, invoke(t, on(unreachable), append([]string{"restored"}, args...)...).code, args)
	}
	help := invoke(t, nil, "restored", "-h")
	require.Equal(t, exitOK, help.code)
	requireNarrow(t, help.stdout)
}
