package migrations_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/migrations"
)

func TestUpIsIdempotent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := pgtest.Blank(t).Pool(t)

	require.NoError(t, migrations.Up(ctx, pool))
	before := schemaOf(t, pool)
	install := one[string](t, pool, "SELECT id FROM waybill.install")
	require.NoError(t, migrations.Up(ctx, pool))

	require.Empty(t, difference(before, schemaOf(t, pool)))
	require.Equal(t, install, one[string](t, pool, "SELECT id FROM waybill.install"), "the install id opens every insert_id and never changes")
	require.NoError(t, migrations.Check(ctx, pool))
}

func TestUpFromTenProcessesAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Blank(t)
	pools := make([]*pgxpool.Pool, 10)
	for i := range pools {
		pools[i] = db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = 2 })
	}

	errs := make([]error, len(pools))
	var all sync.WaitGroup
	for i, pool := range pools {
		all.Go(func() { errs[i] = migrations.Up(context.Background(), pool) })
	}
	all.Wait()

	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, migrations.Version(), one[int](t, pools[0], "SELECT count(*) FROM waybill.migration"))
}

func TestDownAndUpAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := pgtest.Blank(t).Pool(t)
	require.NoError(t, migrations.Up(ctx, pool))
	complete := schemaOf(t, pool)

	for n := 1; n <= migrations.Version(); n++ {
		require.NoErrorf(t, migrations.Down(ctx, pool, n), "down %d", n)
		require.ErrorIs(t, migrations.Check(ctx, pool), migrations.ErrPending)
		if n == migrations.Version() {
			require.Zero(t, one[int](t, pool, "SELECT count(*) FROM pg_namespace WHERE nspname = 'waybill'"), "nothing stays behind")
		}
		require.NoErrorf(t, migrations.Up(ctx, pool), "up after down %d", n)
		require.Emptyf(t, difference(complete, schemaOf(t, pool)), "after down %d and up", n)
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool := pgtest.Blank(t).Pool(t)

	err := migrations.Check(ctx, pool)
	require.ErrorIs(t, err, migrations.ErrPending)
	require.ErrorContains(t, err, "worker migrate")

	require.NoError(t, migrations.Up(ctx, pool))
	exec(t, pool, "INSERT INTO waybill.migration (version, name, readable_by) VALUES ($1, 'from the future', 1)", migrations.Version()+1)
	require.NoError(t, migrations.Check(ctx, pool), "a step that old workers can read does not stop them in a rolling deploy")
	require.ErrorIs(t, migrations.Up(ctx, pool), migrations.ErrNewer)
	require.ErrorIs(t, migrations.Down(ctx, pool, 1), migrations.ErrNewer)

	exec(t, pool, "UPDATE waybill.migration SET readable_by = version WHERE version = $1", migrations.Version()+1)
	err = migrations.Check(ctx, pool)
	require.ErrorIs(t, err, migrations.ErrNewer)
	require.ErrorContains(t, err, "upgrade this binary")
}

func TestPrintIsTheSameSchema(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	migrated, printed := pgtest.Blank(t).Pool(t), pgtest.Blank(t).Pool(t)
	require.NoError(t, migrations.Up(ctx, migrated))

	var script strings.Builder
	require.NoError(t, migrations.Print(&script))
	conn, err := printed.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Conn().PgConn().Exec(ctx, script.String()).ReadAll()
	require.NoError(t, err)

	require.Empty(t, difference(schemaOf(t, migrated), schemaOf(t, printed)))
	require.NoError(t, migrations.Check(ctx, printed))
	require.NoError(t, migrations.Up(ctx, printed), "River knows its steps are there too")
}

// TestARiverUpgradeKeepsWhatOperatorsHave plays a database on which River has one step to
// go: the views over its tables are dropped for it and come back with their rights, and
// what our steps have tuned is tuned again.
func TestARiverUpgradeKeepsWhatOperatorsHave(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	complete := schemaOf(t, pool)
	exec(t, pool, "DELETE FROM waybill.river_migration WHERE version = (SELECT max(version) FROM waybill.river_migration)")

	require.NoError(t, migrations.Up(t.Context(), pool))

	require.Empty(t, difference(complete, schemaOf(t, pool)))
}

// TestRiverMeetsItsTableAsItLeftIt holds what is put back before River's steps to the
// River that this binary brings: one that adds a constraint or words one differently
// fails here.
func TestRiverMeetsItsTableAsItLeftIt(t *testing.T) {
	t.Parallel()
	rivers := riverAlone(t)
	ours := pgtest.New(t).Pool(t)
	require.Empty(t, checksOf(t, ours), "a statement that writes a job pays for each")
	exec(t, ours, order1)

	before, err := os.ReadFile("sql/before_river.sql")
	require.NoError(t, err)
	for range 2 { // an upgrade that failed is tried again
		exec(t, ours, string(before))
		require.Equal(t, checksOf(t, rivers), checksOf(t, ours))
	}
	_, err = ours.Exec(t.Context(), "UPDATE waybill.river_job SET priority = 5")
	require.ErrorContains(t, err, "priority_in_range", "not validated, and in force for what is written now")
}

// TestRiverStepsMayNameItsConstraints runs a step of River's own that drops one of its
// constraints by name, on a table that ours had taken it from.
func TestRiverStepsMayNameItsConstraints(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	exec(t, pool, order1)
	complete := schemaOf(t, pool)
	exec(t, pool, `
		CREATE FUNCTION river_step() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			ALTER TABLE waybill.river_job DROP CONSTRAINT finalized_or_finalized_at_null;
			RETURN NEW;
		END $$`)
	exec(t, pool, "CREATE TRIGGER river_step BEFORE INSERT ON waybill.river_migration FOR EACH ROW EXECUTE FUNCTION river_step()")
	exec(t, pool, "DELETE FROM waybill.river_migration WHERE version = (SELECT max(version) FROM waybill.river_migration)")

	require.NoError(t, migrations.Up(t.Context(), pool))

	exec(t, pool, "DROP FUNCTION river_step CASCADE")
	require.Empty(t, difference(complete, schemaOf(t, pool)))
}

