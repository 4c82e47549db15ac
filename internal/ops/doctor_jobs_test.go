package ops

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDoctorMendsJobsOfMixedState takes the doctor at its word: every state, with and
// without the time of its end, before and after what it says to run.
func TestDoctorMendsJobsOfMixedState(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const ended = "state IN ('cancelled', 'completed', 'discarded')"
	f.exec(`INSERT INTO waybill.river_job (kind, queue, priority, max_attempts, args, state, finalized_at)
		SELECT 'bundle', 'analytics', priority, 32767, '{"bundle_ids": []}', state, finalized_at
		FROM unnest(enum_range(NULL::waybill.river_job_state)) AS state, generate_series(1, 4) AS priority,
			unnest(ARRAY[NULL, '2026-01-02T03:04:05Z'::timestamptz]) AS finalized_at`)
	sound := all[int64](f, "SELECT id FROM waybill.river_job WHERE (finalized_at IS NOT NULL) = ("+ended+")")
	const rows = "SELECT string_agg(t::text, ' ' ORDER BY id) FROM waybill.river_job AS t WHERE id = ANY ($1)"
	before := one[string](f, rows, sound)

	find := func() Finding {
		for _, finding := range doctor(t, f.db.URL).Examine(t.Context()) {
			if finding.Check == "job_states" {
				return finding
			}
		}
		require.Fail(t, "no such check")
		return Finding{}
	}
	finding := find()
	require.Equal(t, Warn, finding.Level)
	require.Equal(t, "12 ended jobs without finalized_at, which nothing ever removes; 20 waiting or running jobs with finalized_at, taken for ended", finding.Says)

	tag, err := f.pool.Exec(t.Context(), finding.Fix)
	require.NoError(t, err)
	require.Equal(t, int64(12+20), tag.RowsAffected(), "those and no others")
	require.Equal(t, before, one[string](f, rows, sound))
	require.Equal(t, OK, find().Level)
}

// TestTheDoctorLooksAtJobsByIndex, because a queue in trouble holds millions of them.
func TestTheDoctorLooksAtJobsByIndex(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(`INSERT INTO waybill.river_job (kind, queue, priority, max_attempts, args, state, finalized_at)
		SELECT 'bundle', 'analytics', 1, 32767, '{}', 'completed', now() FROM generate_series(1, 3000)`)
	f.exec("ANALYZE waybill.river_job")
	tx, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), query("by_index"))
	require.NoError(t, err)
	rows, err := tx.Query(t.Context(), "EXPLAIN "+query("doctor_job_states"), Most)
	require.NoError(t, err)
	var plan string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		plan += line + "\n"
	}
	require.NoError(t, rows.Err())
	require.Equal(t, 2, strings.Count(plan, "waybill_job_state"), plan)
	require.Contains(t, plan, "(finalized_at IS NULL)", "and reads none of the many that have it")
	require.NotContains(t, plan, "Seq Scan on river_job")
}

func TestJudgeJobStates(t *testing.T) {
	t.Parallel()
	require.Equal(t, OK, judgeJobStates(mixedStates{})[0].Level)
	require.Contains(t, judgeJobStates(mixedStates{EndedUndated: Most})[0].Says, "100,000+ ended jobs")
	require.NotContains(t, judgeJobStates(mixedStates{EndedUndated: Most - 1})[0].Says, "+")
	require.Contains(t, judgeJobStates(mixedStates{DatedUnended: Most})[0].Says, "100,000+ waiting or running jobs")
}
