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
		0:                             busyPoll,
		time.Second:                   busyPoll,
		calmAfter - time.Millisecond:  busyPoll,
		calmAfter:                     calmPoll,
		quietAfter - time.Millisecond: calmPoll,
		quietAfter:                    quietPoll,
		time.Hour:                     quietPoll,
	} {
		require.Equal(t, want, nextPoll(since), since)
	}
}

func TestABundleAfterAPauseIsClaimedWithinASecond(t *testing.T) {
	t.Parallel()
	const jitter = quietPoll / 10 // River's, at most
	require.LessOrEqual(t, quietPoll+jitter, time.Second)
	require.Equal(t, quietPoll, (&Runner{cfg: Config{Logger: slog.New(slog.DiscardHandler)}}).riverConfig(nil).Queues[Queue].FetchPollInterval)
	require.LessOrEqual(t, calmPoll, 350*time.Millisecond, "after a short one within a third of that")
}

// riverStandIn claims whenever it is asked to, and by itself like River does.
type riverStandIn struct {
	polls *polls
	ask   chan struct{} // as capacious as River's own
	came  chan int      // jobs for the next claim
	at    []time.Time   // of each claim that it was asked for
}

func newRiverStandIn() *riverStandIn {
	r := &riverStandIn{polls: newPolls(), ask: make(chan struct{}, 1), came: make(chan int, 1)}
	r.polls.ask = func() { r.ask <- struct{}{} }
	return r
}

func (r *riverStandIn) claim() {
	select {
	case n := <-r.came:
		r.polls.claimed(n, false)
	default:
		r.polls.claimed(0, false)
	}
}

func (r *riverStandIn) run(ctx context.Context) {
	own := time.NewTicker(quietPoll)
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

		for _, again := range []string{"it has just started", "a job has come"} {
			before := time.Now()
			if again == "a job has come" {
				r.came <- 3
			}
			<-time.After(quietAfter + time.Minute)
			synctest.Wait()
			gaps := map[time.Duration]int{} // of each rhythm
			last := before
			for _, at := range r.at {
				gaps[nextPoll(last.Sub(before))]++
				require.LessOrEqual(t, at.Sub(last), nextPoll(last.Sub(before))+quietPoll, again)
				last = at
			}
			require.InDelta(t, calmAfter/busyPoll, gaps[busyPoll], 40, again)
			require.InDelta(t, (quietAfter-calmAfter)/calmPoll, gaps[calmPoll], 120, again)
			require.LessOrEqual(t, gaps[quietPoll], int(quietPoll/calmPoll)+1, "for as long as the job took to be claimed")
			require.InDelta(t, quietAfter, last.Sub(before), float64(2*quietPoll), "then River's own suffices")
			r.at = nil
		}

		r.came <- 1
		<-time.After(quietPoll + busyPoll)
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
		p.claimed(1, false)
		<-time.After(busyPoll - time.Millisecond)
		p.claimed(0, false) // River's own
		<-time.After(calmAfter / 2)
		synctest.Wait()
		require.Equal(t, []time.Duration{2*busyPoll - time.Millisecond}, asked)
	})
}

func TestWhatAClaimHasLeftIsClaimedNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Duration
		began := time.Now()
		p := &polls{ask: func() { asked = append(asked, time.Since(began)) }}
		p.claimed(1, true)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []time.Duration{fetchCooldown}, asked)
	})
}

func TestNobodyIsAskedAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &polls{ask: func() { t.Error("asked after the end") }}
		p.stop()
		p.claimed(1, false) // was under way
		<-time.After(time.Second)

		p = &polls{ask: func() { t.Error("asked after the end") }}
		p.claimed(1, false)
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
