package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/settings"
	"waybill/migrations"
)

var debugging = settings.Decision{Mode: settings.ModeDebug, Destination: settings.DestinationNone, Reason: "ANALYTICS_DEBUG is on"}

// doctor is one for a database, with a worker's connection.
func doctor(t *testing.T, url string) Doctor {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 14
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite // as a worker's has it
	return Doctor{Decision: debugging, Config: config}
}

// complaints are the findings that are not ok.
func complaints(findings []Finding) []Finding {
	var bad []Finding
	for _, f := range findings {
		if f.Level != OK {
			bad = append(bad, f)
		}
	}
	return bad
}

func TestDoctorFindsNothingOnACleanDatabase(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"", "waybill_worker", "waybill_operator"} {
		t.Run("as "+role, func(t *testing.T) {
			t.Parallel()
			d := doctor(t, pgtest.New(t).URL)
			if role != "" {
				d.Config.ConnConfig.RuntimeParams["role"] = role
			}
			findings := d.Examine(t.Context())
			require.Empty(t, complaints(findings))
			require.Equal(t, OK, Worst(findings))
			require.Equal(t, []string{
				"configuration", "database", "version", "writable", "pool", "clock", "horizon", "migrations",
				"grants", "exposure", "schema", "indexes", "autovacuum", "bloat",
				"queue", "job_states", "dead_letters", "in_doubt", "workers", "lane", "plan", "endpoint",
			}, names(findings))
		})
	}
}

func names(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Check)
	}
	return list
}

// A queue at work is not ill.
func TestDoctorFindsNothingOnABusyDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue(keys("a", 250)...)
	f.given("delivered", "", keys("b", 100)...)
	f.given("skipped", "mode is debug", "c:1")
	f.settle("in_doubt", "", f.enqueue("d:1")...)
	f.exec("UPDATE waybill.delivery SET doubt_since = now() - interval '1 minute' WHERE outcome = 'in_doubt'")
	f.beat("w-1", time.Second, `{"lane": "open"}`)
	f.beat("w-gone", time.Minute, `{"lane": "key_refused"}`)
	require.Empty(t, complaints(doctor(t, f.db.URL).Examine(t.Context())))
}

