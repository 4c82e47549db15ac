//go:build unix

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/nemesis"
)

// workerDir is where the worker is built; TestMain removes it.
var workerDir string

// workerBinary builds the worker once for all tests that run it.
var workerBinary = sync.OnceValues(func() (path string, err error) {
	if workerDir, err = os.MkdirTemp("", "waybill-chaos-test-"); err != nil {
		return "", err
	}
	return BuildWorker(context.Background(), workerDir)
})

// openTestHouse has so many workers and a villain.
func openTestHouse(t *testing.T, workers int) (*house, *villain) {
	t.Helper()
	o := Options{Seed: 1, Workers: workers}
	if workers > 0 {
		var err error
		o.Worker, err = workerBinary()
		require.NoError(t, err)
	}
	h, err := openHouse(t.Context(), o, t.TempDir(), time.Now())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.close()) })
	return h, &villain{house: h, start: time.Now(), skipped: map[nemesis.Kind]string{}}
}

// application is a connection as a producer has it, through the producers' link.
func application(t *testing.T, h *house) *pgx.Conn {
	t.Helper()
	h.dice = nil
	way, err := h.openLink(t.Context(), nil)
	require.NoError(t, err)
	var conn *pgx.Conn
	require.NoError(t, patiently(t.Context(), func(ctx context.Context) error {
		conn, err = pgx.Connect(ctx, h.urlThrough(way, "chaos_app", "test"))
		return err
	}))
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func enqueueMany(ctx context.Context, conn *pgx.Conn, name string, n int) error {
	_, err := conn.Exec(ctx, `SELECT waybill.enqueue(jsonb_agg(jsonb_build_object('key', $1 || ':' || n, 'user_id', 'u',
		'track', jsonb_build_object('event', 'Done', 'properties', jsonb_build_object('padding', repeat('x', 800)))))) FROM generate_series(1, $2::int) AS n`, name, n)
	return err
}

func bundles(t *testing.T, h *house) (n int) {
	t.Helper()
	require.NoError(t, patiently(t.Context(), func(ctx context.Context) error {
		return h.referee.pool.QueryRow(ctx, "SELECT count(*) FROM waybill.bundle").Scan(&n)
	}))
	return n
}

const most = 500 // bundles: more than fits into what the tables have at first

func TestAFullDiskRefusesProducersAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.library == nil {
		require.NotEmpty(t, h.noFaults.needs)
		return
	}
	conn := application(t, h)
	require.NoError(t, enqueueMany(t.Context(), conn, "before", most))
	var refused *pgconn.PgError
	require.NoError(t, v.fill(1, func() {
		require.ErrorAs(t, enqueueMany(t.Context(), conn, "meanwhile", most), &refused)
	}))
	require.Equal(t, "53100", refused.Code, "disk_full")
	require.NoError(t, enqueueMany(t.Context(), conn, "after", most))
	require.Equal(t, 2*most, bundles(t, h))
}

func TestAFullLogIsSurvived(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.library == nil {
		return
	}
	require.NoError(t, enqueueMany(t.Context(), application(t, h), "before", most))
	require.NoError(t, v.harmPostgres(t.Context(), nemesis.Step{Kind: nemesis.LogFull, For: 500 * time.Millisecond}))
	log, err := os.ReadFile(filepath.Join(filepath.Dir(h.server.DataDir()), "postgres.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "PANIC")
	require.NoError(t, enqueueMany(t.Context(), application(t, h), "after", most))
	require.Equal(t, 2*most, bundles(t, h))
}

func TestTheClockGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.library == nil {
		return
	}
	shown := func() (at time.Time) {
		require.NoError(t, h.referee.pool.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&at))
		return at
	}
	for kind, ahead := range map[nemesis.Kind]time.Duration{nemesis.ClockAhead: 2 * time.Hour, nemesis.ClockBehind: -2 * time.Hour} {
		ended := make(chan error, 1)
		go func() { ended <- v.harmPostgres(t.Context(), nemesis.Step{Kind: kind, For: time.Second}) }()
		require.Eventually(t, func() bool { return time.Until(shown()).Round(time.Minute) == ahead }, 10*time.Second, 10*time.Millisecond, kind)
		away := shown()
		require.WithinDuration(t, time.Now(), h.clock.here(away), time.Second, kind)
		require.NoError(t, <-ended)
		require.WithinDuration(t, time.Now(), shown(), time.Second, kind)
		require.WithinDuration(t, time.Now(), h.clock.here(away), 5*time.Second, kind)
	}
}

