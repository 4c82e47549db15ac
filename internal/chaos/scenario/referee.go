package scenario

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/checker"
)

//go:embed sql/schema.sql
var schemaSQL string

//go:embed sql/logins.sql
var loginsSQL string

//go:embed sql/actions.sql
var actionsSQL string

//go:embed sql/ledger.sql
var ledgerSQL string

//go:embed sql/held.sql
var heldSQL string

//go:embed sql/standing.sql
var standingSQL string

//go:embed sql/terminate.sql
var terminateSQL string

//go:embed sql/backends.sql
var backendsSQL string

//go:embed sql/lock_delivery.sql
var lockDeliverySQL string

//go:embed sql/lock_jobs.sql
var lockJobsSQL string

//go:embed sql/recording.sql
var recordingSQL string

//go:embed sql/followed.sql
var followedSQL string

//go:embed sql/settings.sql
var settingsSQL string

//go:embed sql/switch_wal.sql
var switchWALSQL string

//go:embed sql/leader.sql
var leaderSQL string

//go:embed sql/neighbour.sql
var neighbourSQL string

//go:embed sql/discarded.sql
var discardedSQL string

// referee looks at the database from outside of the run.
type referee struct{ pool *pgxpool.Pool }

// standing is how far the queue has come.
type standing struct {
	Settled, Waiting int // bundles
	Left             int // jobs and requests
}

func (r referee) standing(ctx context.Context) (s standing, err error) {
	return s, r.pool.QueryRow(ctx, standingSQL).Scan(&s.Settled, &s.Waiting, &s.Left)
}

// held is what a worker has in hand.
func (r referee) held(ctx context.Context, worker string) ([]int64, error) {
	rows, err := r.pool.Query(ctx, heldSQL, worker)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

func (r referee) workers(ctx context.Context) ([]string, error) {
	rows, err := r.pool.Query(ctx, "SELECT id FROM waybill.worker")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// endBackends ends what still waits of a program that is gone, and counts the
// connections that the server keeps for it.
func (r referee) endBackends(ctx context.Context, program string) (n int, err error) {
	return n, r.pool.QueryRow(ctx, backendsSQL, program).Scan(&n)
}

// recording counts the statements of a program that wait to record an answer.
func (r referee) recording(ctx context.Context, program string) (n int, err error) {
	return n, r.pool.QueryRow(ctx, recordingSQL, program).Scan(&n)
}

// leader is the id of the worker that does River's housekeeping, "" for none.
func (r referee) leader(ctx context.Context) (id string, err error) {
	return id, r.pool.QueryRow(ctx, leaderSQL).Scan(&id)
}

// seat unseats whoever else leads: an election that only one candidate can win.
func (r referee) seat(ctx context.Context, candidate string) error {
	_, err := r.pool.Exec(ctx, "DELETE FROM waybill.river_leader WHERE leader_id <> $1", candidate)
	return err
}

// discarded counts the jobs of ours that a foreign leader gave up.
func (r referee) discarded(ctx context.Context) (n int, err error) {
	return n, r.pool.QueryRow(ctx, discardedSQL).Scan(&n)
}

// settings are what the server was told on its command line, by name.
func (r referee) settings(ctx context.Context) (map[string]string, error) {
	rows, err := r.pool.Query(ctx, settingsSQL)
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		settings[name] = value
		return nil
	})
	return settings, err
}

// alter changes a setting of the server, with a statement that ALTER SYSTEM begins.
func (r referee) alter(ctx context.Context, statement string) error {
	if _, err := r.pool.Exec(ctx, statement); err != nil {
		return err
	}
	_, err := r.pool.Exec(ctx, "SELECT pg_reload_conf()")
	return err
}

// follow makes every COMMIT wait for the standby, and fails while the standby lacks one
// that did not.
func (r referee) follow(ctx context.Context) error {
	if err := r.alter(ctx, "ALTER SYSTEM SET synchronous_standby_names = '*'"); err != nil {
		return err
	}
	var standbys int
	err := r.pool.QueryRow(ctx, followedSQL).Scan(&standbys)
	if err == nil && standbys == 0 {
		err = errors.New("the standby does not follow yet")
	}
	return err
}

// collect reads what the database and Amplitude say at the end.
func collect(ctx context.Context, pool *pgxpool.Pool, fake *amplitudetest.Fake, e *checker.Evidence) error {
	if err := pool.QueryRow(ctx, "SELECT id FROM waybill.install").Scan(&e.Install); err != nil {
		return fmt.Errorf("read the install id: %w", err)
	}
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM waybill.request").Scan(&e.Requests); err != nil {
		return fmt.Errorf("count open requests: %w", err)
	}
	rows, err := pool.Query(ctx, actionsSQL)
	if err == nil {
		var spec []byte
		_, err = pgx.ForEachRow(rows, []any{&spec}, func() error {
			var a checker.Action
			e.Actions = append(e.Actions, a)
			return json.Unmarshal(spec, &e.Actions[len(e.Actions)-1])
		})
	}
	if err != nil {
		return fmt.Errorf("read the business table: %w", err)
	}
	rows, err = pool.Query(ctx, ledgerSQL)
	if err == nil {
		e.Ledger, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (b checker.Bundle, err error) {
			return b, row.Scan(&b.ID, &b.Key, &b.OccurredAt, &b.Outcome, &b.Reason, &b.SettledAt, &b.InDoubt, &b.JobState, &b.Attempts)
		})
	}
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	ask(fake, e)
	return nil
}

// ask reads what Amplitude took, and what it knows of everybody in the business table.
func ask(fake *amplitudetest.Fake, e *checker.Evidence) {
	for _, taken := range fake.Events(amplitudetest.Filter{}) {
		e.Taken = append(e.Taken, checker.Taken{
			InsertID: taken.InsertID, Type: taken.Type, EventID: taken.EventID, Request: taken.Request,
			UserProperties: taken.UserProperties,
		})
	}
	e.Users, e.Groups = map[string]map[string]any{}, map[checker.GroupID]map[string]any{}
	for _, a := range e.Actions {
		id, known := a.User, a.User
		if id == "" {
			id, known = a.Device, "device:"+a.Device // the fake's name of somebody anonymous
		}
		if _, asked := e.Users[id]; !asked {
			user, _ := fake.User(known)
			e.Users[id] = user.Properties
		}
		for _, g := range a.Groups {
			id := checker.GroupID{Type: g.Type, ID: g.ID}
			if _, known := e.Groups[id]; !known {
				e.Groups[id], _ = fake.Group(g.Type, g.ID)
			}
		}
	}
}

// patiently repeats a question while the database is away, for a while.
func patiently(ctx context.Context, ask func(context.Context) error) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(reconnect):
		}
	}
}
