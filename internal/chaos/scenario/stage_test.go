//go:build unix

package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude"
	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
	"waybill/internal/devpg/pgtest"
	"waybill/internal/jobs"
)

// stage is a small run inside the test: one producer, one worker's loop, a fake. What is
// between them is real, so that a saboteur can stand there.
type stage struct {
	t        *testing.T
	db       *pgtest.DB
	pool     *pgxpool.Pool
	sink     *sink
	lines    *history.Writer
	dir      string
	patience time.Duration
	workers  int

	url    string                               // of the producer's database
	judge  func(error) history.Type             // the producer's, of an answer to COMMIT
	upload func(sender jobs.Sender) jobs.Sender // stands between worker and Amplitude
	before func(ctx context.Context)            // runs between enqueue and delivery
}

const acts = 250

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, db: pgtest.New(t), dir: t.TempDir(), judge: commitOutcome, patience: 30 * time.Second, workers: 1}
	s.pool, s.url = s.db.Pool(t), s.db.URL
	s.exec(schemaSQL)
	var err error
	s.lines, err = history.Create(s.dir, "all", time.Now())
	require.NoError(t, err)
	s.sink, err = openSink(1, s.lines)
	require.NoError(t, err)
	t.Cleanup(s.sink.close)
	return s
}

func (s *stage) exec(sql string) {
	s.t.Helper()
	_, err := s.pool.Exec(s.t.Context(), sql)
	require.NoError(s.t, err)
}

// client speaks to the fake.
func (s *stage) client() *amplitude.Client {
	s.t.Helper()
	client, err := amplitude.New(amplitude.Config{APIKey: "key", Endpoint: s.sink.URL, API: amplitude.Batch})
	require.NoError(s.t, err)
	s.t.Cleanup(client.CloseIdleConnections)
	return client
}

// play lets the producer act and the worker deliver, and returns what the checker finds.
func (s *stage) play() []checker.Violation {
	s.t.Helper()
	ctx := s.t.Context()
	var committed atomic.Int64
	p := &producer{
		author: author{random: newRandom(1, 0)}, url: s.url, history: s.lines, judge: s.judge, pause: time.Microsecond,
		enough: func(n int) bool { return committed.Add(int64(n)) >= acts },
	}
	p.run(ctx)
	if s.before != nil {
		s.before(ctx)
	}
	var sender jobs.Sender = s.client()
	if s.upload != nil {
		sender = s.upload(sender)
	}
	running, stop := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	failures := make([]error, s.workers)
	for i := range failures {
		runner, err := jobs.New(jobs.Config{
			Pool:   s.db.Pool(s.t, func(c *pgxpool.Config) { c.MaxConns = 12 }),
			Sender: sender, Mode: jobs.Deliver, Destination: "test", Concurrency: 500 / s.workers / s.workers,
			Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(s.t, err)
		loops.Go(func() { failures[i] = runner.Run(running) })
	}
	e := &checker.Evidence{Healed: time.Now(), Limits: checker.DefaultLimits()}
	h := house{referee: referee{s.pool}}
	e.Drained = h.drain(ctx, s.patience)
	stop()
	loops.Wait()
	require.NoError(s.t, errors.Join(failures...))
	require.NoError(s.t, s.lines.Close())
	var err error
	e.History, err = history.Read(s.dir)
	require.NoError(s.t, err)
	e.Arrivals = s.sink.received()
	require.NoError(s.t, collect(ctx, s.pool, s.sink.Fake, e))
	require.GreaterOrEqual(s.t, len(e.Actions), acts/2)
	return checker.Check(e)
}

// senderFunc is a Sender that does something to requests.
type senderFunc struct {
	jobs.Sender
	send func(ctx context.Context, events []json.RawMessage) amplitude.Answer
}

func (s senderFunc) Upload(ctx context.Context, events []json.RawMessage) amplitude.Answer {
	return s.send(ctx, events)
}

// rewriting changes the events of every request. Nil instead of a request means that it
// is not sent and counts as delivered.
func rewriting(change func(n int, events []json.RawMessage) []json.RawMessage) func(jobs.Sender) jobs.Sender {
	var requests atomic.Int64
	return func(sender jobs.Sender) jobs.Sender {
		return senderFunc{sender, func(ctx context.Context, events []json.RawMessage) amplitude.Answer {
			events = change(int(requests.Add(1)), events)
			if len(events) == 0 {
				return amplitude.Answer{Verdict: amplitude.Delivered, Status: 200}
			}
			return sender.Upload(ctx, events)
		}}
	}
}

// edit changes fields of an event.
func edit(event json.RawMessage, change func(map[string]any)) json.RawMessage {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		panic(err)
	}
	change(fields)
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return text
}
