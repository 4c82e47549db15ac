package ops

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestJudgeClock(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		skew, trip time.Duration
		want       Level
	}{
		"exact":                              {0, time.Millisecond, OK},
		"below a second":                     {999 * time.Millisecond, 0, OK},
		"a second ahead":                     {time.Second, 0, Warn},
		"a second behind":                    {-time.Second, 0, Warn},
		"thirty seconds":                     {30 * time.Second, 0, Fail},
		"thirty seconds behind":              {-30 * time.Second, 0, Fail},
		"a slow answer proves less":          {1500 * time.Millisecond, 2 * time.Second, OK},
		"a slow answer still proves so much": {2 * time.Minute, 2 * time.Second, Fail},
	} {
		require.Equal(t, test.want, judgeClock(test.skew, test.trip, usualLimits)[0].Level, name)
	}
}

func TestJudgeHorizon(t *testing.T) {
	t.Parallel()
	seconds := func(s float64) *float64 { return &s }
	yes, no := true, false
	young := snapshot{Kind: "transaction", Name: "1", Seconds: seconds(599), Transactions: 5}
	require.Nil(t, judgeHorizon([]snapshot{young}, usualLimits))
	require.Nil(t, judgeHorizon([]snapshot{{Kind: "slot", Name: "s", Transactions: 5, Active: &yes}}, usualLimits))
	require.Nil(t, judgeHorizon([]snapshot{{Kind: "standby", Name: "s", Transactions: 5, Active: &yes}}, usualLimits))

	for _, test := range []struct {
		held snapshot
		fix  string
	}{
		{snapshot{Kind: "transaction", Name: "77", Seconds: seconds(601), Transactions: 5}, "pg_terminate_backend(77)"},
		{snapshot{Kind: "transaction", Name: "78", Seconds: seconds(1), Transactions: 20_000_000}, "pg_terminate_backend(78)"},
		{snapshot{Kind: "prepared", Name: "it's", Seconds: seconds(3600), Active: &no}, "ROLLBACK PREPARED 'it''s'"},
		{snapshot{Kind: "slot", Name: "old", Transactions: 3, Active: &no}, "pg_drop_replication_slot('old')"},
		{snapshot{Kind: "slot", Name: "slow", Transactions: 20_000_000, Active: &yes}, "pg_drop_replication_slot('slow')"},
		{snapshot{Kind: "standby", Name: "replica", Transactions: 20_000_000, Active: &yes}, "hot_standby_feedback"},
	} {
		findings := judgeHorizon([]snapshot{young, test.held}, usualLimits)
		require.Len(t, findings, 1, test.held.Name)
		require.Equal(t, Warn, findings[0].Level)
		require.Contains(t, findings[0].Fix, test.fix)
	}
}

func TestJudgeBloat(t *testing.T) {
	t.Parallel()
	require.Equal(t, OK, judgeBloat([]tableFacts{
		{Name: "river_job", Live: 5_000_000, Dead: 300_000, IndexBytes: 2 << 30},
		{Name: "request", Dead: 199_000, IndexBytes: 1 << 20},
	}, usualLimits)[0].Level)

	findings := judgeBloat([]tableFacts{
		{Name: "river_job", Live: 1000, Dead: 300_000, IndexBytes: 1 << 20},
		{Name: "profile", Live: 1000, IndexBytes: 300 << 20},
	}, usualLimits)
	require.Len(t, findings, 2)
	require.Contains(t, findings[0].Says, "300,000 dead rows")
	require.Contains(t, findings[0].Fix, "VACUUM (ANALYZE) waybill.river_job")
	require.Contains(t, findings[1].Fix, "REINDEX TABLE CONCURRENTLY waybill.profile")
}

func TestDoctorReadsDeadRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tx, err := f.pool.Begin(t.Context()) // keeps autovacuum from tidying up meanwhile
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), "SELECT txid_current()")
	require.NoError(t, err)
	f.exec("INSERT INTO waybill.profile (dest, kind, id) SELECT 'd', 'user', i::text FROM generate_series(1, 500) AS i")
	conn, err := f.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), "DELETE FROM waybill.profile")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT pg_stat_force_next_flush()")
	require.NoError(t, err)

	d := doctor(t, f.db.URL)
	tight := usualLimits
	tight.deadRows = 100
	d.limits = &tight
	bad := complaints(d.Examine(t.Context()))
	require.Len(t, bad, 1)
	require.Equal(t, "bloat", bad[0].Check)
	require.Contains(t, bad[0].Says, "waybill.profile has 500 dead rows")
}

