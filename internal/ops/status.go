package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Report is a status with where it was asked, and what a worker with the environment of
// whoever asked would do.
type Report struct {
	Database    string      `json:"database"` // without the password
	Environment Environment `json:"environment"`
	Status
}

// Environment is a settings.Decision without anything secret.
type Environment struct {
	Mode        string `json:"mode"`
	Destination string `json:"destination"`
	Reason      string `json:"reason"`
}

// Most is how far counts go in what a person reads; beyond it they are "100,000+".
const Most = 100_000

// Status is the state of a queue at one moment, by the clock of the database. Every
// count stops at the `most` given to ReadStatus and is marked as capped when it did.
type Status struct {
	At          time.Time    `json:"at"`
	Queue       Queue        `json:"queue"`
	LastMinute  Throughput   `json:"last_minute"`
	LastHour    Throughput   `json:"last_hour"`
	DeadLetters []DeadLetter `json:"dead_letters"`
	InDoubt     InDoubt      `json:"in_doubt"`
	Parked      Parked       `json:"parked"`
	Violations  []Violation  `json:"violations"` // of the tracking plan, in the last day
	Workers     []Worker     `json:"workers"`
}

// Queue is what has not got an outcome yet.
type Queue struct {
	// Bundles wait in Jobs jobs: those that are not yet completed, cancelled or discarded.
	Bundles int64 `json:"bundles"`
	Jobs    int64 `json:"jobs"`
	Capped  bool  `json:"capped"`
	// Oldest is when the longest waiting of them came into the queue; nil if it is empty.
	Oldest *time.Time `json:"oldest"`
	// PausedAt is set while somebody has paused River's queue: nothing is fetched.
	PausedAt *time.Time `json:"paused_at"`
	States   []Depth    `json:"states"`
}

// Depth is the part of the queue in one of River's states.
type Depth struct {
	State   string     `json:"state"`
	Jobs    int64      `json:"jobs"`
	Bundles int64      `json:"bundles"`
	Oldest  *time.Time `json:"oldest"`
	Capped  bool       `json:"capped"`
}

// ended says that River will not touch such a job again, though it was not completed.
func (d Depth) ended() bool { return d.State == "cancelled" || d.State == "discarded" }

// Throughput is what was settled since a moment.
type Throughput struct {
	Settled   int64 `json:"settled"`
	Delivered int64 `json:"delivered"`
	// Since is later than asked for when Capped: the count ended there.
	Since  time.Time `json:"since"`
	Capped bool      `json:"capped"`
}

// PerSecond is the rate of settled bundles up to now.
func (t Throughput) PerSecond(now time.Time) float64 {
	seconds := now.Sub(t.Since).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(t.Settled) / seconds
}

// DeadLetter is the bundles with one outcome (rejected, skipped, uncertain) and reason.
type DeadLetter struct {
	Outcome  string    `json:"outcome"`
	Reason   string    `json:"reason"`
	Bundles  int64     `json:"bundles"`
	LastHour int64     `json:"last_hour"`
	Oldest   time.Time `json:"oldest"`
	Newest   time.Time `json:"newest"`
	// Capped says that the outcome has older bundles than those counted.
	Capped bool `json:"capped"`
}

// InDoubt is the bundles that may have been accepted and are still due.
type InDoubt struct {
	Bundles int64      `json:"bundles"`
	Oldest  *time.Time `json:"oldest"` // when the first of those attempts began
	Capped  bool       `json:"capped"`
}

// Parked is the users and groups that Amplitude asked to leave alone for a while.
type Parked struct {
	Identities int64      `json:"identities"`
	Until      *time.Time `json:"until"` // the last of them
	Capped     bool       `json:"capped"`
}

// Worker is the heartbeat of one worker and what it says of itself.
type Worker struct {
	ID        string          `json:"id"`
	BeatAt    time.Time       `json:"beat_at"`
	StartedAt time.Time       `json:"started_at"`
	About     json.RawMessage `json:"about"`
}

// aliveFor is how old a heartbeat may be; they come every 2 s.
const aliveFor = 10 * time.Second

// Alive says whether the worker beat lately.
func (w Worker) Alive(now time.Time) bool { return now.Sub(w.BeatAt) < aliveFor }

// DeadLetterCount is the number of bundles with an outcome, by the outcome.
func (s Status) DeadLetterCount(outcome string) (bundles, lastHour int64, capped bool) {
	for _, d := range s.DeadLetters {
		if d.Outcome == outcome {
			bundles, lastHour, capped = bundles+d.Bundles, lastHour+d.LastHour, d.Capped
		}
	}
	return bundles, lastHour, capped
}

// AliveWorkers is how many workers beat lately.
func (s Status) AliveWorkers() int {
	n := 0
	for _, w := range s.Workers {
		if w.Alive(s.At) {
			n++
		}
	}
	return n
}

// statusTimeout is the most that reading the status may cost the database.
const statusTimeout = 10 * time.Second

// ReadStatus reads everything in one round trip. The counts go to about `most`.
func ReadStatus(ctx context.Context, db DB, most int) (Status, error) {
	var s Status
	err := inTime(ctx, db, statusTimeout, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(query("clock")).QueryRow(func(row pgx.Row) error { return row.Scan(&s.At) })
		batch.Queue(query("paused")).QueryRow(func(row pgx.Row) error { return row.Scan(&s.Queue.PausedAt) })
		queueRows(&batch, &s.Queue.States, "depth", most)
		queueRow(&batch, &s.LastMinute, "throughput", time.Minute.Seconds(), most)
		queueRow(&batch, &s.LastHour, "throughput", time.Hour.Seconds(), most)
		queueRows(&batch, &s.DeadLetters, "dead_letters", most)
		queueRow(&batch, &s.InDoubt, "in_doubt", most)
		queueRow(&batch, &s.Parked, "parked", most)
		queueRows(&batch, &s.Violations, "violations", violationsSince.Seconds(), most)
		queueRows(&batch, &s.Workers, "workers")
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return Status{}, fmt.Errorf("read the status: %w", err)
	}
	s.Queue.sum()
	return s, nil
}

func (q *Queue) sum() {
	for _, d := range q.States {
		if d.ended() {
			continue
		}
		q.Bundles, q.Jobs, q.Capped = q.Bundles+d.Bundles, q.Jobs+d.Jobs, q.Capped || d.Capped
		if d.Oldest != nil && (q.Oldest == nil || d.Oldest.Before(*q.Oldest)) {
			q.Oldest = d.Oldest
		}
	}
}

// queueRow adds a query of one row whose columns are the fields of T, in order.
func queueRow[T any](batch *pgx.Batch, into *T, name string, args ...any) {
	batch.Queue(query(name), args...).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[T])
		return err
	})
}

func queueRows[T any](batch *pgx.Batch, into *[]T, name string, args ...any) {
	batch.Queue(query(name), args...).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
}

// inTime runs fn in a transaction that only reads, each statement of which the server
// ends after limit.
func inTime(ctx context.Context, db DB, limit time.Duration, fn func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, db, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, query("limit_time"), fmt.Sprint(limit.Milliseconds())); err != nil {
			return err
		}
		return fn(tx)
	})
}
