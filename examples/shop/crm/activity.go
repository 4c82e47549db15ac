package crm

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
	"waybill"
)

// Activity is what a member did in the CRM: too small and too often for an event each.
type Activity struct {
	Calls, Notes, Tasks, Fields int
}

// bucketLength is the time that one event sums up.
const bucketLength = time.Hour

// Did adds to what the member did, in the caller's transaction: what is rolled back
// was never done, and a crash loses nothing. It is counted in the hour of at, or in the
// next one whose event has not been made yet.
func (c CRM) Did(ctx context.Context, tx pgx.Tx, by Member, at time.Time, a Activity) error {
	for bucket := at.UTC().Truncate(bucketLength); ; bucket = bucket.Add(bucketLength) {
		added, err := tx.Exec(ctx, `
			INSERT INTO activity AS a (account_id, workspace_id, user_id, bucket, calls, notes, tasks, fields)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (workspace_id, user_id, bucket) DO UPDATE SET
				calls = a.calls + excluded.calls,
				notes = a.notes + excluded.notes,
				tasks = a.tasks + excluded.tasks,
				fields = a.fields + excluded.fields
			WHERE a.summarized_at IS NULL`,
			by.Account, by.Workspace, by.User, bucket, a.Calls, a.Notes, a.Tasks, a.Fields)
		if err != nil || added.RowsAffected() == 1 {
			return err
		}
	}
}

// summary is a bucket that is over.
type summary struct {
	Member
	Bucket time.Time
	Activity
}

// Summarize makes one event of every bucket that was over by now, and returns how many.
// Any number of processes may call it, as often as they like.
func (c CRM) Summarize(ctx context.Context, tx pgx.Tx, now time.Time) (int, error) {
	rows, err := tx.Query(ctx, `
		UPDATE activity SET summarized_at = clock_timestamp()
		WHERE summarized_at IS NULL AND bucket <= $1
		RETURNING user_id, account_id, workspace_id, bucket, calls, notes, tasks, fields`, now.Add(-bucketLength))
	if err != nil {
		return 0, err
	}
	over, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s summary, err error) {
		return s, row.Scan(&s.User, &s.Account, &s.Workspace, &s.Bucket, &s.Calls, &s.Notes, &s.Tasks, &s.Fields)
	})
	for _, s := range over {
		err = errors.Join(err, c.track(ctx, tx, s.Member, s.event()))
	}
	return len(over), err
}

func (s summary) event() waybill.Trackable {
	return events.CRMActivitySummarized(s.in(), s.User, s.Bucket).
		Calls(s.Calls).Notes(s.Notes).Tasks(s.Tasks).Fields(s.Fields).
		At(s.Bucket.Add(bucketLength))
}
