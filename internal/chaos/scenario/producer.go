package scenario

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
)

//go:embed sql/act.sql
var actSQL string

// producer is an application: it writes business rows and enqueues their bundles in the
// same transaction, and sometimes changes its mind.
type producer struct {
	author  author
	url     string
	history *history.Writer
	pause   time.Duration // between two transactions, about
	enough  func(n int) bool
	judge   func(error) history.Type // of an answer to COMMIT; commitOutcome, but for tests

	conn *pgx.Conn
}

// Shares of transactions, one in so many.
const (
	oneGivesUp  = 12
	onePanics   = 40
	oneIsBulk   = 30
	mostInBulk  = 25
	oneRepeats  = 2 // of those that do not know how their COMMIT ended
	transaction = 10 * time.Second
	reconnect   = 100 * time.Millisecond
)

// run works until ctx ends or enough is committed.
func (p *producer) run(ctx context.Context) {
	defer p.disconnect()
	var again []checker.Action // whose COMMIT went unanswered
	for ctx.Err() == nil {
		actions := again
		if again = nil; actions == nil {
			actions = p.draw()
		}
		outcome := p.safely(ctx, actions)
		switch outcome {
		case history.OK:
			if p.enough(len(actions)) {
				return
			}
		case history.Info:
			p.disconnect()
			if p.author.random.IntN(oneRepeats) == 0 {
				again = actions
			}
		default:
		}
		wait := time.Duration(float64(p.pause) * p.author.random.ExpFloat64())
		select {
		case <-ctx.Done():
		case <-time.After(min(wait, 10*p.pause)):
		}
	}
}

func (p *producer) draw() []checker.Action {
	n := 1
	if p.author.random.IntN(oneIsBulk) == 0 {
		n = 2 + p.author.random.IntN(mostInBulk-1)
	}
	actions := make([]checker.Action, n)
	for i := range actions {
		actions[i] = p.author.next(time.Now())
	}
	return actions
}

var errOnPurpose = errors.New("on purpose")

// safely is a transaction in a request handler that survives its own panics.
func (p *producer) safely(ctx context.Context, actions []checker.Action) (outcome history.Type) {
	defer func() {
		if cause := recover(); cause != nil {
			if err, ok := cause.(error); !ok || !errors.Is(err, errOnPurpose) {
				panic(cause)
			}
			p.history.Append(history.Record{Op: history.Rollback, Type: history.OK, Keys: keys(actions), Detail: "panic"})
			outcome = history.Fail
		}
	}()
	return p.transact(ctx, actions)
}

// transact does one business transaction and says what is known of its end.
func (p *producer) transact(ctx context.Context, actions []checker.Action) history.Type {
	ctx, cancel := context.WithTimeout(ctx, transaction)
	defer cancel()
	if err := p.connect(ctx); err != nil {
		return history.Fail
	}
	names := keys(actions)
	tx, err := p.conn.Begin(ctx)
	if err != nil {
		p.disconnect()
		return history.Fail
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := p.act(ctx, tx, actions); err != nil {
		p.history.Append(history.Record{Op: history.Rollback, Type: history.OK, Keys: names, Detail: err.Error()})
		p.disconnect()
		return history.Fail
	}
	switch {
	case p.author.random.IntN(oneGivesUp) == 0:
		_ = tx.Rollback(ctx)
		p.history.Append(history.Record{Op: history.Rollback, Type: history.OK, Keys: names, Detail: errOnPurpose.Error()})
		return history.Fail
	case p.author.random.IntN(onePanics) == 0:
		panic(errOnPurpose)
	}
	p.history.Append(history.Record{Op: history.Commit, Type: history.Invoke, Keys: names})
	err = tx.Commit(ctx)
	outcome := p.judge(err)
	r := history.Record{Op: history.Commit, Type: outcome, Keys: names}
	if err != nil {
		r.Detail = err.Error()
	}
	p.history.Append(r)
	return outcome
}

// commitOutcome says what an answer to COMMIT proves. Only Postgres itself can say that
// it has not happened, and not while it is going down.
func commitOutcome(err error) history.Type {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return history.OK
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return history.Fail
	case errors.As(err, &refused) && !strings.HasPrefix(refused.Code, "57"):
		return history.Fail
	default:
		return history.Info
	}
}

// act writes the business rows and enqueues the bundles.
func (p *producer) act(ctx context.Context, tx pgx.Tx, actions []checker.Action) error {
	rows, bundles := make([]string, len(actions)), make([]string, len(actions))
	for i, action := range actions {
		row, err := json.Marshal(action)
		if err != nil {
			return err
		}
		one, err := encode(action)
		if err != nil {
			return err
		}
		rows[i], bundles[i] = string(row), string(one)
	}
	var outcomes []string
	err := tx.QueryRow(ctx, actSQL, keys(actions), rows, "["+strings.Join(bundles, ",")+"]").Scan(&outcomes)
	if err != nil {
		return err
	}
	for i, outcome := range outcomes {
		if outcome != "queued" && outcome != "duplicate" {
			return fmt.Errorf("%s is %s", actions[i].Key, outcome)
		}
	}
	return nil
}

func (p *producer) connect(ctx context.Context) error {
	if p.conn != nil && !p.conn.IsClosed() {
		return nil
	}
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		select {
		case <-ctx.Done():
		case <-time.After(reconnect):
		}
		return err
	}
	p.conn = conn
	return nil
}

func (p *producer) disconnect() {
	if p.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.conn.Close(ctx)
	p.conn = nil
}

func keys(actions []checker.Action) []string {
	names := make([]string, len(actions))
	for i, action := range actions {
		names[i] = action.Key
	}
	return names
}

// newRandom is the source of one part of a run.
func newRandom(seed uint64, part int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(part))) }
