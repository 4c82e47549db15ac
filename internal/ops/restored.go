package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Restored is what is unknown after a database was restored from a backup.
type Restored struct {
	// At is when the backup was taken, or the point the database was recovered to.
	At time.Time `json:"at"`
	// Bundles have no outcome here, and Amplitude may have taken them since.
	Bundles int64      `json:"bundles"`
	Oldest  *time.Time `json:"oldest"` // when the first of them was enqueued, null for none
	// Forgotten says that Amplitude would not know them any more: they become uncertain.
	// Otherwise they are sent again.
	Forgotten bool `json:"forgotten"`
	// Profiles are users and groups whose traits are told again.
	Profiles int64 `json:"profiles"`
	Done     bool  `json:"done"` // it is marked; false: nothing was changed

	workers int
}

// ErrWorkersRun says that a worker is at work in a database that was just restored.
var ErrWorkersRun = errors.New("a worker has beaten within the last 10 s: stop all workers, wait for 10 s, and say it again before they start; what they have sent meanwhile is sent")

// ReadRestored counts what is unknown, and changes nothing.
func ReadRestored(ctx context.Context, db DB, at time.Time) (Restored, error) {
	r := Restored{At: at.UTC()}
	err := db.QueryRow(ctx, query("restored"), at).Scan(&r.workers, &r.Bundles, &r.Oldest, &r.Forgotten, &r.Profiles)
	if err != nil {
		return r, fmt.Errorf("count what is unknown after the restore: %w", err)
	}
	return r, nil
}

// MarkRestored writes down that the database was restored to a moment, in one statement:
// too early a moment is safe, too late a one is not. It may be said again, with an earlier
// one too. No worker may run; ErrWorkersRun says that one does.
func MarkRestored(ctx context.Context, db DB, at time.Time) (Restored, error) {
	r, err := ReadRestored(ctx, db, at)
	if err != nil {
		return r, err
	}
	if r.workers > 0 {
		return r, ErrWorkersRun
	}
	if err := db.QueryRow(ctx, query("restored_mark"), at).Scan(&r.Bundles, &r.Profiles); err != nil {
		return r, fmt.Errorf("mark what is unknown after the restore: %w", err)
	}
	r.Done = true
	return r, nil
}

// Text writes it for a terminal.
func (r Restored) Text(w io.Writer) error {
	var p page
	would := "would be"
	if r.Done {
		would = "are"
	}
	p.line("%s without an outcome", plural(r.Bundles, false, "bundle"))
	if r.Oldest != nil {
		p.line("  the oldest was enqueued at %s", r.Oldest.UTC().Format(time.RFC3339))
	}
	p.line("  Amplitude may have taken them since %s", r.At.Format(time.RFC3339))
	if r.Forgotten {
		p.line("  and would not know them any more: they %s uncertain;", would)
		p.line("  worker resolve decides")
	} else {
		p.line("  and knows those that it has: they %s sent again, and count once", would)
	}
	p.line("traits of %s %s told again", plural(r.Profiles, false, "profile"), would)
	if r.workers > 0 {
		p.line("a worker is running: stop all workers first")
	}
	return p.writeTo(w)
}