func TestADailyQuotaEndsTomorrow(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.library == nil {
		return
	}
	require.NoError(t, v.provoke(t.Context(), nemesis.Step{Kind: nemesis.Quota, For: time.Millisecond}))
	var shown time.Time
	require.NoError(t, h.referee.pool.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&shown))
	require.Equal(t, time.Now().UTC().AddDate(0, 0, 1).Day(), shown.UTC().Day())
	require.Len(t, rules(nemesis.Step{Kind: nemesis.Quota}), 2)
}

// What was confirmed is on the standby, which refuses writes before it is promoted, and
// everybody finds it where the primary was.
func TestAStandbyTakesOver(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.server.Command("pg_basebackup") == nil {
		return
	}
	h.burden.snapshot, h.burden.idle = true, 2
	require.NoError(t, h.burden.take(t.Context(), h.current.URL()))
	require.NoError(t, enqueueMany(t.Context(), application(t, h), "before", most))
	for range 2 { // a standby of a standby, too
		primary := h.current
		const lasts = time.Second
		ended := make(chan error, 1)
		go func() { ended <- v.harmPostgres(t.Context(), nemesis.Step{Kind: nemesis.Failover, For: lasts}) }()
		refusals := 0
		for ctx := t.Context(); refusals == 0 && ctx.Err() == nil; {
			_, err := h.referee.pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS chaos.written ()")
			var refused *pgconn.PgError
			if errors.As(err, &refused) && refused.Code == "25006" { // read_only_sql_transaction
				refusals++
			}
		}
		require.NoError(t, <-ended)
		require.NotEqual(t, primary.DataDir(), h.current.DataDir())
		require.Zero(t, primary.PID())
		require.Equal(t, most, bundles(t, h))
		_, err := h.referee.pool.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS chaos.written ()")
		require.NoError(t, err, "it takes writes")
		require.NoError(t, h.burden.conns[0].Ping(t.Context()), "and others have taken again what they held")
		require.Len(t, h.burden.conns, 3)
	}
	require.NoError(t, v.harmPostgres(t.Context(), nemesis.Step{Kind: nemesis.PostgresCrash}), "it can crash like any other")
	require.Equal(t, most, bundles(t, h))
}

// Otherwise what was confirmed might be lost with the primary.
func TestACommitWaitsForTheStandby(t *testing.T) {
	t.Parallel()
	h, _ := openTestHouse(t, 0)
	if h.server.Command("pg_basebackup") == nil {
		return
	}
	conn := application(t, h)
	s, err := h.openStandby(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Halt(false))
	committed := make(chan error, 1)
	go func() { committed <- enqueueMany(context.WithoutCancel(t.Context()), conn, "waiting", 1) }()
	require.Eventually(t, func() bool {
		var waiting int
		err := h.referee.pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&waiting)
		return err == nil && waiting == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.Empty(t, committed)
	require.NoError(t, s.Resume(t.Context()))
	require.NoError(t, <-committed)
}

func TestANeighbourLivesInTheSameDatabase(t *testing.T) {
	t.Parallel()
	h, _ := openTestHouse(t, 0)
	n, err := openNeighbour(t.Context(), h.ownURL(h.commits))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.inserted.Load() > 2 }, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		var worked int
		err := h.referee.pool.QueryRow(t.Context(), "SELECT count(*) FROM public.river_job WHERE state = 'completed'").Scan(&worked)
		return err == nil && worked > 0
	}, 20*time.Second, 10*time.Millisecond)
	found, err := n.end(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, found.Left, found.Inserted)
	require.Positive(t, found.Worked)
	require.Zero(t, found.GivenUp)
}

