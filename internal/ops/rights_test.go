package ops

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/migrations"
)

const permissionDenied = "42501"

func requireDenied(t *testing.T, err error, what string) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr, what)
	require.Equal(t, permissionDenied, pgErr.Code, what)
}

func TestOperatorMayLookAndPressButNotReadPayloads(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", "a:1")
	f.given("uncertain", "x", "a:2")
	operator := f.as("waybill_operator")

	_, err := ReadStatus(t.Context(), operator, Most)
	require.NoError(t, err)
	b, err := Lookup(t.Context(), operator, "a:1")
	require.NoError(t, err)
	require.Equal(t, "rejected", b.Outcome)
	require.Equal(t, 1, f.override(operator, Retry, Filter{}).Moved)
	require.Equal(t, 1, f.override(operator, Resend, Filter{}).Moved)
	require.NoError(t, migrations.Check(t.Context(), operator))

	for _, forbidden := range []string{
		"SELECT payload FROM waybill.bundle",
		"SELECT traits FROM waybill.profile",
		"SELECT args FROM waybill.river_job",
		"SELECT bundle_ids FROM waybill.request",
		"DELETE FROM waybill.delivery_log",
		"UPDATE waybill.worker SET beat = 0",
		"SELECT waybill.override('{1}', 'delivered', 'retry')",
		"SELECT waybill.reconsider('delivered', 'resend', NULL, NULL, NULL, now(), NULL, 1, false, '-infinity', 0)",
		"SELECT waybill.enqueue('{}')",
	} {
		_, err := operator.Exec(t.Context(), forbidden)
		requireDenied(t, err, forbidden)
	}
}

func TestNothingThatOperatorsSeeHoldsAPayload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", "a:1")
	f.enqueue("a:2")
	operator := f.as("waybill_operator")
	for _, view := range []string{
		"SELECT t::text FROM waybill.job AS t", "SELECT t::text FROM waybill.job_by_key('a:1') AS t",
		"SELECT t::text FROM waybill.dead_letters() AS t", "SELECT t::text FROM waybill.delivery_log AS t",
	} {
		rows, err := operator.Query(t.Context(), view)
		require.NoError(t, err)
		for rows.Next() {
			var text string
			require.NoError(t, rows.Scan(&text))
			require.NotContains(t, text, payloadCanary, view)
		}
		require.NoError(t, rows.Err())
	}
}

func TestProducerMayNotOperate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	producer := f.as("waybill_producer")
	_, err := producer.Exec(t.Context(), `SELECT waybill.enqueue('{"key": "p:1", "user_id": "u", "track": {"event": "e"}}')`)
	require.NoError(t, err, "the role works at all")

	for _, forbidden := range []string{
		"SELECT waybill.retry('rejected')",
		"SELECT waybill.resolve('resend')",
		"SELECT waybill.depth()",
		"SELECT waybill.throughput()",
		"SELECT waybill.dead_letters()",
		"SELECT waybill.in_doubt()",
		"SELECT waybill.parked()",
		"SELECT waybill.job_by_key('p:1')",
		"SELECT * FROM waybill.job",
		"SELECT * FROM waybill.worker",
		"SELECT * FROM waybill.delivery_log",
		"SELECT waybill.override('{1}', 'rejected', 'retry')",
	} {
		_, err := producer.Exec(t.Context(), forbidden)
		requireDenied(t, err, forbidden)
	}

	o, err := NewOverride(t.Context(), producer, Retry, Filter{})
	require.NoError(t, err)
	_, err = o.Preview(t.Context())
	require.ErrorContains(t, err, "GRANT waybill_operator TO your login")
}

func TestEveryDefinerFunctionPinsItsSearchPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.Empty(t, all[string](f, `
		SELECT proname::text FROM pg_proc
		WHERE pronamespace = 'waybill'::regnamespace AND prosecdef
			AND NOT coalesce(proconfig && '{"search_path=pg_catalog, waybill, pg_temp", "search_path=pg_catalog, pg_temp"}', false)`))
	require.Empty(t, all[string](f, `
		SELECT proname::text FROM pg_proc WHERE pronamespace = 'waybill'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE')`))
}

// Before River's own migrations every view over its table has to go, and afterwards the
// step that makes them runs again, on its own, and must bring back what it gave.
func TestTheOperatorsStepSurvivesAnUpgradeOfRiver(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.given("rejected", "x", "a:1")
	before, err := os.ReadFile("../../migrations/sql/before_river.sql")
	require.NoError(t, err)
	f.exec(string(before))

	require.Empty(t, all[string](f, `
		SELECT DISTINCT v.relname::text
		FROM pg_depend AS d
		JOIN pg_rewrite AS r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_class AS v ON v.oid = r.ev_class
		WHERE d.refobjid IN ('waybill.river_job'::regclass, 'waybill.river_queue'::regclass)`), "views over River's tables are left")
	f.exec("ALTER TABLE waybill.river_job ALTER COLUMN attempt TYPE int") // as a step of River might

	for _, step := range migrations.Steps() {
		if step.Name == "operators" {
			f.exec(step.Up)
			f.exec(step.Up) // and it may run twice
		}
	}
	for _, role := range []string{"waybill_operator", "waybill_worker"} {
		pool := f.as(role)
		_, err := Lookup(t.Context(), pool, "a:1")
		require.NoError(t, err, role)
		_, err = ReadStatus(t.Context(), pool, Most)
		require.NoError(t, err, role)
		_, err = pool.Exec(t.Context(), "SELECT * FROM waybill.job")
		require.NoError(t, err, role)
	}
	_, err = Lookup(t.Context(), f.as("waybill_producer"), "a:1")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUnknown)
}
