package jobs

import (
	"fmt"
	"testing"

	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// TestTheVersionsOfAJobStayOnItsPage: the log then holds of each what differs from the one
// before, instead of all of it. That the table grows is how it shows.
func TestTheVersionsOfAJobStayOnItsPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const jobs = 100
	for i := range jobs { // a call each, as applications do
		h.enqueue(t, bought(fmt.Sprintf("order:%08d:completed", i), fmt.Sprintf("user_%08d", i)))
	}
	size := func() int { return ask[int](t, h, "SELECT pg_relation_size('waybill.river_job')") }
	waiting := size()

	claimed, err := claim(t.Context(), h.pool, &riverdriver.JobGetAvailableParams{
		ClientID: "w-ABCDEFGHIJKLMNOP", MaxAttemptedBy: 10, MaxToLock: jobs, Queue: Queue,
	})
	require.NoError(t, err)
	require.Len(t, claimed.Jobs, jobs)
	require.Equal(t, waiting, size(), "fetched")

	// Who fetched it stands behind everything else that stays as it is, and shortens what is
	// written only if each version stores it alike.
	stored := func() int { return ask[int](t, h, "SELECT sum(pg_column_size(attempted_by)) FROM waybill.river_job") }
	fetched := stored()
	h.exec(t, "VACUUM waybill.river_job") // whoever comes to a page tidies it up, unless somebody looks at the database
	h.exec(t, "UPDATE waybill.river_job SET state = 'completed', finalized_at = clock_timestamp()")
	require.Equal(t, waiting, size(), "completed")
	require.Equal(t, fetched, stored())
}

// TestAJobRemembersWhoFetchedItLast, as many as River asks for.
func TestAJobRemembersWhoFetchedItLast(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, bought("k", "u1"))
	for n, want := range []string{"w0", "w0,w1", "w0,w1,w2", "w1,w2,w3", "w2,w3,w4"} {
		_, err := claim(t.Context(), h.pool, &riverdriver.JobGetAvailableParams{
			ClientID: fmt.Sprintf("w%d", n), MaxAttemptedBy: 3, MaxToLock: 1, Queue: Queue,
		})
		require.NoError(t, err)
		require.Equal(t, want, ask[string](t, h, "SELECT array_to_string(attempted_by, ',') FROM waybill.river_job WHERE array_lower(attempted_by, 1) = 1"))
		h.exec(t, "UPDATE waybill.river_job SET state = 'available'")
	}
}