// A leader that does not know our jobs discards those that run, and the sweep brings
// their bundles back when nobody remembers them.
func TestAForeignLeaderDiscardsAndTheSweepBringsBack(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 2)
	conn := application(t, h)
	require.NoError(t, enqueueMany(t.Context(), conn, "before", 20))
	require.False(t, h.drain(t.Context(), time.Minute).IsZero())
	go func() {
		for i := range 20 {
			_ = enqueueMany(context.WithoutCancel(t.Context()), conn, fmt.Sprintf("meanwhile-%d", i), 1)
		}
	}()
	require.NoError(t, v.harm(t.Context(), nemesis.Step{Kind: nemesis.Usurper, For: 4 * time.Second}))
	require.True(t, h.usurped)
	discarded, err := h.referee.discarded(t.Context())
	require.NoError(t, err)
	require.Positive(t, discarded)
	require.False(t, h.drain(t.Context(), time.Minute).IsZero(), "all of them are delivered")
	var undelivered int
	require.NoError(t, h.referee.pool.QueryRow(t.Context(),
		"SELECT count(*) FROM waybill.bundle AS b LEFT JOIN waybill.delivery AS d ON d.bundle_id = b.id WHERE d.outcome IS DISTINCT FROM 'delivered'").Scan(&undelivered))
	require.Zero(t, undelivered)
	require.Len(t, h.fleet.kills, 2, "all workers were killed")
}

func TestTheLeaderIsTheOneThatIsKilled(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 2)
	var leader string
	require.Eventually(t, func() bool {
		var err error
		leader, err = h.referee.leader(t.Context())
		return err == nil && leader != ""
	}, 30*time.Second, 20*time.Millisecond)
	var name string
	var another uint64
	for i, w := range h.fleet.running() {
		if w.id == leader {
			name = w.name
		} else {
			another = uint64(i)
		}
	}
	require.NoError(t, v.harm(t.Context(), nemesis.Step{Kind: nemesis.KillLeader, For: time.Millisecond, Pick: another}))
	require.Len(t, h.fleet.kills, 1)
	require.Equal(t, name, h.fleet.kills[0].Worker)
	require.Len(t, h.fleet.running(), 2)
}

func TestAPreviousVersionWorksBesideTheOthers(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 1)
	step := nemesis.Step{Kind: nemesis.OldWorker, For: time.Millisecond}
	h.previous = Previous{Needs: "a checkout with its history"}
	v.do(t.Context(), step)
	require.Equal(t, map[nemesis.Kind]string{nemesis.OldWorker: "a checkout with its history"}, v.skipped)
	require.Empty(t, v.bands, "what was not done is not shown")

	refusing := filepath.Join(t.TempDir(), "refusing")
	require.NoError(t, os.WriteFile(refusing, []byte("#!/bin/sh\nexit 4\n"), 0o700))
	h.previous = Previous{Path: refusing, Name: "v0"}
	v.do(t.Context(), step)
	require.Contains(t, v.skipped[nemesis.OldWorker], "it refuses this one with exit code 4")
	require.Empty(t, v.bands)

	h.previous = Previous{Path: h.binary, Name: "v0"}
	v.do(t.Context(), step)
	require.NoError(t, v.failed())
	require.Len(t, v.bands, 1)
	require.Len(t, h.fleet.stops, 1)
	require.Zero(t, h.fleet.stops[0].Code)
	require.Len(t, h.fleet.running(), 1)
}

func TestWhatAMachineLacksIsSaid(t *testing.T) {
	t.Parallel()
	h, v := openTestHouse(t, 0)
	if h.library != nil {
		require.NoError(t, h.library.Close())
	}
	h.library, h.noFaults = nil, unavailable{"a C compiler (cc)"}
	for _, kind := range []nemesis.Kind{nemesis.DiskFull, nemesis.LogFull, nemesis.ClockAhead, nemesis.ClockBehind} {
		require.ErrorIs(t, v.harmPostgres(t.Context(), nemesis.Step{Kind: kind}), h.noFaults, kind)
	}
	require.ErrorIs(t, v.provoke(t.Context(), nemesis.Step{Kind: nemesis.Quota}), h.noFaults)
	r := Result{Schedule: nemesis.Schedule{Clock: time.Hour}, Skipped: map[nemesis.Kind]string{}}
	require.NoError(t, h.load(t.Context(), &r))
	require.Equal(t, map[nemesis.Kind]string{nemesis.ClockOff: "a C compiler (cc)"}, r.Skipped)
	require.Zero(t, r.Schedule.Clock)
}

func TestPoisonIsInEveryBatchWhileItLasts(t *testing.T) {
	t.Parallel()
	share := func(on bool) (n int) {
		a := author{random: newRandom(1, 0), poisoned: func() bool { return on }}
		for range 1000 {
			if a.next(time.Now()).Poison != "" {
				n++
			}
		}
		return n
	}
	require.InDelta(t, 1000/poisonShare, share(false), 10)
	require.InDelta(t, 1000/poisonedShare, share(true), 30)
}
