package ops

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// mixedStates counts jobs whose state and finalized_at disagree, up to Most of a kind. No
// constraint of the table stands between an UPDATE by hand and them.
type mixedStates struct {
	// EndedUndated are ended by state: the cleaner goes by finalized_at and never comes.
	EndedUndated int64
	// DatedUnended are still to run by state: whatever goes by finalized_at takes them for ended.
	DatedUnended int64
}

// datesByState brings finalized_at in line with the state, whichever way they disagree.
const datesByState = `UPDATE waybill.river_job SET finalized_at = CASE WHEN finalized_at IS NULL THEN now() END ` +
	`WHERE (finalized_at IS NULL) = (state IN ('cancelled', 'completed', 'discarded'))`

func (e *examination) checkJobStates(ctx context.Context) ([]Finding, error) {
	var mixed mixedStates
	err := inTime(ctx, e.conn, statusTimeout, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, query("by_index")); err != nil {
			return err
		}
		return tx.QueryRow(ctx, query("doctor_job_states"), Most).Scan(&mixed.EndedUndated, &mixed.DatedUnended)
	})
	switch {
	case isDenied(err):
		return ok("role %s may not look at jobs; a worker's may", e.server.Role), nil
	case err != nil:
		return nil, err
	}
	return judgeJobStates(mixed), nil
}

func judgeJobStates(m mixedStates) []Finding {
	var says []string
	if m.EndedUndated > 0 {
		says = append(says, plural(m.EndedUndated, m.EndedUndated >= Most, "ended job")+" without finalized_at, which nothing ever removes")
	}
	if m.DatedUnended > 0 {
		says = append(says, plural(m.DatedUnended, m.DatedUnended >= Most, "waiting or running job")+" with finalized_at, taken for ended")
	}
	if says == nil {
		return ok("ended jobs have finalized_at, and no others")
	}
	return warn(datesByState, "%s", strings.Join(says, "; "))
}
