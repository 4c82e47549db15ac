package jobs_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
	"waybill/internal/jobs"
	"waybill/internal/ops"
	"waybill/migrations"
)

// bound is what one execution of a statement may cost, however large the tables are.
type bound struct {
	rows    int    // that any one step of the plan takes from a large table
	buffers int    // pages read, in all
	index   string // that has to be used, "" for any
}

// bounds of what a worker asks, by file and by River's name: all of these have to be
// seen. A flight is at most 1,500 bundles, a page of a walk 5,000, a look ahead 30,000.
var bounds = map[string]bound{
	"load.sql":                 {rows: 1500, buffers: 18_000, index: "bundle_pkey"},
	"look_ahead.sql":           {rows: 30_000, buffers: 160_000, index: "bundle_pkey"},
	"parked.sql":               {rows: 10, buffers: 50, index: "profile_parked"},
	"profiles_lock.sql":        {rows: 4500, buffers: 30_000, index: "profile_pkey"},
	"profiles_known.sql":       {rows: 4500, buffers: 18_000},
	"profiles_lock_free.sql":   {rows: 4500, buffers: 30_000, index: "profile_pkey"},
	"request_open.sql":         {rows: 0, buffers: 200},
	"record_lock.sql":          {rows: 4500, buffers: 18_000, index: "profile_pkey"},
	"record.sql":               {rows: 4500, buffers: 150_000},
	"walk_orphans.sql":         {rows: 5000, buffers: 90_000, index: "bundle_pkey"},
	"walk_jobs.sql":            {rows: 5000, buffers: 80_000, index: "waybill_job_state"},
	"walk_payloads.sql":        {rows: 2000, buffers: 90_000, index: "bundle_pkey"},
	"walk_profiles.sql":        {rows: 2000, buffers: 20_000, index: "profile_pkey"},
	"wake.sql":                 {rows: 5000, buffers: 120_000, index: "waybill_job_due"},
	"unpark.sql":               {rows: 10, buffers: 50, index: "profile_parked"},
	"strays.sql":               {rows: 5000, buffers: 6000, index: "waybill_job_state"},
	"rescue.sql":               {rows: 5000, buffers: 40_000, index: "waybill_job_state"},
	"claim_alone.sql":          {rows: 5000, buffers: 120_000, index: "waybill_job_available"},
	"claim.sql":                {rows: 5000, buffers: 120_000, index: "waybill_job_available"},
	"JobGetAvailable":          {rows: 5000, buffers: 120_000, index: "waybill_job_available"},
	"JobGetStuck":              {rows: 5000, buffers: 20_000, index: "waybill_job_state"},
	"JobSetStateIfRunningMany": {rows: 5000, buffers: 150_000, index: "river_job_pkey"},
}

var (
	// ofFlights holds for our other files.
	ofFlights = bound{rows: 4500, buffers: 90_000}
	// ofOperators holds for everything else: they count to 100,000.
	ofOperators = bound{rows: 2 * ops.Most, buffers: 1_000_000}
)

func boundOf(statement string) bound {
	if b, ok := bounds[statement]; ok {
		return b
	}
	if strings.HasSuffix(statement, ".sql") {
		return ofFlights
	}
	return ofOperators
}

// TestPlansAtAMillionRows runs a worker and an operator's questions on tables of a million
// rows each, and reads the plan of every statement as it was executed there: no large
// table is ever read from end to end, and what a statement touches is bounded. Four
// times: with plans that were made while the tables were empty, as those of a worker are that
// was there before the first bundle; before anybody has run ANALYZE, where only the first is
// asked, because autovacuum follows within a minute; after it; and with plans that do not know
// the parameters, which is what a prepared statement may come to.
func TestPlansAtAMillionRows(t *testing.T) { //nolint:tparallel // the four run in turn
	t.Parallel()
	db := pgtest.New(t)
	fill(t, db, "tables")
	fake := amplitudetest.Start(t, amplitudetest.Config{})
	for _, how := range []struct {
		name, planCache string
		empty, analyze  bool
	}{
		{"plans of empty tables", "force_generic_plan", true, false},
		{"before ANALYZE", "auto", false, false},
		{"after ANALYZE", "auto", false, true},
		{"generic plans", "force_generic_plan", false, false},
	} {
		// In turn: each changes what the next one finds.
		t.Run(how.name, func(t *testing.T) {
			seen := &plans{byStatement: map[string][]plan{}}
			pool := db.Pool(t, func(cfg *pgxpool.Config) { seen.listen(cfg, how.planCache) })
			if how.empty {
				workOnLittle(t, pool, fake.URL, seen)
				fill(t, db, "bundle", "delivery", "river_job", "profile")
				seen.forget()
			}
			if how.analyze {
				_, err := pool.Exec(t.Context(), "ANALYZE")
				require.NoError(t, err)
			}
			work(t, pool, fake.URL, seen)
			seen.judge(t, func(statement string) bool {
				return how.analyze || !how.empty && how.planCache != "auto" || how.empty && slices.Contains(ofEmptyTables, statement)
			})
		})
	}
}

