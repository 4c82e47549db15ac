package migrations_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
	"waybill/internal/jobs"
)

// answer is one row of an enqueue function.
type answer struct {
	N        int
	Key      *string
	BundleID *int64
	Outcome  string
	Reason   *string
}

type querier interface {
	Query(t *testing.T, sql string, args ...any) ([]answer, error)
}

type onPool struct{ *pgxpool.Pool }

func (p onPool) Query(t *testing.T, sql string, args ...any) ([]answer, error) {
	rows, err := p.Pool.Query(t.Context(), sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[answer])
}

func enqueue(t *testing.T, q querier, bundles string) []answer {
	t.Helper()
	answers, err := q.Query(t, "SELECT * FROM waybill.enqueue($1::text::jsonb)", bundles)
	require.NoError(t, err)
	return answers
}

func order(key string) string {
	return fmt.Sprintf(`{"key": %q, "user_id": "usr_42", "track": {"event": "Order_Completed"}}`, key)
}

func TestEnqueueOne(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)

	got := enqueue(t, onPool{pool}, order("order:1"))

	require.Len(t, got, 1)
	require.Equal(t, "queued", got[0].Outcome)
	require.Equal(t, "order:1", *got[0].Key)
	require.Nil(t, got[0].Reason)
	var args []byte
	require.NoError(t, pool.QueryRow(t.Context(), `
		SELECT j.args FROM waybill.bundle AS b JOIN waybill.river_job AS j ON j.id = b.job_id WHERE b.id = $1`,
		*got[0].BundleID).Scan(&args))
	require.JSONEq(t, fmt.Sprintf(`{"bundle_ids": [%d], "action_key": "order:1", "event": "Order_Completed", "user_id": "usr_42"}`, *got[0].BundleID), string(args))
}

func TestEnqueueTheSameKeyAgainIsADuplicate(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	first := enqueue(t, onPool{pool}, order("order:1"))

	for name, again := range map[string]string{
		"alone":              order("order:1"),
		"in an array of one": "[" + order("order:1") + "]",
	} {
		got := enqueue(t, onPool{pool}, again)
		require.Equal(t, "duplicate", got[0].Outcome, name)
		require.Equal(t, *first[0].BundleID, *got[0].BundleID, name)
	}
	both := enqueue(t, onPool{pool}, "["+order("order:2")+","+order("order:1")+","+order("order:2")+"]")
	require.Equal(t, []string{"queued", "duplicate", "duplicate"}, outcomes(both))
	require.Equal(t, *both[0].BundleID, *both[2].BundleID)
	require.Equal(t, *first[0].BundleID, *both[1].BundleID)
	require.Equal(t, 2, one[int](t, pool, "SELECT count(*) FROM waybill.river_job"))
}

