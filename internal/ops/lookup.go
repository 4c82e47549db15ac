package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrUnknown is wrapped by Lookup when no bundle was ever enqueued under the key.
var ErrUnknown = errors.New("no bundle has this action key")

// OutcomeQueued is what Lookup calls the outcome of a bundle that has none yet.
const OutcomeQueued = "queued"

// Bundle is the fate of one action: the answer to "did this go out?".
type Bundle struct {
	ID         int64      `json:"bundle_id"`
	ActionKey  string     `json:"action_key"`
	Event      *string    `json:"event"`
	UserID     *string    `json:"user_id"`
	OccurredAt time.Time  `json:"occurred_at"`
	EnqueuedAt time.Time  `json:"enqueued_at"`
	Outcome    string     `json:"outcome"` // queued, in_doubt, delivered, rejected, skipped, uncertain
	Reason     *string    `json:"reason"`
	SettledAt  *time.Time `json:"settled_at"` // when the outcome was recorded
	DoubtSince *time.Time `json:"doubt_since"`
	JobID      *int64     `json:"job_id"`
	JobState   *string    `json:"job_state"` // nil once River has removed the job
	Attempts   int        `json:"attempts"`
	NextAt     *time.Time `json:"next_at"` // when the job is due, or was
	LastError  *string    `json:"last_error"`
	HasPayload bool       `json:"has_payload"`
	At         time.Time  `json:"at"` // of this answer, by the database's clock
	// Replaced are the outcomes that somebody replaced, newest first.
	Replaced []Replaced `json:"replaced"`
	// Violations are what the tracking plan had against it.
	Violations []Objection `json:"violations"`
}

// Replaced is an outcome that retry or resolve took back.
type Replaced struct {
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason"`
	At         time.Time `json:"at"`
	ReplacedAt time.Time `json:"replaced_at"`
	By         string    `json:"replaced_by"` // the database login
	How        string    `json:"replaced_how"`
}

// Lookup finds the bundle of an action key, however many there are. The error wraps
// ErrUnknown when there is none.
func Lookup(ctx context.Context, db DB, key string) (Bundle, error) {
	var b Bundle
	err := inTime(ctx, db, statusTimeout, func(tx pgx.Tx) error {
		var outcome *string
		err := tx.QueryRow(ctx, query("lookup"), key).Scan(&b.ID, &b.ActionKey, &b.Event, &b.UserID, &b.OccurredAt,
			&b.EnqueuedAt, &outcome, &b.Reason, &b.SettledAt, &b.DoubtSince, &b.JobID, &b.JobState, &b.Attempts,
			&b.NextAt, &b.LastError, &b.HasPayload, &b.At)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		b.Outcome = OutcomeQueued
		if outcome != nil {
			b.Outcome = *outcome
		}
		rows, err := tx.Query(ctx, query("replaced"), b.ID)
		if err != nil {
			return err
		}
		if b.Replaced, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Replaced]); err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, query("violations_of"), b.ID); err != nil {
			return err
		}
		b.Violations, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Objection])
		return err
	})
	if err != nil {
		return Bundle{}, fmt.Errorf("look up %q: %w", key, err)
	}
	return b, nil
}