// fill runs files of testdata/million, all at once.
func fill(t *testing.T, db *pgtest.DB, names ...string) {
	t.Helper()
	pool := db.Pool(t)
	group, ctx := errgroup.WithContext(t.Context())
	for _, name := range names {
		group.Go(func() error {
			text, err := os.ReadFile(filepath.Join("testdata", "million", name+".sql"))
			if err != nil {
				return err
			}
			_, err = pool.Exec(ctx, string(text))
			return err
		})
	}
	require.NoError(t, group.Wait())
}

// ofEmptyTables are the statements that workOnLittle has planned.
var ofEmptyTables = []string{
	"load.sql", "parked.sql", "profiles_lock_free.sql", "profiles_prepare.sql", "profiles_seen.sql", "record_lock.sql", "record.sql",
	"claim.sql", "claim_alone.sql", "strays.sql",
}

// workOnLittle has a worker deliver a few bundles, so that connections of the pool have their
// plans of tables that vacuum has found empty.
func workOnLittle(t *testing.T, pool *pgxpool.Pool, endpoint string, seen *plans) {
	t.Helper()
	for _, sql := range []string{"VACUUM ANALYZE", "SELECT setval(c::regclass, 2000000) FROM unnest('{waybill.river_job_id_seq,waybill.bundle_id_seq}'::text[]) AS c"} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	planned, deadline := seen.all(ofEmptyTables...), time.Now().Add(time.Minute)
	stop := deliver(t, pool, endpoint, jobs.NoMeter{})
	defer stop()
	for i := 0; ; i++ {
		select {
		case <-planned:
			return
		default:
		}
		require.Truef(t, time.Now().Before(deadline), "the worker has not asked all of %v in a minute; seen: %v", ofEmptyTables, seen.names())
		_, err := pool.Exec(t.Context(), "SELECT waybill.enqueue($1::text::jsonb)", fmt.Sprintf(
			`{"key": "before %[1]d", "user_id": "before%[2]d", "identify": {"set": {"n": %[1]d}}, "groups": [{"type": "account", "id": "acc%[2]d"}], "track": {"event": "Bought"}}`, i, i%10))
		require.NoError(t, err)
		lockForRecord(t, pool)
	}
}

// work does once what a day has in it: new bundles, a worker that fetches, delivers,
// sweeps and cleans, another one that died, and an operator who looks.
func work(t *testing.T, pool *pgxpool.Pool, endpoint string, seen *plans) {
	t.Helper()
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		_, err := pool.Exec(ctx, sql, args...)
		require.NoError(t, err)
	}
	// The round over old payloads is about to come to those that are not old.
	exec("UPDATE waybill.walk SET next_at = '-infinity', position = CASE name WHEN 'payloads' THEN 449000 ELSE position END")
	for i := range 6 { // from the sixth time on a plan may be one for any parameters
		exec("SELECT waybill.enqueue($1::text::jsonb)", fmt.Sprintf(`{"key": %q, "user_id": "u7", "track": {"event": "Bought"}}`, fmt.Sprint(t.Name(), i)))
	}
	dead, err := os.ReadFile("sql/rescue.sql")
	require.NoError(t, err)
	exec("INSERT INTO waybill.worker (id) VALUES ('dead')")
	exec(`UPDATE waybill.river_job SET state = 'running', attempted_by = '{dead}', attempted_at = now()
		WHERE id IN (SELECT id FROM waybill.river_job WHERE state = 'available' AND queue = 'analytics' AND priority = 1
			ORDER BY scheduled_at LIMIT 1000)`)
	exec(string(dead), "dead", 0)

	wake, err := os.ReadFile("sql/wake.sql")
	require.NoError(t, err)
	exec(`UPDATE waybill.river_job SET state = 'scheduled', attempted_at = now() + interval '2 hours', scheduled_at = now() + interval '3 hours'
		WHERE id BETWEEN 980001 AND 1000000`)
	exec(string(wake))
	// And one whose job River puts off, before any other.
	exec("SELECT waybill.enqueue($1::text::jsonb)", fmt.Sprintf(`{"v": 2, "key": %q, "user_id": "u7", "track": {"event": "Bought"}}`, t.Name()+" waits"))
	exec("UPDATE waybill.river_job SET scheduled_at = 'epoch' WHERE id = (SELECT max(id) FROM waybill.river_job)")

	const wanted = 8000
	meter := &countdown{left: wanted, done: make(chan struct{})}
	// What a worker remembers it asks after only while another one is about.
	exec("INSERT INTO waybill.worker (id) VALUES ('neighbour')")
	asked := seen.all("profiles_known.sql")
	stop := deliver(t, pool, endpoint, meter)
	deadline := time.After(time.Minute)
	await := func(happened <-chan struct{}) {
		select {
		case <-happened:
		case <-deadline:
			t.Fatalf("the worker has not done its work in a minute; seen: %v", seen.names())
		}
	}
	await(asked)
	exec("DELETE FROM waybill.worker WHERE id = 'neighbour'")
	await(meter.done)
	await(seen.all("walk_orphans.sql", "walk_jobs.sql", "walk_payloads.sql", "walk_profiles.sql", "strays.sql", "claim_alone.sql"))
	stop()

	lockForRecord(t, pool)
	lookAhead(t, pool)
	rivers(t, pool)
	_, err = ops.ReadStatus(ctx, pool, ops.Most)
	require.NoError(t, err)
	_, err = ops.Lookup(ctx, pool, "k777777")
	require.NoError(t, err)
}