func TestEnqueueNeverRaisesForContent(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	deep := strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50)
	for name, test := range map[string]struct{ bundle, reason string }{
		"a number":             {`5`, "is not a JSON object"},
		"null":                 {`null`, "is not a JSON object"},
		"a nested array":       {`[[]]`, "is not a JSON object"},
		"no key":               {`{"user_id": "u", "track": {"event": "X"}}`, "key: is missing"},
		"an empty key":         {`{"key": "", "user_id": "u", "track": {"event": "X"}}`, "key: must be 1 to 256 bytes"},
		"a 300-byte key":       {fmt.Sprintf(`{"key": %q, "user_id": "u", "track": {"event": "X"}}`, strings.Repeat("k", 300)), "key: must be 1 to 256 bytes"},
		"a key of 100 emoji":   {fmt.Sprintf(`{"key": %q, "user_id": "u", "track": {"event": "X"}}`, strings.Repeat("🧾", 100)), "key: must be 1 to 256 bytes"},
		"a number as key":      {`{"key": 7, "user_id": "u", "track": {"event": "X"}}`, "key: is not a string"},
		"nobody":               {`{"key": "nobody", "track": {"event": "X"}}`, "user_id: is missing"},
		"an empty user":        {`{"key": "empty", "user_id": "", "track": {"event": "X"}}`, "user_id: is missing"},
		"a number as user":     {`{"key": "num", "user_id": 42, "track": {"event": "X"}}`, "user_id: is not a string"},
		"an object as device":  {`{"key": "obj", "device_id": {}, "user_id": "u", "track": {"event": "X"}}`, "device_id: is not a string"},
		"nothing to say":       {`{"key": "silent", "user_id": "u"}`, "says nothing"},
		"a typo":               {`{"key": "typo", "user_id": "u", "trak": {"event": "X"}}`, "unknown field trak"},
		"an odd version":       {`{"key": "v", "v": "one", "user_id": "u", "track": {"event": "X"}}`, "v: is not a version number"},
		"nesting of 50":        {`{"key": "deep", "user_id": "u", "track": {"event": "X", "properties": ` + deep + `}}`, "nested deeper than 40"},
		"300 KB":               {fmt.Sprintf(`{"key": "large", "user_id": "u", "track": {"event": "X", "properties": {"p": %q}}}`, strings.Repeat("x", 300<<10)), "larger than 256 KB"},
		"numbers that unfold":  {`{"key": "unfold", "user_id": "u", "track": {"event": "X", "properties": {"n": [` + strings.TrimSuffix(strings.Repeat("1e300,", 1000), ",") + `]}}}`, "larger than 256 KB"},
		"tomorrow in words":    {`{"key": "t1", "user_id": "u", "occurred_at": "tomorrow", "track": {"event": "X"}}`, "RFC 3339"},
		"a time as number":     {`{"key": "t2", "user_id": "u", "occurred_at": 1790000000, "track": {"event": "X"}}`, "RFC 3339"},
		"the 30th of February": {`{"key": "t3", "user_id": "u", "occurred_at": "2026-02-30T10:00:00Z", "track": {"event": "X"}}`, "RFC 3339"},
		"the year 0000":        {`{"key": "t4", "user_id": "u", "occurred_at": "0000-01-01T10:00:00Z", "track": {"event": "X"}}`, "RFC 3339"},
		"two days ahead":       {fmt.Sprintf(`{"key": "t5", "user_id": "u", "occurred_at": %q, "track": {"event": "X"}}`, time.Now().Add(49*time.Hour).Format(time.RFC3339)), "more than a day ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle := test.bundle
			if !strings.HasPrefix(bundle, "[") {
				bundle = "[" + bundle + "]"
			}
			alone := enqueue(t, onPool{pool}, bundle)
			amongOthers := enqueue(t, onPool{pool}, strings.TrimSuffix(bundle, "]")+","+order("next to "+name)+"]")

			require.Equal(t, "rejected", alone[0].Outcome)
			require.Contains(t, *alone[0].Reason, test.reason)
			require.NotNil(t, alone[0].BundleID, "a refused bundle is recorded")
			require.Equal(t, "queued", amongOthers[1].Outcome, "and takes no neighbour with it")
			require.Equal(t, "rejected", one[string](t, pool, "SELECT outcome FROM waybill.delivery WHERE bundle_id = $1", *alone[0].BundleID))
			require.Less(t, one[int](t, pool, "SELECT octet_length(payload::text) FROM waybill.bundle WHERE id = $1", *alone[0].BundleID), 262145)
		})
	}
}

func TestEnqueueNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)

	require.Empty(t, enqueue(t, onPool{pool}, "[]"))
	got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue(NULL)")
	require.NoError(t, err)
	require.Equal(t, []string{"rejected"}, outcomes(got))
	require.True(t, strings.HasPrefix(*got[0].Key, "invalid:"))
	require.Equal(t, "bundle: is not a JSON object", *got[0].Reason)
}

func TestEnqueueOccurredAt(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	at := func(key string) time.Time {
		return one[time.Time](t, pool, "SELECT occurred_at FROM waybill.bundle WHERE action_key = $1", key)
	}

	enqueue(t, onPool{pool}, `{"key": "past", "user_id": "u", "occurred_at": "2026-01-31T23:59:59.123456+02:00", "track": {"event": "X"}}`)
	require.WithinDuration(t, time.Date(2026, 1, 31, 21, 59, 59, 123456000, time.UTC), at("past"), 0)

	ahead := time.Now().Add(time.Hour).Format(time.RFC3339)
	enqueue(t, onPool{pool}, fmt.Sprintf(`{"key": "ahead", "user_id": "u", "occurred_at": %q, "track": {"event": "X"}}`, ahead))
	require.WithinDuration(t, time.Now(), at("ahead"), time.Minute, "a fast clock counts as now, so that it cannot win over what really is newer")

	enqueue(t, onPool{pool}, order("none"))
	require.WithinDuration(t, time.Now(), at("none"), time.Minute)
}

