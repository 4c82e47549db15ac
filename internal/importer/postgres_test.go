package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sethvargo/go-retry"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// keys lists the recorded action keys in the order of their bundles.
func keys(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "SELECT action_key FROM waybill.bundle ORDER BY id")
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return found
}

func open(t *testing.T, url string) *Postgres {
	t.Helper()
	door, err := OpenPostgres(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(door.Close)
	return door
}

// impatient tries a few times, at once.
func impatient() retry.Backoff {
	return retry.WithMaxRetries(3, retry.NewConstant(time.Microsecond))
}

func bundles(lines ...string) []Bundle {
	var list []Bundle
	for i, l := range lines {
		list = append(list, Bundle{Line: i + 1, JSON: []byte(l)})
	}
	return list
}

func TestOpeningEnqueuesNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	open(t, db.URL)
	require.Empty(t, keys(t, db.Pool(t)))
}

func TestEachBundleOfABatchIsAnswered(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	door := open(t, db.URL)
	_, err := door.Enqueue(t.Context(), bundles(bundleLine("there already")))
	require.NoError(t, err)

	answers, err := door.Enqueue(t.Context(), bundles(
		bundleLine("new"), bundleLine("there already"), `{"key":"too new","user_id":"u","occurred_at":"2999-01-01T00:00:00Z","track":{"event":"E"}}`, bundleLine("new"),
	))
	require.NoError(t, err)
	require.Len(t, answers, 4)
	require.Equal(t, Queued, answers[0].Outcome)
	require.Equal(t, Duplicate, answers[1].Outcome)
	require.Equal(t, Rejected, answers[2].Outcome)
	require.Contains(t, answers[2].Reason, "a day ahead")
	require.Equal(t, Duplicate, answers[3].Outcome)
	require.Equal(t, answers[0].BundleID, answers[3].BundleID)
	for _, a := range answers {
		require.Positive(t, a.BundleID)
	}
}

func TestWhatPostgresCannotStoreHurtsOnlyItself(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	door := open(t, db.URL)
	var lines, want []string
	for i := range 40 {
		line := bundleLine(fmt.Sprintf("order:%d", i))
		if i%13 == 5 {
			line = strings.Replace(line, "usr_1", `\u0000`, 1)
		} else {
			want = append(want, fmt.Sprintf("order:%d", i))
		}
		lines = append(lines, line)
	}
	answers, err := door.Enqueue(t.Context(), bundles(lines...))
	require.NoError(t, err)
	require.Len(t, answers, 40)
	for i, a := range answers {
		if i%13 == 5 {
			require.Equal(t, Answer{Outcome: Rejected, Reason: "bundle: is not JSON that Postgres can store (SQLSTATE 22P05)"}, a)
		} else {
			require.Equal(t, Queued, a.Outcome)
		}
	}
	require.Equal(t, want, keys(t, db.Pool(t)))
}

func TestALostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	door := open(t, db.URL)
	var told []string
	door.Waiting = func(err error) { told = append(told, err.Error()) }
	_, err := pool.Exec(t.Context(), `
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'waybill enqueue'`)
	require.NoError(t, err)

	answers, err := door.Enqueue(t.Context(), bundles(bundleLine("a")))
	require.NoError(t, err)
	require.Equal(t, Queued, answers[0].Outcome)
	require.Len(t, told, 1)
}

// cable is a network between the door and Postgres that can be cut.
type cable struct {
	net.Conn
	deaf *atomic.Bool // loses what the server says
}

func (c cable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.deaf.CompareAndSwap(true, false) {
		return 0, errors.Join(io.ErrUnexpectedEOF, c.Close())
	}
	return n, err
}

func TestABatchWhoseAnswerWasLostIsSentAgainAndCountsOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var deaf atomic.Bool
	pool := db.Pool(t, func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.MaxConns = 1
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return cable{conn, &deaf}, err
		}
	})
	told := 0
	door := &Postgres{pool: pool, backoff: impatient, Waiting: func(error) { told++ }}
	_, err := door.Enqueue(t.Context(), nil)
	require.NoError(t, err)

	deaf.Store(true)
	answers, err := door.Enqueue(t.Context(), bundles(bundleLine("a"), bundleLine("b")))
	require.NoError(t, err)
	require.Equal(t, 1, told)
	require.Len(t, answers, 2)
	require.Equal(t, Duplicate, answers[0].Outcome, "the lost answer was: queued")
	require.Equal(t, []string{"a", "b"}, keys(t, db.Pool(t)))
}

