package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// What a backup does not know as delivered is sent again after a restore. Within
// Amplitude's memory that counts nothing twice, whatever River's jobs looked like.
func TestWhatABackupHasNotSeenDeliveredIsKnownToAmplitude(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, bought("queued", "u1"), onPlan("running", "u2", "pro"), bought("completed", "u3"))
	h.exec(t, "CREATE TABLE backup AS TABLE waybill.river_job")
	h.once(t)
	require.Equal(t, 3, h.fake.Stats().Counted)

	// Back to a moment before any of it was recorded.
	h.exec(t, "TRUNCATE waybill.delivery, waybill.profile, waybill.worker")
	h.exec(t, "DELETE FROM waybill.river_job")
	h.exec(t, "INSERT INTO waybill.river_job OVERRIDING SYSTEM VALUE SELECT (b).* FROM (SELECT b FROM backup AS b) AS b")
	h.once(t)

	require.Equal(t, map[string]int{"delivered": 3}, h.ledger(t))
	stats := h.fake.Stats()
	require.Equal(t, 3, stats.Counted)
	require.Zero(t, stats.StoredTwice)
	require.GreaterOrEqual(t, stats.Duplicates, 3)
}

// After a restore Amplitude may know newer traits than the database. Profiles that are
// made a day older are told again with the next bundle; without that they are not.
func TestAfterARestoreTraitsAreToldAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statement, plan string
	}{
		"as it is":               {"SELECT 1", "free"},
		"with the day taken off": {"UPDATE waybill.profile SET sent_at = sent_at - interval '1 day'", "pro"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.enqueue(t, onPlan("before", "u1", "pro"))
			h.once(t)
			h.exec(t, "CREATE TABLE backup AS TABLE waybill.profile")
			h.enqueue(t, onPlan("lost", "u1", "free"))
			h.once(t)

			h.exec(t, "DELETE FROM waybill.profile")
			h.exec(t, "INSERT INTO waybill.profile SELECT (b).* FROM (SELECT b FROM backup AS b) AS b")
			h.exec(t, test.statement)
			h.enqueue(t, onPlan("after", "u1", "pro"))
			h.once(t)

			user, _ := h.fake.User("u1")
			require.Equal(t, test.plan, user.Properties["plan"])
		})
	}
}
