package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"waybill/internal/jobs"
	"waybill/internal/settings"
	"waybill/migrations"
)

// Readiness is the body of /readyz.
type Readiness struct {
	Status string           `json:"status"` // ready or unready
	Checks []ReadinessCheck `json:"checks"`
}

// ReadinessCheck is one reason to be ready or not.
type ReadinessCheck struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok or fail
	Detail string `json:"detail"`
}

// health decides whether a worker does its work. What it says may be read by anybody
// who can reach the port: it names no host, no user, no bundle.
type health struct {
	decision settings.Decision
	database *memo[struct{}]
	queue    *memo[Status]
	state    func() jobs.State
}

// The database is asked at most once a second, and /readyz answers within 2 s whatever
// the database does.
const (
	probeFresh    = time.Second
	probeTimeout  = 1500 * time.Millisecond
	probePatience = 1700 * time.Millisecond
)

// ErrReadOnly says that a server takes no writes: a standby, or one set to read-only.
var ErrReadOnly = errors.New("the database is read-only: a standby, or default_transaction_read_only is on")

// Probe says whether a worker of this version can work on the database: nil, or an
// error that wraps migrations.ErrPending, migrations.ErrNewer or ErrReadOnly, or says
// why the database cannot be asked.
func Probe(ctx context.Context, db DB) error {
	var readOnly bool
	if err := db.QueryRow(ctx, query("probe")).Scan(&readOnly); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	if readOnly {
		return ErrReadOnly
	}
	return migrations.Check(ctx, db)
}

func (h *health) readiness(ctx context.Context) Readiness {
	checks := []ReadinessCheck{h.mode(ctx), h.databaseCheck(ctx)}
	if h.decision.Mode != settings.ModeHold {
		state := h.state()
		checks = append(checks, heartbeatCheck(state, time.Now()), laneCheck(state.Lane), drainingCheck(state))
	}
	r := Readiness{Status: "ready", Checks: checks}
	for _, c := range checks {
		if c.Status != "ok" {
			r.Status = "unready"
		}
	}
	return r
}

func passed(name, detail string) ReadinessCheck { return ReadinessCheck{name, "ok", detail} }
func failed(name, detail string) ReadinessCheck { return ReadinessCheck{name, "fail", detail} }

func (h *health) mode(ctx context.Context) ReadinessCheck {
	d := h.decision
	if d.Mode != settings.ModeHold {
		return passed("mode", fmt.Sprintf("%s to %s: %s", d.Mode, d.Destination, d.Reason))
	}
	waiting := "how many bundles wait is not known"
	if s, _, err := h.queue.get(ctx); err == nil {
		waiting = plural(s.Queue.Bundles, s.Queue.Capped, "bundle") + " waiting"
	}
	return failed("mode", fmt.Sprintf("hold: %s; %s", d.Reason, waiting))
}

func (h *health) databaseCheck(ctx context.Context) ReadinessCheck {
	_, at, err := h.database.get(ctx)
	switch {
	case err != nil:
		return failed("database", withoutNames(err))
	case time.Since(at) > probeFresh+probePatience:
		return failed("database", fmt.Sprintf("last answered %s ago", span(time.Since(at))))
	}
	return passed("database", fmt.Sprintf("reachable, at step %d", migrations.Version()))
}

// withoutNames says what is wrong with the database without the host, user and database
// that a driver's error quotes.
func withoutNames(err error) string {
	var pgErr *pgconn.PgError
	switch {
	case errors.Is(err, errNoAnswer):
		return "has not answered yet"
	case errors.Is(err, migrations.ErrPending), errors.Is(err, migrations.ErrNewer), errors.Is(err, ErrReadOnly):
		return err.Error()
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return ErrReadOnly.Error()
	case errors.As(err, &pgErr):
		return "refused the question with SQLSTATE " + pgErr.Code
	case errors.Is(err, context.DeadlineExceeded):
		return "did not answer in time"
	}
	return "cannot be reached; the log says more"
}

func heartbeatCheck(s jobs.State, now time.Time) ReadinessCheck {
	const name = "heartbeat"
	switch since := now.Sub(s.LastBeat); {
	case s.LastBeat.IsZero():
		return failed(name, "the loop has not started yet")
	case since > aliveFor:
		return failed(name, fmt.Sprintf("last written %s ago; nothing is sent without it", span(since)))
	default:
		return passed(name, fmt.Sprintf("written %s ago", span(since)))
	}
}

// laneCheck fails for what only a person can mend. An Amplitude that is down does not
// make a worker unready: restarting it would not help.
func laneCheck(l jobs.LaneState) ReadinessCheck {
	const name = "lane"
	if l.Open {
		return passed(name, "open")
	}
	detail := "closed: " + l.Reason
	if l.Detail != "" {
		detail += ": " + l.Detail
	}
	if needsPerson(l.Reason) {
		return failed(name, detail)
	}
	return passed(name, detail+"; it is tried again by itself")
}

// needsPerson says that a lane closed for this reason stays closed until somebody
// changes the configuration.
func needsPerson(reason string) bool { return reason == "key_refused" || reason == "wrong_endpoint" }

func drainingCheck(s jobs.State) ReadinessCheck {
	if s.Draining {
		return failed("draining", "the worker is stopping")
	}
	return passed("draining", "no")
}