func TestEnqueueTakesVersionsItDoesNotKnow(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	got := enqueue(t, onPool{pool}, `{"v": 2, "key": "new", "user_id": "u", "track": {"event": "X"}, "brand_new": true}`)
	require.Equal(t, "queued", got[0].Outcome, "a newer worker will know what to do with it")
}

func TestEnqueueTextRecordsWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	for name, text := range map[string]string{
		"NUL":              `{"key": "nul", "user_id": "a\u0000b", "track": {"event": "X"}}`,
		"a lone surrogate": `{"key": "sur", "user_id": "\ud800", "track": {"event": "X"}}`,
		"NaN":              `{"key": "nan", "user_id": "u", "track": {"event": "X", "properties": {"n": NaN}}}`,
		"half a line":      `{"key": "half", "user_id":`,
		"nothing":          ``,
	} {
		got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue_text($1)", text)
		require.NoError(t, err, name)
		require.Equal(t, "rejected", got[0].Outcome, name)
		require.Contains(t, *got[0].Reason, "is not JSON", name)
		require.True(t, strings.HasPrefix(*got[0].Key, "invalid:"), name)
		require.Equal(t, text, one[string](t, pool, "SELECT payload ->> 'text' FROM waybill.bundle WHERE id = $1", *got[0].BundleID), name)
	}
	got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.enqueue_text($1)", order("fine"))
	require.NoError(t, err)
	require.Equal(t, []string{"queued"}, outcomes(got))
}

func TestTryEnqueueCannotAbortTheTransaction(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]string{
		"a trigger that raises": `
			CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'secret value'; END $$;
			CREATE TRIGGER boom BEFORE INSERT ON waybill.bundle FOR EACH ROW EXECUTE FUNCTION boom()`,
		"an assertion that fails": `
			CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ASSERT false; RETURN NEW; END $$;
			CREATE TRIGGER boom BEFORE INSERT ON waybill.bundle FOR EACH ROW EXECUTE FUNCTION boom()`,
		"a table that is gone": `DROP TABLE waybill.river_job CASCADE`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t).Pool(t)
			exec(t, pool, breakIt)
			exec(t, pool, "CREATE TABLE business (id int)")

			require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO business VALUES (1)")
				require.NoError(t, err)
				rows, err := tx.Query(t.Context(), "SELECT * FROM waybill.try_enqueue($1)", "["+order("a")+","+order("b")+"]")
				require.NoError(t, err)
				got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[answer])
				require.NoError(t, err)
				require.Equal(t, []string{"skipped", "skipped"}, outcomes(got))
				require.Contains(t, *got[0].Reason, "SQLSTATE")
				require.NotContains(t, *got[0].Reason, "secret")
				return nil
			}))
			require.Equal(t, 1, one[int](t, pool, "SELECT count(*) FROM business"))
		})
	}
}

func TestTryEnqueueDoesNotWaitLongForALock(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = holder.Rollback(t.Context()) }()
	_, err = holder.Exec(t.Context(), "SELECT waybill.enqueue($1::text::jsonb)", order("held"))
	require.NoError(t, err)

	began := time.Now()
	got, err := onPool{pool}.Query(t, "SELECT * FROM waybill.try_enqueue($1)", order("held"))
	require.NoError(t, err)
	require.Equal(t, []string{"skipped"}, outcomes(got))
	require.Contains(t, *got[0].Reason, "55P03")
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT waybill.enqueue($1::text::jsonb)", "["+order("a")+","+order("b")+", 5]")
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(t.Context()))

	for _, table := range []string{"bundle", "delivery", "river_job"} {
		require.Zerof(t, one[int](t, pool, "SELECT count(*) FROM waybill."+table), table)
	}
}