func TestJudgeGrants(t *testing.T) {
	t.Parallel()
	roles := func(exist bool, belongs string) []role {
		list := []role{{"waybill_producer", exist, false}, {"waybill_worker", exist, false}, {"waybill_operator", exist, false}}
		for i := range list {
			list[i].Belongs = list[i].Name == belongs
		}
		return list
	}
	lacking := []string{"INSERT on a", "INSERT on b", "INSERT on c", "INSERT on d"}
	for name, test := range map[string]struct {
		missing []string
		roles   []role
		level   Level
		fix     string
	}{
		"all":                        {nil, roles(true, ""), OK, ""},
		"the owner, without roles":   {nil, roles(false, ""), Warn, "--print-grants"},
		"nothing, without roles":     {lacking, roles(false, ""), Fail, "--print-grants"},
		"an operator":                {lacking, roles(true, "waybill_operator"), OK, ""},
		"a worker lacking something": {lacking, roles(true, "waybill_worker"), Fail, "--print-grants"},
		"a stranger":                 {lacking, roles(true, ""), Fail, `GRANT waybill_worker TO "my ""app"`},
	} {
		finding := judgeGrants(`my "app`, test.missing, test.roles)[0]
		require.Equal(t, test.level, finding.Level, name)
		require.Contains(t, finding.Fix, test.fix, name)
		if test.level == Fail {
			require.Contains(t, finding.Says, "INSERT on a, INSERT on b, INSERT on c and 1 more", name)
		}
	}
}

func TestJudgeSchemaSaysAMissingTableOnce(t *testing.T) {
	t.Parallel()
	expected := []object{{"column", "t.a", "int"}, {"column", "t.b", "int"}, {"constraint", "t.c", "CHECK (a > 0)"}, {"table", "t", ""}}
	findings := judgeSchema(expected, nil)
	require.Len(t, findings, 1)
	require.Equal(t, "table t is missing", findings[0].Says)
	require.Equal(t, OK, judgeSchema(expected, append([]object{{"column", "t.c", "int"}, {"table", "more", ""}}, expected...))[0].Level)
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	require.Equal(t, "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", concurrently("CREATE UNIQUE INDEX i ON t (a)"))
	require.Equal(t, "CREATE INDEX CONCURRENTLY i ON t (a)", concurrently("CREATE INDEX i ON t (a)"))
}

func TestOverNetwork(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"/var/run/postgresql": false, "localhost": false, "127.0.0.1": false, "::1": false, "127.9.9.9": false,
		"10.0.0.1": true, "db.example": true, "localhost.example": true,
	} {
		require.Equal(t, want, overNetwork(host), host)
	}
}

func TestAPoolerIsSuspectedOnlyWithPreparedStatements(t *testing.T) {
	t.Parallel()
	require.True(t, cachesStatements(pgx.QueryExecModeCacheStatement))
	require.False(t, cachesStatements(pgx.QueryExecModeExec))
	require.False(t, cachesStatements(pgx.QueryExecModeSimpleProtocol))

	f := newFixture(t)
	d := doctor(t, f.db.URL)
	conn, err := pgx.ConnectConfig(t.Context(), d.Config.ConnConfig)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	e := &examination{Doctor: d, conn: conn, server: serverFacts{BackendPID: conn.PgConn().PID() + 1, FreeSlots: 100}}
	findings, err := e.checkPool(t.Context())
	require.NoError(t, err)
	require.Equal(t, Warn, findings[0].Level)
	require.Contains(t, findings[0].Fix, "default_query_exec_mode=exec")
	e.Config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	findings, err = e.checkPool(t.Context())
	require.NoError(t, err)
	require.Equal(t, OK, findings[0].Level)
	require.Contains(t, findings[0].Says, "through a pooler")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[int]Level{130012: Fail, 140000: OK, 180000: OK} {
		e := &examination{server: serverFacts{VersionNum: version}}
		findings, err := e.checkVersion(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, findings[0].Level)
	}
}

func TestAStandbyAndASwitchedOffAutovacuumAreFound(t *testing.T) {
	t.Parallel()
	e := &examination{server: serverFacts{InRecovery: true}}
	findings, err := e.checkWritable(t.Context())
	require.NoError(t, err)
	require.Equal(t, Fail, findings[0].Level)
	require.Contains(t, findings[0].Fix, "primary")

	f := newFixture(t)
	conn, err := pgx.Connect(t.Context(), f.db.URL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	e = &examination{conn: conn, server: serverFacts{Autovacuum: true, TrackCounts: false}}
	findings, err = e.checkAutovacuum(t.Context())
	require.NoError(t, err)
	require.Contains(t, findings[0].Fix, "ALTER SYSTEM SET autovacuum = on")
}

func TestReachFixNamesWhatToDo(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"28P01": "user and password", "3D000": "create the database", "53300": "max_connections", "57P03": "wait", "XX000": "log",
	} {
		err := &pgconn.PgError{Code: code, Message: "message"}
		require.Contains(t, reachFix(err), want)
		require.Equal(t, "message (SQLSTATE "+code+")", whyUnreachable(err))
	}
	require.Equal(t, "the connection failed", whyUnreachable(errors.New("postgres://u:password@h")))
}