// lockForRecord asks what a worker asks when a profile was changed while it was being recorded.
func lockForRecord(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	var request int64
	require.NoError(t, tx.QueryRow(t.Context(), "INSERT INTO waybill.request (worker, bundle_ids) VALUES ('w', '{}') RETURNING id").Scan(&request))
	limits, err := os.ReadFile("sql/turn_limits.sql")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), string(limits), "5s")
	require.NoError(t, err)
	lock, err := os.ReadFile("sql/record_lock.sql")
	require.NoError(t, err)
	kinds, ids := make([]string, 1000), make([]string, 1000)
	for i := range ids {
		kinds[i], ids[i] = "user", fmt.Sprintf("u%d", 1000*i)
	}
	_, err = tx.Exec(t.Context(), string(lock), request, "w", "test", kinds, ids)
	require.NoError(t, err)
}

// lookAhead asks what a worker asks when very many packs wait.
func lookAhead(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(context.WithoutCancel(t.Context()))) }()
	ids := make([]int64, 30_000)
	for i := range ids {
		ids[i] = int64(30*i + 1)
	}
	indexed, err := os.ReadFile("sql/indexed.sql")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), string(indexed))
	require.NoError(t, err)
	look, err := os.ReadFile("sql/look_ahead.sql")
	require.NoError(t, err)
	found, err := tx.Exec(t.Context(), string(look), ids)
	require.NoError(t, err)
	require.EqualValues(t, len(ids), found.RowsAffected())
}

// deliver runs a worker until stop is called.
func deliver(t *testing.T, pool *pgxpool.Pool, endpoint string, meter jobs.Meter) (stop func()) {
	t.Helper()
	sender, err := amplitude.New(amplitude.Config{APIKey: "key", Endpoint: endpoint, API: amplitude.Batch, Timeout: 5 * time.Second})
	require.NoError(t, err)
	runner, err := jobs.New(jobs.Config{
		Pool: pool, Sender: sender, Mode: jobs.Deliver, Destination: "test", Concurrency: 2000,
		Logger: slog.New(slog.DiscardHandler), Meter: meter,
	})
	require.NoError(t, err)
	running, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(running) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// rivers are what stock River asks, and a worker seldom or never does: River's own indexes
// are not there, and ours have to do.
func rivers(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	river := riverpgxv5.New(pool).GetExecutor()
	claimed, err := river.JobGetAvailable(t.Context(), &riverdriver.JobGetAvailableParams{
		ClientID: "stock", MaxAttemptedBy: 10, MaxToLock: 100, Queue: jobs.Queue, Schema: migrations.Schema,
	})
	require.NoError(t, err)
	require.Len(t, claimed.Jobs, 100)
	stuck, err := river.JobGetStuck(t.Context(), &riverdriver.JobGetStuckParams{
		Max: 1000, Schema: migrations.Schema, StuckHorizon: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	require.Len(t, stuck, 100)
	_, err = pool.Exec(t.Context(), "UPDATE waybill.river_job SET state = 'available' WHERE state = 'running'")
	require.NoError(t, err)
}

// countdown is a Meter that waits for outcomes.
type countdown struct {
	jobs.NoMeter
	mu   sync.Mutex
	left int
	done chan struct{}
}

func (c *countdown) Outcome(string, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		close(c.done)
	}
}
