package pgtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

func TestProcessesShareOneTemplate(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	var built atomic.Int32
	names, errs := make([]string, 4), make([]error, 4)

	together(4, func(i int) {
		process := &server{url: s.url, given: true}
		names[i], errs[i] = process.prepareTemplate(t.Context(), "abc", func(ctx context.Context, pool *pgxpool.Pool) error {
			built.Add(1)
			return createTable(ctx, pool)
		})
	})

	require.Equal(t, make([]error, 4), errs)
	require.EqualValues(t, 1, built.Load())
	require.Equal(t, "waybill_template_abc", names[0])
	pools := make([]*pgxpool.Pool, 4)
	together(4, func(i int) { pools[i] = s.create(t, names[0]).Pool(t) })
	for _, pool := range pools {
		require.True(t, hasTable(t, pool, "migrated"))
	}
	s.requireNoTables(t)
	template, err := withDatabase(s.url, names[0])
	require.NoError(t, err)
	_, err = pgx.Connect(t.Context(), template)
	require.ErrorContains(t, err, "not currently accepting connections", "whoever is connected would block all clones")
}

// requireNoTables checks that the database named by the URL was left alone.
func (s *server) requireNoTables(t *testing.T) {
	t.Helper()
	var tables int
	require.NoError(t, s.use(t.Context(), func(conn *pgx.Conn) error {
		return conn.QueryRow(t.Context(),
			"SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").Scan(&tables)
	}))
	require.Zero(t, tables)
}

func TestFailedMigrationLeavesNoTemplate(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	broken := errors.New("syntax error in step 3")
	_, err := s.prepareTemplate(t.Context(), "abc", func(ctx context.Context, pool *pgxpool.Pool) error {
		require.NoError(t, createTable(ctx, pool))
		return broken
	})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "make the template database waybill_template_abc")
	require.False(t, s.has(t, "waybill_template_abc"))

	// The draft is still there, as after a kill. It does not get in the way.
	require.True(t, s.has(t, "waybill_template_abc_draft"))
	name, err := s.prepareTemplate(t.Context(), "abc", createTable)
	require.NoError(t, err)
	require.True(t, hasTable(t, s.create(t, name).Pool(t), "migrated"))
	require.False(t, s.has(t, "waybill_template_abc_draft"))
}

func TestSweepTakesOnlyWhatKilledTestsLeft(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	now := time.Unix(1_800_000_000, 0)
	stale := testDatabaseName(now.Add(-staleAfter))
	young := testDatabaseName(now.Add(-staleAfter + time.Second))
	kept := testDatabaseName(now.Add(-2 * staleAfter))
	used := testDatabaseName(now.Add(-3 * staleAfter))
	theirs := testPrefix + "of_somebody_else"
	for _, name := range []string{stale, young, kept, used, theirs} {
		require.NoError(t, s.clone(t.Context(), "template0", name))
	}
	require.NoError(t, s.keep(t.Context(), kept))
	url, err := withDatabase(s.url, used)
	require.NoError(t, err)
	user, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = user.Close(context.Background()) }()

	require.NoError(t, s.sweep(t.Context(), now))

	require.False(t, s.has(t, stale))
	for _, name := range []string{young, kept, used, theirs} {
		require.True(t, s.has(t, name), name)
	}
}

func TestGivenServerMustSuit(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.exec(t, `CREATE ROLE "may not" LOGIN`)
	s.exec(t, `CREATE ROLE may LOGIN CREATEDB`)

	_, err := openServer(t.Context(), s.url+"&user=may%20not")
	require.ErrorContains(t, err, "TEST_DATABASE_URL: ")
	require.ErrorContains(t, err, `ALTER ROLE "may not" CREATEDB`)
	_, err = openServer(t.Context(), s.url+"&user=may&pool_max_conns=2")
	require.NoError(t, err)

	require.ErrorContains(t, unsuitable("r", true, 140020), "version 14 of Postgres is too old")
	require.NoError(t, unsuitable("r", true, 150000))
}

func TestRoleWithoutSuperuserMakesTemplatesAndDatabases(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	s.exec(t, `CREATE ROLE may LOGIN CREATEDB`)
	given, err := openServer(t.Context(), s.url+"&user=may")
	require.NoError(t, err)

	name, err := given.prepareTemplate(t.Context(), "abc", createTable)

	require.NoError(t, err)
	require.True(t, hasTable(t, given.create(t, name).Pool(t), "migrated"))
}

func TestUnreachableServerIsNotReplaced(t *testing.T) {
	t.Parallel()
	_, err := openServer(t.Context(), "postgres://u:hunter2@/x?host="+t.TempDir())
	require.ErrorContains(t, err, "TEST_DATABASE_URL: ")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestOnlyBusyIsRepeated(t *testing.T) {
	t.Parallel()
	busy, other := &pgconn.PgError{Code: "55006"}, &pgconn.PgError{Code: "42P04"}
	answers := []error{busy, busy, other}
	err := whileBusy(t.Context(), func() error {
		answer := answers[0]
		answers = answers[1:]
		return answer
	})
	require.ErrorIs(t, err, other)
	require.Empty(t, answers)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, whileBusy(cancelled, func() error { return busy }), busy)
}

func TestWithDatabase(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://u:p@h:1/app?sslmode=disable":           "postgres://u:p@h:1/x?sslmode=disable",
		"postgresql://h":                                   "postgresql://h/x",
		"postgres:///postgres?host=/dev/shm/d&user=u":      "postgres:///x?host=/dev/shm/d&user=u",
		"postgres://h/app?dbname=other&database=third&a=b": "postgres://h/x?a=b",
		"host=h user=u dbname=app":                         "host=h user=u dbname=app dbname=x",
	} {
		got, err := withDatabase(given, "x")
		require.NoError(t, err)
		require.Equal(t, want, got)
		config, err := pgxpool.ParseConfig(got)
		require.NoError(t, err)
		require.Equal(t, "x", config.ConnConfig.Database)
	}
	_, err := withDatabase("postgres://u:hunter2@[::1/x", "x")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestNamesTellTheirAge(t *testing.T) {
	t.Parallel()
	made := time.Unix(1_800_000_000, 0)
	one, other := testDatabaseName(made), testDatabaseName(made)
	require.NotEqual(t, one, other)
	require.Equal(t, made, madeAt(one))
	require.LessOrEqual(t, len(one), 63)
	for _, name := range []string{"postgres", "waybill_test_", "waybill_test_x_y", "my_waybill_test_1_x", "waybill_test_99999999999999999999_x"} {
		require.True(t, madeAt(name).After(made), name)
	}
}