// TestJobsEqualRiversOwn holds enqueue to what the pinned River would insert, column by
// column: a River upgrade that writes a new column, or an old one differently, fails here.
func TestJobsEqualRiversOwn(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: "waybill"})
	require.NoError(t, err)

	ours := enqueue(t, onPool{pool}, order("order:1"))
	pack := enqueue(t, onPool{pool}, "["+order("order:2")+","+order("order:3")+"]")
	insert := func(args jobs.Args, priority int) int64 {
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		result, err := client.InsertTx(t.Context(), tx, args, &river.InsertOpts{Queue: jobs.Queue, Priority: priority, MaxAttempts: jobs.MaxAttempts})
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
		return result.Job.ID
	}
	for _, test := range []struct{ bundle, river int64 }{
		{*ours[0].BundleID, insert(jobs.Args{BundleIDs: []int64{*ours[0].BundleID}, ActionKey: "order:1", Event: "Order_Completed", UserID: "usr_42"}, 1)},
		{*pack[0].BundleID, insert(jobs.Args{BundleIDs: []int64{*pack[0].BundleID, *pack[1].BundleID}}, 3)},
	} {
		row := func(id int64) map[string]any {
			var text []byte
			require.NoError(t, pool.QueryRow(t.Context(), "SELECT to_jsonb(j) FROM waybill.river_job AS j WHERE id = $1", id).Scan(&text))
			var columns map[string]any
			require.NoError(t, json.Unmarshal(text, &columns))
			return columns
		}
		got := row(one[int64](t, pool, "SELECT job_id FROM waybill.bundle WHERE id = $1", test.bundle))
		want := row(test.river)
		require.NotNil(t, got["created_at"])
		require.Equal(t, got["created_at"], got["scheduled_at"], "due at once")
		for _, own := range []string{"id", "created_at", "scheduled_at"} {
			require.NotEqual(t, want[own], got[own])
			delete(got, own)
			delete(want, own)
		}
		require.Equal(t, want, got)
	}
}

func TestProducerRoleMayEnqueueAndNothingElse(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	as := func(role, sql string) error {
		return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL ROLE "+role); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
	}
	for _, sql := range []string{
		"SELECT waybill.enqueue('" + order("p1") + "')",
		"SELECT waybill.enqueue_text('" + order("p2") + "')",
		"SELECT waybill.try_enqueue('" + order("p3") + "')",
	} {
		require.NoError(t, as("waybill_producer", sql))
	}
	require.Equal(t, 3, one[int](t, pool, "SELECT count(*) FROM waybill.bundle"))

	forbidden := []string{
		"SELECT waybill.inspect('{}')",
		"SELECT nextval('waybill.river_job_id_seq')",
		"CREATE TABLE waybill.mine (id int)",
	}
	for _, table := range column(t, pool, "SELECT relname FROM pg_class WHERE relnamespace = 'waybill'::regnamespace AND relkind IN ('r', 'v')") {
		forbidden = append(forbidden, "SELECT * FROM waybill."+table, "DELETE FROM waybill."+table)
	}
	for _, sql := range forbidden {
		err := as("waybill_producer", sql)
		var pgErr *pgconn.PgError
		require.ErrorAsf(t, err, &pgErr, sql)
		require.Containsf(t, []string{"42501", "55000"}, pgErr.Code, "%s: %s", sql, pgErr.Message)
	}
}

func TestEnqueueFromATrigger(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t)
	exec(t, pool, `
		CREATE TABLE orders (id int PRIMARY KEY, customer text, total_cents int);
		CREATE FUNCTION track_order() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM waybill.enqueue(jsonb_build_object(
				'key', format('order:%s:placed', NEW.id),
				'user_id', NEW.customer,
				'track', jsonb_build_object('event', 'Order_Placed', 'properties', jsonb_build_object('total_cents', NEW.total_cents))));
			RETURN NEW;
		END $$;
		CREATE TRIGGER track_order AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION track_order()`)

	exec(t, pool, "INSERT INTO orders SELECT i, 'cus_' || i, i FROM generate_series(1, 3) AS i")

	require.Equal(t, []string{"order:1:placed", "order:2:placed", "order:3:placed"},
		column(t, pool, "SELECT action_key FROM waybill.bundle ORDER BY id"))
}

func outcomes(answers []answer) []string {
	all := make([]string, len(answers))
	for i, a := range answers {
		all[i] = a.Outcome
	}
	return all
}
