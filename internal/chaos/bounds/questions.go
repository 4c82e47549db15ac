//go:build unix

package bounds

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed sql/enqueue.sql
var enqueueSQL string

//go:embed sql/held.sql
var heldSQL string

//go:embed sql/outcomes.sql
var outcomesSQL string

//go:embed sql/spent.sql
var spentSQL string

//go:embed sql/running.sql
var runningSQL string

//go:embed sql/newest.sql
var newestSQL string

//go:embed sql/lag.sql
var lagSQL string

//go:embed sql/unpark.sql
var unparkSQL string

//go:embed sql/waiting.sql
var waitingSQL string

//go:embed sql/writes.sql
var writesSQL string

//go:embed sql/age.sql
var ageSQL string

//go:embed sql/unsettled.sql
var unsettledSQL string

// bundle is one action of a user, as an application would send it.
func bundle(key, user, more string) string {
	return fmt.Sprintf(`{"key":%q,"user_id":%q,"identify":{"set":{"plan":"pro"}},`+
		`"track":{"event":"Order_Completed","properties":{"total_cents":1299%s}}}`, key, user, more)
}

// enqueue commits bundles in one call and returns their ids in order.
func enqueue(ctx context.Context, pool *pgxpool.Pool, bundles ...string) (ids []int64, err error) {
	var refused int
	err = pool.QueryRow(ctx, enqueueSQL, "["+strings.Join(bundles, ",")+"]").Scan(&ids, &refused)
	if err == nil && refused > 0 {
		err = fmt.Errorf("%d of %d bundles were not queued", refused, len(bundles))
	}
	return ids, err
}

// fill enqueues n bundles, each of another user, a thousand at a time.
func fill(ctx context.Context, pool *pgxpool.Pool, name string, n int) error {
	const call = 1000
	for first := 0; first < n; first += call {
		var bundles []string
		for i := first; i < min(first+call, n); i++ {
			bundles = append(bundles, bundle(fmt.Sprintf("%s:%d", name, i), fmt.Sprintf("%s-%d", name, i), ""))
		}
		if _, err := enqueue(ctx, pool, bundles...); err != nil {
			return err
		}
	}
	return nil
}

// one asks for one value.
func one[T any](ctx context.Context, pool *pgxpool.Pool, query string, args ...any) (value T, err error) {
	return value, pool.QueryRow(ctx, query, args...).Scan(&value)
}

// list asks for one column.
func list[T any](ctx context.Context, pool *pgxpool.Pool, query string, args ...any) ([]T, error) {
	rows, err := pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}

// outcome is how many bundles ended in one way, and the first reason of them.
type outcome struct {
	bundles int
	reason  string
}

func outcomes(ctx context.Context, pool *pgxpool.Pool, ids []int64) (map[string]outcome, error) {
	rows, err := pool.Query(ctx, outcomesSQL, ids)
	if err != nil {
		return nil, err
	}
	found := map[string]outcome{}
	var name string
	var o outcome
	_, err = pgx.ForEachRow(rows, []any{&name, &o.bundles, &o.reason}, func() error {
		found[name] = o
		return nil
	})
	return found, err
}

// writes are what Postgres has written so far.
type writes struct{ rows, profiles, wal int64 }

func written(ctx context.Context, pool *pgxpool.Pool) (w writes, err error) {
	return w, pool.QueryRow(ctx, writesSQL).Scan(&w.rows, &w.profiles, &w.wal)
}

// traffic enqueues bundles one by one, at a rate, until it is stopped.
type traffic struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	sent   int // bundles; to be read after stop
}

const tick = 10 * time.Millisecond

// start begins. user says who did the nth action. A database that is away is waited for
// if patient; otherwise it ends the traffic.
func start(ctx context.Context, pool *pgxpool.Pool, name string, perSecond int, patient bool, user func(n int) string) *traffic {
	ctx, cancel := context.WithCancel(ctx)
	t := &traffic{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		began := time.Now()
		for pause(ctx, tick) == nil {
			for due := int(time.Since(began).Seconds() * float64(perSecond)); t.sent < due && ctx.Err() == nil; {
				_, err := enqueue(ctx, pool, bundle(fmt.Sprintf("%s:%d", name, t.sent), user(t.sent), ""))
				switch {
				case err == nil:
					t.sent++
				case ctx.Err() != nil:
					return
				case patient:
					t.sent++ // nobody knows whether it is there; the next action is another one
				default:
					t.err = err
					return
				}
			}
		}
	}()
	return t
}

// stop ends it and returns why it ended before, if it did.
func (t *traffic) stop() error {
	t.cancel()
	<-t.done
	return t.err
}

// anybody spreads actions over users.
func anybody(users int) func(int) string {
	return func(n int) string { return fmt.Sprintf("u-%d", n%users) }
}