// TestTheWayBackLeavesRiversOwnTable takes all steps but River's and the tables back.
func TestTheWayBackLeavesRiversOwnTable(t *testing.T) {
	t.Parallel()
	rivers := riverAlone(t)
	pool := pgtest.New(t).Pool(t)
	exec(t, pool, order1)

	require.NoError(t, migrations.Down(t.Context(), pool, migrations.Version()-2))

	require.Equal(t, jobTable(t, rivers), jobTable(t, pool))
}

const order1 = `SELECT waybill.enqueue('{"key": "order:1", "user_id": "u", "track": {"event": "X"}}')`

// riverAlone is a database with River's tables in schema waybill and nothing of ours.
func riverAlone(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.Blank(t).Pool(t)
	exec(t, pool, "CREATE SCHEMA waybill")
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: "waybill"})
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	return pool
}

// checksOf are the CHECK constraints of river_job, as far as they bind what is written.
func checksOf(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return column(t, pool, `
		SELECT conname || ' ' || pg_get_expr(conbin, conrelid) FROM pg_constraint
		WHERE conrelid = 'waybill.river_job'::regclass AND contype = 'c' ORDER BY 1`)
}

// jobTable is everything that belongs to river_job.
func jobTable(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return column(t, pool, `
		SELECT format('%s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = 'waybill.river_job'::regclass AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'waybill.river_job'::regclass
		UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = 'waybill.river_job'::regclass
		UNION ALL SELECT format('options %s', reloptions) FROM pg_class WHERE oid = 'waybill.river_job'::regclass
		UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'river_job_state_in_bitmask' AND pronamespace = 'waybill'::regnamespace
		ORDER BY 1`)
}

func TestStepsHaveAWayBack(t *testing.T) {
	t.Parallel()
	for _, step := range migrations.Steps() {
		require.NotEmptyf(t, strings.TrimSpace(step.Down), "step %d has no down", step.Version)
	}
	require.Len(t, migrations.Fingerprint(), 16)
}

func TestRiverIsTuned(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)

	indexes := column(t, pool, "SELECT indexname FROM pg_indexes WHERE schemaname = 'waybill' AND tablename = 'river_job'")
	require.NotContains(t, indexes, "river_job_args_index")
	require.NotContains(t, indexes, "river_job_metadata_index")
	require.NotContains(t, indexes, "river_job_kind")
	require.NotContains(t, indexes, "river_job_prioritized_fetching_index")
	require.NotContains(t, indexes, "river_job_state_and_finalized_at_index")
	require.Contains(t, indexes, "waybill_job_due")
	require.Contains(t, indexes, "waybill_job_available")
	require.Contains(t, indexes, "waybill_job_state")
	require.Equal(t, "args", lastColumn(t, pool), "what a claim changes stands before it")
}

// TestRiversOrderOfColumnsStays where there are jobs already, or something depends on one.
func TestRiversOrderOfColumnsStays(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"jobs":   "INSERT INTO waybill.river_job (kind, max_attempts, args) VALUES ('bundle', 1, '{}')",
		"a view": "CREATE VIEW somebodys AS SELECT id, args FROM waybill.river_job",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := riverAlone(t)
			exec(t, pool, sql)
			before := one[string](t, pool, "SELECT coalesce(string_agg(to_jsonb(j)::text, ' '), '') FROM waybill.river_job AS j")

			require.NoError(t, migrations.Up(t.Context(), pool))

			require.Equal(t, "unique_states", lastColumn(t, pool))
			require.Equal(t, before, one[string](t, pool, "SELECT coalesce(string_agg(to_jsonb(j)::text, ' '), '') FROM waybill.river_job AS j"))
		})
	}
}

func lastColumn(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	return one[string](t, pool, `
		SELECT attname::text FROM pg_attribute WHERE attrelid = 'waybill.river_job'::regclass AND NOT attisdropped ORDER BY attnum DESC LIMIT 1`)
}

// schemaOf describes everything in schema waybill: columns, indexes, constraints,
// functions with their bodies and settings, views, and who may do what.
func schemaOf(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	return column(t, pool, `
		SELECT format('column %s.%s %s %s %s', c.table_name, c.column_name, c.data_type, c.is_nullable, c.column_default)
		FROM information_schema.columns AS c WHERE c.table_schema = 'waybill'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'waybill'
		UNION ALL SELECT format('constraint %s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'waybill'::regnamespace
		UNION ALL SELECT 'function ' || pg_get_functiondef(oid) || coalesce((SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(proacl) AS a), '') FROM pg_proc WHERE pronamespace = 'waybill'::regnamespace
		UNION ALL SELECT format('relation %s %s %s %s', relname, relkind, reloptions, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(relacl) AS a)) FROM pg_class WHERE relnamespace = 'waybill'::regnamespace
		UNION ALL SELECT format('view %s %s', viewname, definition) FROM pg_views WHERE schemaname = 'waybill'
		ORDER BY 1`)
}

// difference lists what only one of the two holds, cut to what a person reads.
func difference(want, got []string) []string {
	count := map[string]int{}
	for _, line := range want {
		count[line]++
	}
	for _, line := range got {
		count[line]--
	}
	var only []string
	for line, n := range count {
		if n != 0 {
			only = append(only, fmt.Sprintf("%+d %.300s", -n, line))
		}
	}
	return only
}

func column(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return values
}

func one[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, pool.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}
