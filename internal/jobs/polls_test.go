package jobs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/migrations"
)

func TestAWorkerAsksLessOftenWhenNothingComes(t *testing.T) {
	t.Parallel()
	for since, want := range map[time.Duration]time.Duration{
		0:                            busyPoll,
		time.Second:                  busyPoll,
		idleAfter - time.Millisecond: busyPoll,
		idleAfter:                    idlePoll,
		time.Hour:                    idlePoll,
	} {
		require.Equal(t, want, nextPoll(since), since)
	}
}

func TestABundleAfterAPauseGoesOutWithinFourTenthsOfASecond(t *testing.T) {
	t.Parallel()
	const jitter = idlePoll / 10 // River's, at most
	require.LessOrEqual(t, idlePoll+jitter, 400*time.Millisecond)
}

// riverStandIn claims whenever it is asked to, and by itself like River does.
type riverStandIn struct {
	polls *polls
	ask   chan struct{} // as capacious as River's own
	came  chan int      // jobs for the next claim
	at    []time.Time   // of each claim that it was asked for
}

func newRiverStandIn() *riverStandIn {
	r := &riverStandIn{polls: &polls{}, ask: make(chan struct{}, 1), came: make(chan int, 1)}
	r.polls.ask = func() { r.ask <- struct{}{} }
	return r
}

func (r *riverStandIn) claim() {
	select {
	case n := <-r.came:
		r.polls.claimed(n)
	default:
		r.polls.claimed(0)
	}
}

func (r *riverStandIn) run(ctx context.Context) {
	own := time.NewTicker(idlePoll)
	defer own.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.ask:
			r.at = append(r.at, time.Now())
		case <-own.C:
		}
		r.claim()
	}
}

func TestRiverIsAskedToClaimTenTimesASecondWhileJobsCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRiverStandIn()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.run(ctx)

		<-time.After(time.Minute)
		synctest.Wait()
		require.Empty(t, r.at, "nothing has come yet")

		r.came <- 3
		before := time.Now()
		<-time.After(time.Minute)
		synctest.Wait()
		require.NotEmpty(t, r.at)
		last := r.at[len(r.at)-1].Sub(before)
		require.Greater(t, last, idleAfter-busyPoll)
		require.Less(t, last, idleAfter+idlePoll+busyPoll, "then it is idle again")

		r.at = nil
		r.came <- 1
		<-time.After(idlePoll + busyPoll)
		synctest.Wait()
		require.NotEmpty(t, r.at, "and busy again with the next job")
	})
}

func TestEachClaimPutsTheNextOneOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		began := time.Now()
		p := &polls{ask: func() { asked = append(asked, time.Since(began)) }}
		p.claimed(1)
		<-time.After(busyPoll - time.Millisecond)
		p.claimed(0) // River's own
		<-time.After(idleAfter / 2)
		synctest.Wait()
		require.Equal(t, []time.Duration{2*busyPoll - time.Millisecond}, asked)
	})
}

func TestNobodyIsAskedAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &polls{ask: func() { t.Error("asked after the end") }}
		p.stop()
		p.claimed(1) // was under way
		<-time.After(time.Second)

		p = &polls{ask: func() { t.Error("asked after the end") }}
		p.claimed(1)
		p.stop()
		p.stop()
		<-time.After(time.Second)
	})
}

// unreachable is an executor whose database is away.
type unreachable struct{ riverdriver.Executor }

var errAway = errors.New("away")

func (unreachable) JobGetAvailable(context.Context, *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	return nil, errAway
}

func TestAClaimThatFailsIsRepeatedAsSoonAsOneThatFindsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		p := &pilot{polls: &polls{ask: func() { asked++ }, job: time.Now()}}
		_, err := p.JobGetAvailable(t.Context(), unreachable{}, nil, &riverdriver.JobGetAvailableParams{MaxToLock: 1})
		require.ErrorIs(t, err, errAway)
		<-time.After(busyPoll)
		synctest.Wait()
		require.Equal(t, 1, asked)
	})
}

// River's own poll is an hour away here: what comes after the first job is claimed because
// River was told to look.
func TestRiverAsksAgainSoonAfterAJob(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	b, clock, polls := newBatcher(10), &databaseClock{}, &polls{}
	workers := river.NewWorkers()
	require.NoError(t, river.AddWorkerSafely(workers, &worker{batcher: b, clock: clock}))
	pool := h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.MaxConns = 4 })
	client, err := river.NewClient(driver{riverpgxv5.New(pool), besideOthers(pool), b, clock, polls}, &river.Config{
		ID: "w", Schema: migrations.Schema, PollOnly: true, Workers: workers, Logger: slog.New(slog.DiscardHandler),
		Queues: map[string]river.QueueConfig{Queue: {MaxWorkers: 10, FetchCooldown: time.Millisecond, FetchPollInterval: time.Hour}},
	})
	require.NoError(t, err)
	defer polls.stop()
	claimed := func(what string) {
		t.Helper()
		select {
		case <-b.changed:
		case <-time.After(patience):
			t.Fatal("waited in vain for the " + what)
		}
	}

	h.enqueue(t, `{"key": "first", "user_id": "u", "track": {"event": "E"}}`)
	require.NoError(t, client.Start(t.Context()))
	defer client.StopAndCancel(context.Background()) //nolint:errcheck // the test is over
	claimed("first job")
	h.enqueue(t, `{"key": "second", "user_id": "u", "track": {"event": "E"}}`)
	claimed("second job")
}