func TestDoctorFindsEachFaultAndKnowsTheFix(t *testing.T) {
	t.Parallel()
	sql := func(statements ...string) func(*fixture, *Doctor) {
		return func(f *fixture, _ *Doctor) {
			for _, s := range statements {
				f.exec(s)
			}
		}
	}
	as := func(role string, statements ...string) func(*fixture, *Doctor) {
		return func(f *fixture, d *Doctor) {
			sql(statements...)(f, d)
			d.Config.ConnConfig.RuntimeParams["role"] = role
		}
	}
	for name, test := range map[string]struct {
		fault     func(*fixture, *Doctor)
		check     string
		level     Level
		says, fix string
	}{
		"GIN index back": {sql("CREATE INDEX river_job_args_index ON waybill.river_job USING gin (args)"),
			"indexes", Warn, "GIN index river_job_args_index is back", "DROP INDEX CONCURRENTLY waybill.river_job_args_index"},
		"invalid index": {sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'waybill.waybill_job_due'::regclass"),
			"indexes", Fail, "waybill_job_due is invalid", "REINDEX INDEX CONCURRENTLY waybill.waybill_job_due"},
		"rest of a reindex": {sql("CREATE INDEX walk_pkey_ccnew ON waybill.walk (name)", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'waybill.walk_pkey_ccnew'::regclass"),
			"indexes", Warn, "interrupted REINDEX", "DROP INDEX CONCURRENTLY waybill.walk_pkey_ccnew"},
		"missing index": {sql("DROP INDEX waybill.delivery_attention"),
			"schema", Fail, "index delivery_attention is missing", "CREATE INDEX CONCURRENTLY delivery_attention ON waybill.delivery"},
		"missing column": {sql("ALTER TABLE waybill.profile DROP COLUMN sent_at"),
			"schema", Fail, "column profile.sent_at is missing", "worker migrate --print"},
		"other column": {sql("ALTER TABLE waybill.profile ALTER COLUMN sent_at TYPE timestamp"),
			"schema", Fail, "column profile.sent_at is not the one", "worker migrate --print"},
		"missing constraint": {sql("ALTER TABLE waybill.delivery DROP CONSTRAINT delivery_outcome_check"),
			"schema", Fail, "constraint delivery.delivery_outcome_check is missing", "ALTER TABLE waybill.delivery ADD CONSTRAINT delivery_outcome_check CHECK ((outcome = ANY"},
		"missing function": {sql("DROP FUNCTION waybill.try_enqueue(text)"),
			"schema", Fail, "function try_enqueue(bundles text) is missing", "worker migrate --print"},
		"edited function": {sql("CREATE OR REPLACE FUNCTION waybill.read_time(given text) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'"),
			"schema", Fail, "function read_time(given text) is not the one", "worker migrate --print"},
		"function without its owner's rights": {sql("ALTER FUNCTION waybill.enqueue(jsonb) SECURITY INVOKER"),
			"schema", Fail, "function enqueue(bundles jsonb) is not the one", "worker migrate --print"},
		"missing view": {sql("DROP VIEW waybill.job"),
			"schema", Fail, "view job is missing", "worker migrate --print"},
		"autovacuum off for a table": {sql("ALTER TABLE waybill.river_job SET (autovacuum_enabled = off)"),
			"autovacuum", Fail, "autovacuum is off for waybill.river_job", "ALTER TABLE waybill.river_job RESET (autovacuum_enabled)"},
		"autovacuum not set for a queue": {sql("ALTER TABLE waybill.river_job RESET (autovacuum_vacuum_scale_factor)"),
			"autovacuum", Warn, "river_job.autovacuum_vacuum_scale_factor is missing", "ALTER TABLE waybill.river_job SET (autovacuum_vacuum_scale_factor=0.01)"},
		"exposed payloads": {sql("GRANT SELECT ON waybill.bundle TO waybill_operator"),
			"exposure", Fail, "waybill_operator has SELECT ON waybill.bundle", "REVOKE SELECT ON waybill.bundle FROM waybill_operator"},
		"exposed to everybody": {sql("GRANT SELECT, INSERT ON waybill.river_job TO PUBLIC"),
			"exposure", Fail, "PUBLIC has INSERT, SELECT ON waybill.river_job", "REVOKE INSERT, SELECT ON waybill.river_job FROM PUBLIC"},
		"a right was taken from the workers": {as("waybill_worker", "REVOKE INSERT ON waybill.delivery FROM waybill_worker"),
			"grants", Fail, "lacks INSERT on delivery, though it belongs", "worker migrate --print-grants"},
		"a login that is no worker": {as("pg_monitor", "GRANT USAGE ON SCHEMA waybill TO pg_monitor", "GRANT SELECT ON waybill.migration TO pg_monitor"),
			"grants", Fail, "role pg_monitor lacks", "GRANT waybill_worker TO \"pg_monitor\""},
		"a login without any right": {as("waybill_producer"),
			"migrations", Fail, "may not read schema waybill", "GRANT waybill_worker TO \"waybill_producer\""},
		"newer database": {sql("INSERT INTO waybill.migration (version, name, readable_by) VALUES (99, 'future', 99)"),
			"migrations", Fail, "newer version", "deploy the newer worker"},
		"read-only": {func(_ *fixture, d *Doctor) {
			d.Config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
		}, "writable", Fail, "read-only by default", "RESET default_transaction_read_only"},
		"clock ahead": {func(_ *fixture, d *Doctor) { d.Now = func() time.Time { return time.Now().Add(-5 * time.Second) } },
			"clock", Warn, "ahead of this host", "NTP"},
		"clock far behind": {func(_ *fixture, d *Doctor) { d.Now = func() time.Time { return time.Now().Add(time.Minute) } },
			"clock", Fail, "behind this host", "NTP"},
		"small pool": {func(_ *fixture, d *Doctor) { d.Config.MaxConns = 4 },
			"pool", Warn, "open 4 connections", "set pool_max_conns"},
		"too few free connections": {func(_ *fixture, d *Doctor) { d.Config.MaxConns = 5000 },
			"pool", Warn, "free connections and a worker may want 5000", "max_connections"},
		"rejected": {func(f *fixture, _ *Doctor) {
			f.given("rejected", "it's broken", keys("a", 3)...)
			f.given("rejected", "other", "b:1")
		}, "dead_letters", Warn, "4 bundles rejected", `worker retry --outcome rejected --reason 'it'\''s broken'`},
		"rejected for a reason with a percent sign": {func(f *fixture, _ *Doctor) { f.given("rejected", "100% wrong", "a:1") },
			"dead_letters", Warn, "1 bundle rejected", `--reason '100% wrong%'`},
		"rejected for many reasons": {func(f *fixture, _ *Doctor) {
			for i := range 25 {
				f.given("rejected", fmt.Sprintf("reason %02d", i), fmt.Sprintf("k:%d", i))
			}
		}, "dead_letters", Warn, "25 bundles rejected", "worker retry --outcome rejected --reason 'reason"},
		"rejected for no reason": {func(f *fixture, _ *Doctor) { f.given("rejected", "", "a:1") },
			"dead_letters", Warn, "most often: (no reason)", "worker retry --outcome rejected"},
		"uncertain": {func(f *fixture, _ *Doctor) { f.given("uncertain", "", "a:1") },
			"dead_letters", Warn, "1 bundle uncertain", "worker resolve"},
		"long in doubt": {func(f *fixture, _ *Doctor) {
			f.settle("in_doubt", "", f.enqueue("a:1")...)
			f.beat("w", 0, "{}")
			f.exec("UPDATE waybill.delivery SET doubt_since = now() - interval '5 days 1 hour'")
		}, "in_doubt", Fail, "the oldest for 5 d 1 h", "Amplitude"},
		"an hour in doubt": {func(f *fixture, _ *Doctor) {
			f.settle("in_doubt", "", f.enqueue("a:1")...)
			f.exec("UPDATE waybill.delivery SET doubt_since = now() - interval '2 hours'")
		}, "in_doubt", Warn, "the oldest for 2 h", "Amplitude"},
		"no worker": {func(f *fixture, _ *Doctor) {
			f.enqueue("a:1")
			f.beat("w-dead", time.Minute, "{}")
		}, "workers", Fail, "none is alive, with 1 bundle waiting", "worker run"},
		"waiting though workers live": {func(f *fixture, _ *Doctor) {
			f.enqueue("a:1")
			f.exec("UPDATE waybill.river_job SET created_at = now() - interval '6 minutes'")
			f.beat("w", 0, "{}")
		}, "queue", Warn, "the oldest of 1 bundle has waited for 6 min", "worker status"},
		"paused": {sql("INSERT INTO waybill.river_queue (name, paused_at) VALUES ('analytics', now() - interval '2 hours')"),
			"queue", Fail, "paused River's queue 2 h ago", "SET paused_at = NULL"},
		"ended by hand": {func(f *fixture, _ *Doctor) {
			f.given("delivered", "", keys("a", 3)...)
			f.enqueue("b:1")
			f.beat("w", 0, "{}")
			f.exec("UPDATE waybill.river_job SET state = 'discarded' WHERE finalized_at IS NULL")
		}, "job_states", Warn, "1 ended job without finalized_at, which nothing ever removes", "UPDATE waybill.river_job SET finalized_at ="},
		"put back by hand": {func(f *fixture, _ *Doctor) {
			f.given("delivered", "", "a:1")
			f.given("delivered", "", "a:2")
			f.beat("w", 0, "{}")
			f.exec("UPDATE waybill.river_job SET state = 'available'")
		}, "job_states", Warn, "2 waiting or running jobs with finalized_at, taken for ended", "UPDATE waybill.river_job SET finalized_at ="},
		"key refused": {func(f *fixture, _ *Doctor) {
			f.beat("w-1", 0, `{"lane": "key_refused", "lane_detail": "Invalid API key"}`)
		}, "lane", Fail, "worker w-1: closed, key_refused: Invalid API key", "AMPLITUDE_API_KEY"},
		"wrong endpoint": {func(f *fixture, _ *Doctor) { f.beat("w-1", 0, `{"lane": "wrong_endpoint"}`) },
			"lane", Fail, "wrong_endpoint", "AMPLITUDE_ENDPOINT"},
		"Amplitude down": {func(f *fixture, _ *Doctor) { f.beat("w-1", 0, `{"lane": "unavailable"}`) },
			"lane", Warn, "unavailable", "status.amplitude.com"},
		"held": {func(_ *fixture, d *Doctor) { d.Decision = holding },
			"configuration", Warn, "hold to none", "AMPLITUDE_API_KEY"},
		"discarding": {func(_ *fixture, d *Doctor) { d.Decision.Mode = settings.ModeDiscard },
			"configuration", Warn, "discard", "worker retry --outcome skipped"},
		"old snapshot": {func(f *fixture, d *Doctor) {
			tight := usualLimits
			tight.snapshot = time.Nanosecond
			d.limits = &tight
			tx, err := f.pool.BeginTx(f.t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
			require.NoError(f.t, err)
			_, err = tx.Exec(f.t.Context(), "SELECT 1")
			require.NoError(f.t, err)
			f.t.Cleanup(func() { require.NoError(f.t, tx.Rollback(context.Background())) })
		}, "horizon", Warn, "has held a snapshot for", "SELECT pg_terminate_backend("},
		"unreachable Amplitude": {func(_ *fixture, d *Doctor) {
			d.Decision = delivering
			d.Decision.Endpoint = "http://127.0.0.1:1"
		}, "endpoint", Fail, "127.0.0.1:1 cannot be reached", "firewall"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			d := doctor(t, f.db.URL)
			test.fault(f, &d)

			findings := d.Examine(t.Context())

			bad := complaints(findings)
			require.NotEmpty(t, bad)
			for _, b := range bad {
				require.Equal(t, test.check, b.Check, "%s: %s", b.Check, b.Says)
				require.NotEmpty(t, b.Fix)
			}
			require.Equal(t, test.level, bad[0].Level)
			require.Contains(t, bad[0].Says, test.says)
			require.Contains(t, bad[0].Fix, test.fix)
			require.Equal(t, test.level, Worst(findings))
		})
	}
}

func TestDoctorWithoutADatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	missing := strings.Replace(f.db.URL, "/waybill_test_", "/no_waybill_test_", 1)
	require.NotEqual(t, f.db.URL, missing)
	for name, test := range map[string]struct {
		url       string
		says, fix string
	}{
		"nobody listens":   {"postgres://u:password-canary@127.0.0.1:1/d", "connection refused", "check host and port"},
		"no such database": {missing, "does not exist", "create the database"},
		"no such host":     {"postgres://u:password-canary@host.invalid/d", "host.invalid", "check host and port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings := doctor(t, test.url).Examine(t.Context())
			require.Equal(t, []string{"configuration", "database", "endpoint"}, names(findings))
			require.Equal(t, Fail, findings[1].Level)
			require.Contains(t, findings[1].Says, test.says)
			require.Contains(t, findings[1].Fix, test.fix)
			require.NotContains(t, findings[1].Says, "password-canary")
		})
	}
}