// unplugged opens a door whose database has then gone for good.
func unplugged(t *testing.T) *Postgres {
	t.Helper()
	db := pgtest.New(t)
	pool := db.Pool(t, func(c *pgxpool.Config) {
		c.ConnConfig.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route to host")
		}
	})
	return &Postgres{pool: pool, backoff: impatient, Waiting: func(error) {}}
}

func TestADatabaseThatStaysAwayIsAFailure(t *testing.T) {
	t.Parallel()
	_, err := unplugged(t).Enqueue(t.Context(), bundles(bundleLine("a")))
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "the database cannot be reached: no route to host", failure.Problem)
}

func TestAnInterruptionEndsTheWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	door := unplugged(t)
	door.Waiting = func(error) { interrupt() }
	door.backoff = func() retry.Backoff { return retry.NewConstant(time.Hour) }
	_, err := door.Enqueue(ctx, bundles(bundleLine("a")))
	var failure *Failure
	require.ErrorAs(t, err, &failure, "the database's own trouble, not the interruption")
}

func TestAfterAnInterruptionNothingIsTriedAgain(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	door := unplugged(t)
	door.Waiting = func(error) { require.Fail(t, "it does not wait") }
	_, err := door.Enqueue(ctx, bundles(bundleLine("a")))
	require.Error(t, err)
}

func TestAnInterruptedBatchIsStillSent(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	door := open(t, db.URL)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	answers, err := door.Enqueue(ctx, bundles(bundleLine("a")))
	require.NoError(t, err)
	require.Equal(t, Queued, answers[0].Outcome)
}

func TestOurPatienceIsAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, last := time.Now(), time.Now()
		gone := errors.New("gone")
		err := retry.Do(t.Context(), ladder(), func(context.Context) error {
			require.Less(t, time.Since(last), 7*time.Second, "between two attempts")
			last = time.Now()
			return retry.RetryableError(gone)
		})
		require.ErrorIs(t, err, gone)
		require.InDelta(t, patience.Seconds(), time.Since(start).Seconds(), 7)
	})
}

func TestADatabaseThatCannotTakeBundlesIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	blank := pgtest.Blank(t)
	db := pgtest.New(t)
	standby := withParameter(t, db.URL, "default_transaction_read_only", "on")
	unused, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, unused.Close())

	for url, problem := range map[string]string{
		blank.URL: "the database is not migrated",
		standby:   "the database is read-only",
		"postgres://u:hunter2@" + unused.Addr().String() + "/d": "the database cannot be reached: connection refused",
	} {
		_, err := OpenPostgres(t.Context(), url)
		var failure *Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, problem, failure.Problem)
	}
	_, err = OpenPostgres(t.Context(), "postgres://u:hunter2@localhost:port/d")
	require.ErrorIs(t, err, ErrURL)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestAProducerNeedsNoMoreThanItsRole(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pool := db.Pool(t)
	role := "importer_" + strings.ToLower(t.Name())[:10] + fmt.Sprint(time.Now().UnixNano())
	_, err := pool.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), "DROP ROLE "+role)
		require.NoError(t, err)
	})
	as := withParameter(t, db.URL, "role", role)

	_, err = OpenPostgres(t.Context(), as)
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "this database user may not enqueue", failure.Problem)
	require.Contains(t, failure.Fix, "waybill_producer")

	_, err = pool.Exec(t.Context(), "GRANT waybill_producer TO "+role)
	require.NoError(t, err)
	answers, err := open(t, as).Enqueue(t.Context(), bundles(bundleLine("a")))
	require.NoError(t, err)
	require.Equal(t, Queued, answers[0].Outcome)
}

// withParameter adds a setting of the session to a URL.
func withParameter(t *testing.T, url, name, value string) string {
	t.Helper()
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	return url + separator + name + "=" + value
}
