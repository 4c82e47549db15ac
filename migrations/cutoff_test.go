package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/migrations"
)

// riverHasAStepToGo makes the newest of River's steps one that has not run.
const riverHasAStepToGo = "DELETE FROM waybill.river_migration WHERE version = (SELECT max(version) FROM waybill.river_migration)"

// seams are the places where a migration that upgrades River commits, each by the write to
// the ledgers that a migration cut off there never makes.
func seams() map[string]string {
	all := map[string]string{"River's steps": "BEFORE INSERT ON waybill.river_migration FOR EACH ROW"}
	for _, step := range migrations.Steps() {
		switch step.Name {
		case "river", "operators", "roles", "plan":
			all[step.Name] = fmt.Sprintf("BEFORE UPDATE ON waybill.migration FOR EACH ROW WHEN (NEW.version = %d AND NEW.river_version IS NOT NULL)", step.Version)
		}
	}
	return all
}

// TestUpFinishesWhatOneCutOffBegan ends an upgrade of River at each of its seams. The next
// one finds River's steps done and ours recorded, and still leaves what an undisturbed one
// does: constraints, indexes, options, functions with their settings, views and rights.
func TestUpFinishesWhatOneCutOffBegan(t *testing.T) {
	t.Parallel()
	require.Len(t, seams(), 5)
	for name, seam := range seams() {
		t.Run("before "+name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t).Pool(t)
			exec(t, pool, order1)
			complete := schemaOf(t, pool)
			exec(t, pool, riverHasAStepToGo)
			exec(t, pool, `CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'cut off'; END $$`)
			exec(t, pool, "CREATE TRIGGER cut "+seam+" EXECUTE FUNCTION public.cut()")

			for range 2 { // and once more at the same place
				require.ErrorContains(t, migrations.Up(t.Context(), pool), "cut off")
			}
			exec(t, pool, "DROP FUNCTION public.cut CASCADE")
			require.NotEmpty(t, difference(complete, schemaOf(t, pool)), "there is something to finish")
			require.NoError(t, migrations.Check(t.Context(), pool), "workers go on meanwhile")

			require.NoError(t, migrations.Up(t.Context(), pool))
			require.Empty(t, difference(complete, schemaOf(t, pool)))
			requireIdle(t, pool)
		})
	}
}

// TestUpFinishesWhatOneThatWasKilledBegan cancels an upgrade while River's steps run.
func TestUpFinishesWhatOneThatWasKilledBegan(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	complete := schemaOf(t, pool)
	exec(t, pool, riverHasAStepToGo)
	ctx, kill := context.WithCancelCause(t.Context())
	gate, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = gate.Exec(ctx, "LOCK TABLE waybill.river_migration IN SHARE MODE") // no step can be recorded
	require.NoError(t, err)

	done := make(chan error, 1)
	go func() { done <- migrations.Up(ctx, pool) }()
	require.Eventually(t, func() bool {
		return one[int](t, pool, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%river_migration%'`) > 0
	}, 10*time.Second, 10*time.Millisecond)
	kill(errors.New("killed"))
	require.Error(t, <-done)
	require.NoError(t, gate.Rollback(context.WithoutCancel(ctx)))
	require.NotEmpty(t, difference(complete, schemaOf(t, pool)))

	require.NoError(t, migrations.Up(t.Context(), pool))
	require.Empty(t, difference(complete, schemaOf(t, pool)))
}

// TestUpTunesARiverThatAnotherHandUpgraded plays River's own migration tool, which puts up
// River's table as River has it and knows nothing of ours.
func TestUpTunesARiverThatAnotherHandUpgraded(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	complete := schemaOf(t, pool)
	exec(t, pool, "UPDATE waybill.migration SET river_version = river_version - 1")
	exec(t, pool, "ALTER TABLE waybill.river_job ADD CONSTRAINT queue_length CHECK (char_length(queue) > 0)")

	require.NoError(t, migrations.Up(t.Context(), pool))

	require.Empty(t, difference(complete, schemaOf(t, pool)))
	requireIdle(t, pool)
}

// TestUpOnADatabaseThatKeptNoRecordOfRiver is one that an earlier binary migrated.
func TestUpOnADatabaseThatKeptNoRecordOfRiver(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	complete := schemaOf(t, pool)
	exec(t, pool, "ALTER TABLE waybill.migration DROP COLUMN river_version")
	require.NoError(t, migrations.Check(t.Context(), pool))

	require.NoError(t, migrations.Up(t.Context(), pool))

	require.Empty(t, difference(complete, schemaOf(t, pool)))
	requireIdle(t, pool)
}

// requireIdle holds a migration that has nothing to do to locks that stop no reader and no
// writer of any table.
func requireIdle(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	writer, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = writer.Rollback(context.Background()) }()
	for _, table := range column(t, pool, "SELECT relname FROM pg_class WHERE relnamespace = 'waybill'::regnamespace AND relkind IN ('r', 'v')") {
		_, err = writer.Exec(t.Context(), "LOCK TABLE waybill."+table+" IN ROW EXCLUSIVE MODE")
		require.NoError(t, err)
	}
	config := pool.Config()
	config.ConnConfig.RuntimeParams["lock_timeout"] = "1s"
	config.MaxConns = 2
	impatient, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer impatient.Close()
	require.NoError(t, migrations.Up(t.Context(), impatient))
}