func TestDoctorOnAnUnmigratedDatabase(t *testing.T) {
	t.Parallel()
	findings := doctor(t, pgtest.Blank(t).URL).Examine(t.Context())
	bad := complaints(findings)
	require.Len(t, bad, 1)
	require.Equal(t, "migrations", bad[0].Check)
	require.Equal(t, "worker migrate", bad[0].Fix)
}

// People with migration tools of their own get the same schema.
func TestDoctorFindsNothingOnADatabaseMadeFromThePrintedScript(t *testing.T) {
	t.Parallel()
	db := pgtest.Blank(t)
	var script strings.Builder
	require.NoError(t, migrations.Print(&script))
	_, err := db.Pool(t, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol }).
		Exec(t.Context(), script.String())
	require.NoError(t, err)
	require.Empty(t, complaints(doctor(t, db.URL).Examine(t.Context())))
}

// During a rolling deploy the database is ahead of the workers that are still to go.
func TestDoctorDoesNotJudgeASchemaThatItIsTooOldFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("INSERT INTO waybill.migration (version, name, readable_by) VALUES (99, 'future', 1)")
	f.exec("CREATE OR REPLACE FUNCTION waybill.read_time(given text) RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'")
	require.Empty(t, complaints(doctor(t, f.db.URL).Examine(t.Context())))
}

func TestDoctorChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", keys("a", 3)...)
	state := func() []string {
		return all[string](f, `
			SELECT t::text FROM waybill.bundle AS t UNION ALL SELECT t::text FROM waybill.delivery AS t
			UNION ALL SELECT t::text FROM waybill.river_job AS t UNION ALL SELECT t::text FROM waybill.river_queue AS t
			UNION ALL SELECT t::text FROM waybill.worker AS t UNION ALL SELECT t::text FROM waybill.walk AS t ORDER BY 1`)
	}
	before := state()
	doctor(t, f.db.URL).Examine(t.Context())
	require.Equal(t, before, state())
}

func TestDoctorGreetsAmplitudeAndSendsNothing(t *testing.T) {
	t.Parallel()
	asked := false
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })
	plain, secured := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secured.Config.ErrorLog = log.New(io.Discard, "", 0)
	secured.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secured.Close)

	look := func(endpoint string) Finding {
		d := doctor(t, "postgres://u@127.0.0.1:1/d")
		d.Decision = delivering
		d.Decision.Endpoint = endpoint
		findings := d.Examine(t.Context())
		return findings[len(findings)-1]
	}
	require.Equal(t, OK, look(plain.URL).Level)
	untrusted := look(secured.URL)
	require.Equal(t, Fail, untrusted.Level, "a certificate that nobody vouches for")
	require.Contains(t, untrusted.Says, "certificate")
	require.False(t, asked)
}

