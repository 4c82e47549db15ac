package importer

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sethvargo/go-retry"
)

//go:embed enqueue.sql
var enqueueSQL string

const (
	// attemptTime bounds one round trip. It may rightly take long: an open
	// transaction elsewhere that holds one of our action keys is waited for.
	attemptTime = 30 * time.Second
	// connectTime bounds the search for each host that the URL names.
	connectTime = 10 * time.Second
	// patience is how long a database may be away in the middle of an import.
	patience = time.Minute
)

// ErrURL says that a database URL cannot be read. It does not quote it.
var ErrURL = errors.New("is not a Postgres URL that can be read")

// Postgres is the door of a database. It is for one goroutine.
type Postgres struct {
	pool *pgxpool.Pool
	// Waiting is told of a batch that has to wait for the database, and why. Its
	// duplicates may be bundles that the failed attempt had committed.
	Waiting func(err error)
	// backoff is the ladder of one outage.
	backoff func() retry.Backoff
}

// OpenPostgres connects once and asks whether bundles could be enqueued, without
// enqueueing any. The error is ErrURL or a *Failure; there is no second attempt,
// because at this point a wrong URL is likelier than a passing trouble.
func OpenPostgres(ctx context.Context, url string) (*Postgres, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, ErrURL // the parser's own words may hold the password
	}
	cfg.MinConns, cfg.MaxConns = 0, 1
	cfg.ConnConfig.ConnectTimeout = min(cfg.ConnConfig.ConnectTimeout, connectTime)
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "waybill enqueue"
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, diagnose(err)
	}
	p := &Postgres{pool: pool, Waiting: func(error) {}, backoff: ladder}
	if _, err := p.attempt(ctx, nil); err != nil {
		pool.Close()
		return nil, diagnose(err)
	}
	return p, nil
}

// Close closes the connection.
func (p *Postgres) Close() { p.pool.Close() }

// ladder climbs from 0.2 s to 5 s, jittered, and ends with our patience.
func ladder() retry.Backoff {
	b := retry.NewExponential(200 * time.Millisecond)
	b = retry.WithCappedDuration(5*time.Second, b)
	return retry.WithMaxDuration(patience, retry.WithJitterPercent(30, b))
}

// Enqueue implements Door. A database that is away is waited for until ctx ends, at
// most a minute; an attempt under way is not broken off. The error is a *Failure.
func (p *Postgres) Enqueue(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	answers, err := p.persist(ctx, bundles)
	code := unstorable(err)
	switch {
	case err == nil:
		return answers, nil
	case code == "":
		return nil, diagnose(err)
	case len(bundles) == 1:
		return []Answer{{Outcome: Rejected, Reason: "bundle: is not JSON that Postgres can store (SQLSTATE " + code + ")"}}, nil
	}
	// One of them hurts the others: find it.
	half := len(bundles) / 2
	answers, err = p.Enqueue(ctx, bundles[:half])
	if err != nil {
		return answers, err
	}
	rest, err := p.Enqueue(ctx, bundles[half:])
	return append(answers, rest...), err
}

// persist makes one attempt whatever ctx says, and more while ctx lasts.
func (p *Postgres) persist(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	attempt := func() ([]Answer, error) { return p.attempt(context.WithoutCancel(ctx), bundles) }
	answers, err := attempt()
	if !mayPass(err) || ctx.Err() != nil {
		return answers, err
	}
	p.Waiting(diagnose(err))
	again := func(context.Context) error {
		if answers, err = attempt(); mayPass(err) {
			return retry.RetryableError(err)
		}
		return err
	}
	// err is the database's; what Do returns may be the end of ctx instead.
	_ = retry.Do(ctx, p.backoff(), again)
	return answers, err
}

func mayPass(err error) bool {
	return err != nil && diagnose(err).Waits
}

// attempt is one round trip and one transaction.
func (p *Postgres) attempt(ctx context.Context, bundles []Bundle) ([]Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()

	// Without a prepared statement, so that any transaction pooler will do.
	rows, err := p.pool.Query(ctx, enqueueSQL, pgx.QueryExecModeExec, array(bundles))
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(bundles))
	var n, answered int
	var one Answer
	_, err = pgx.ForEachRow(rows, []any{&n, &one.BundleID, &one.Outcome, &one.Reason}, func() error {
		if n < 1 || n > len(answers) || !one.Outcome.isAnswer() {
			return misunderstood(fmt.Sprintf("%s for bundle %d of %d", one.Outcome, n, len(answers)))
		}
		answers[n-1] = one
		answered++
		return nil
	})
	if err == nil && answered != len(answers) {
		err = misunderstood(fmt.Sprintf("for %d of %d bundles", answered, len(answers)))
	}
	return answers, err
}

func misunderstood(answer string) *Failure {
	return &Failure{Problem: "waybill.enqueue answered " + answer, Fix: "upgrade this program, or run: worker migrate"}
}

// array is the JSON array of the bundles.
func array(bundles []Bundle) string {
	size := len("[]")
	for _, b := range bundles {
		size += len(b.JSON) + len(",")
	}
	text := append(make([]byte, 0, size), '[')
	for i, b := range bundles {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, b.JSON...)
	}
	return string(append(text, ']'))
}