func TestDoctorDialsTheEndpointsOwnPort(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://api.eu.amplitude.com": "api.eu.amplitude.com:443",
		"https://proxy.example:8443":   "proxy.example:8443",
		"http://127.0.0.1":             "127.0.0.1:80",
	} {
		d := doctor(t, "postgres://u@127.0.0.1:1/d")
		d.Decision = delivering
		d.Decision.Endpoint = endpoint
		var dialled string
		d.Dial = func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, context.DeadlineExceeded
		}
		findings := d.Examine(t.Context())
		require.Equal(t, want, dialled)
		require.Contains(t, findings[len(findings)-1].Says, "no answer within 5 s")
	}
}

func TestDoctorText(t *testing.T) {
	t.Parallel()
	findings := []Finding{
		{"configuration", OK, "deliver to live: ANALYTICS_ENV is production", ""},
		{"indexes", Warn, "River's GIN index river_job_args_index is back; nothing uses it, and it halves the rate of enqueue and drain",
			"DROP INDEX CONCURRENTLY waybill.river_job_args_index"},
		{"workers", Fail, "none is alive, with 12 bundles waiting", "start a worker: worker run"},
	}
	var text strings.Builder
	require.NoError(t, DoctorText(&text, findings))
	requireGolden(t, "doctor.golden", text.String())

	encoded, err := json.Marshal(findings[0])
	require.NoError(t, err)
	require.JSONEq(t, `{"check": "configuration", "level": "ok", "says": "deliver to live: ANALYTICS_ENV is production"}`, string(encoded))
	require.Equal(t, Fail, Worst(findings))
	require.Equal(t, Warn, Worst(findings[:2]))
}
