package jobs

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func bundlesOf(refs []ref) []int64 {
	ids := []int64{}
	for _, r := range refs {
		ids = append(ids, r.bundle)
	}
	return ids
}

func numbered(from, n int64) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = from + int64(i)
	}
	return ids
}

// gathering is a gather under way.
type gathering struct{ result chan []ref }

func gather(ctx context.Context, b *batcher, n int) gathering {
	g := gathering{make(chan []ref, 1)}
	go func() { g.result <- b.gather(ctx, n, linger) }()
	return g
}

// now is what it has returned by now, nil if it still waits.
func (g gathering) now() []ref {
	synctest.Wait()
	select {
	case refs := <-g.result:
		return refs
	default:
		return nil
	}
}

// batching runs a test on a clock of its own, with a batcher of so many slots.
func batching(t *testing.T, slots int, test func(t *testing.T, b *batcher)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newBatcher(slots)) })
}

func TestAFullRequestIsGatheredAtOnce(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		g := gather(t.Context(), b, 3)
		require.Nil(t, g.now())
		b.admit(1, 1, []int64{11})
		require.Nil(t, g.now())
		b.admit(2, 1, []int64{12, 13, 14})
		require.Equal(t, []int64{11, 12, 13}, bundlesOf(g.now()), "first come, first served")
		require.Equal(t, []int64{14}, bundlesOf(b.take(10)))
	})
}

func TestABundleLingersForCompany(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		g := gather(t.Context(), b, 1000)
		pass(time.Hour)
		b.admit(1, 1, []int64{11})
		pass(linger / 2)
		b.admit(2, 1, []int64{12})
		pass(linger/2 - 1)
		require.Nil(t, g.now())
		pass(1)
		require.Equal(t, []int64{11, 12}, bundlesOf(g.now()), "as long as the oldest may wait, and no longer")
	})
}

// When every job that River may run is waiting, no other one can come.
func TestNobodyLingersWhenNobodyCanCome(t *testing.T) {
	batching(t, 2, func(t *testing.T, b *batcher) {
		g := gather(t.Context(), b, 1000)
		b.admit(1, 1, []int64{11})
		require.Nil(t, g.now())
		b.admit(2, 1, []int64{12})
		require.Equal(t, []int64{11, 12}, bundlesOf(g.now()))

		// While bundles are in flight their jobs may end, and make room for others.
		b.putBack([]ref{{bundle: 11, job: &heldJob{}}})
		g = gather(t.Context(), b, 1000)
		require.Nil(t, g.now())
		pass(linger)
		require.NotNil(t, g.now())
	})
}

func TestGatheringEndsWithItsContext(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		ctx, cancel := context.WithCancel(t.Context())
		g := gather(ctx, b, 10)
		require.Nil(t, g.now())
		cancel()
		synctest.Wait()
		require.Nil(t, <-g.result)
	})
}

func TestWhatIsPutBackGoesFirst(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, []int64{11, 12})
		refs := b.take(2)
		require.Equal(t, 2, second(b.counts()))
		b.admit(2, 1, []int64{13})
		b.putBack(refs)
		require.Zero(t, second(b.counts()))
		require.Equal(t, []int64{11, 12, 13}, bundlesOf(b.take(10)))
	})
}

func second[A, B any](_ A, b B) B { return b }

func TestBundlesBehindARequestOfOursWaitUntilItIsSettled(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, []int64{11})
		refs := b.take(1)
		b.opened(7)
		b.putBackBehind(7, refs)
		g := gather(t.Context(), b, 1)
		pass(time.Hour)
		require.Nil(t, g.now())
		b.settled(8)
		require.Nil(t, g.now())
		b.settled(7)
		require.Equal(t, []int64{11}, bundlesOf(g.now()))
	})
}

func TestBundlesBehindAnotherWorkersRequestAskAgain(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, []int64{11})
		b.putBackBehind(7, b.take(1))
		g := gather(t.Context(), b, 1)
		pass(foreignWait - time.Millisecond)
		require.Nil(t, g.now())
		pass(time.Millisecond)
		require.Equal(t, []int64{11}, bundlesOf(g.now()))
	})
}

func TestWaitingForNothingLooksAtNothing(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		job := b.admit(1, 1, numbered(1, 3))
		b.opened(7)
		b.putBackBehind(7, b.take(3))
		ctx, cancel := context.WithCancel(t.Context())
		g := gather(ctx, b, 10)
		b.withdraw(job)
		b.settled(7)
		pass(10 * time.Minute)
		require.Nil(t, g.now(), "there is nobody left to gather for")
		require.Empty(t, b.ready)
		cancel()
		require.Nil(t, <-g.result)
	})
}

func TestAPackIsDoneOnceWithItsLastBundle(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		job := b.admit(1, 1, numbered(1, 100))
		var all sync.WaitGroup
		for range 4 { // flights of any size land in any order
			refs := b.take(25)
			all.Go(func() {
				for _, r := range refs {
					b.settle(&item{id: r.bundle, job: r.job})
				}
			})
		}
		all.Wait()
		<-job.done // closing it twice would panic
		require.True(t, b.idle())
		require.Zero(t, second(b.counts()))
	})
}

func TestAJobThatIsLostLetsGoOfItsBundles(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		flying, waiting, kept := b.admit(1, 1, []int64{11}), b.admit(2, 1, []int64{12}), b.admit(3, 1, []int64{13})
		refs := b.take(1)
		slices.Sort(b.heldIDs())
		require.ElementsMatch(t, []int64{1, 2, 3}, b.heldIDs())
		b.lose([]int64{1, 2, 3}, map[int64]bool{3: true})
		<-flying.done
		<-waiting.done
		require.True(t, flying.lost)
		require.False(t, kept.lost)
		b.settle(&item{job: refs[0].job}) // its flight lands all the same
		require.Equal(t, []int64{13}, bundlesOf(b.take(10)))
	})
}

// The batcher as a state machine: jobs come and go while flights take, settle,
// postpone and put back. No bundle of a held job is ever lost or handed out twice, and
// each job is done exactly when all of its bundles are.
func TestNothingIsLostInTheBatcher(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		slots, steps := rapid.IntRange(1, 5).Draw(rt, "slots"), rapid.SliceOfN(rapid.Custom(drawMove), 1, 80).Draw(rt, "steps")
		problem := ""
		synctest.Test(t, func(*testing.T) { problem = shuffle(newBatcher(slots), steps) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// move is one step of the machine; n and which choose sizes and victims.
type move struct {
	what     string
	n, which int
}

func drawMove(t *rapid.T) move {
	return move{
		what: rapid.SampledFrom([]string{
			"admit", "admit", "take", "take", "settle", "settle", "postpone", "put back", "put behind", "foreign", "open", "close", "withdraw", "lose", "wait",
		}).Draw(t, "what"),
		n: rapid.IntRange(0, 6).Draw(t, "n"), which: rapid.IntRange(0, 20).Draw(t, "which"),
	}
}

// shuffleModel is what must be true of a batcher.
type shuffleModel struct {
	*batcher
	lastBundle, lastJob int64
	jobs                map[*heldJob]map[int64]bool // bundles without an outcome
	flights             []ref                       // taken and not landed
	open                []int64
	lastRequest         int64
}

func shuffle(b *batcher, moves []move) string {
	m := &shuffleModel{batcher: b, jobs: map[*heldJob]map[int64]bool{}}
	for _, s := range moves {
		if problem := m.make(s); problem != "" {
			return s.what + ": " + problem
		}
		if problem := m.check(); problem != "" {
			return s.what + ": " + problem
		}
	}
	// In the end everything can be taken and settled.
	for _, request := range m.open {
		b.settled(request)
	}
	pass(foreignWait)
	if problem := m.taken(b.take(10_000)); problem != "" {
		return problem
	}
	for len(m.flights) > 0 {
		m.make(move{what: "settle"})
	}
	for job, open := range m.jobs {
		if !job.gone || len(open) > 0 {
			return "a job is left over"
		}
	}
	if jobs, flying := b.counts(); jobs != 0 || flying != 0 {
		return "the batcher is not empty"
	}
	return m.check()
}

func (m *shuffleModel) make(s move) string {
	land := func() (ref, bool) {
		if len(m.flights) == 0 {
			return ref{}, false
		}
		i := s.which % len(m.flights)
		r := m.flights[i]
		m.flights = slices.Delete(m.flights, i, i+1)
		return r, true
	}
	switch s.what {
	case "admit":
		ids := numbered(m.lastBundle+1, int64(s.n))
		m.lastBundle += int64(s.n)
		m.lastJob++
		job := m.admit(m.lastJob, 1, ids)
		m.jobs[job] = map[int64]bool{}
		for _, id := range ids {
			m.jobs[job][id] = true
		}
	case "take":
		return m.taken(m.take(s.n))
	case "settle", "postpone":
		if r, ok := land(); ok {
			delete(m.jobs[r.job], r.bundle)
			if s.what == "settle" {
				m.settle(&item{id: r.bundle, job: r.job})
			} else {
				m.postpone(&item{id: r.bundle, job: r.job}, time.Now().Add(time.Minute))
			}
		}
	case "put back":
		if r, ok := land(); ok {
			m.putBack([]ref{r})
		}
	case "put behind":
		if len(m.open) > 0 {
			if r, ok := land(); ok {
				m.putBackBehind(m.open[s.which%len(m.open)], []ref{r})
			}
		}
	case "foreign":
		if r, ok := land(); ok {
			m.putBackBehind(-1, []ref{r})
		}
	case "open":
		m.lastRequest++
		m.open = append(m.open, m.lastRequest)
		m.opened(m.lastRequest)
	case "close":
		if len(m.open) > 0 {
			m.settled(m.open[0])
			m.open = m.open[1:]
		}
	case "withdraw":
		if held := m.held(); len(held) > 0 {
			m.forget(held[s.which%len(held)])
			m.withdraw(held[s.which%len(held)])
		}
	case "lose":
		mine := map[int64]bool{}
		for i, job := range m.held() {
			if (i+s.which)%3 > 0 {
				mine[job.id] = true
			} else {
				m.forget(job)
			}
		}
		m.lose(m.heldIDs(), mine)
	case "wait":
		pass(foreignWait / 2)
	}
	return ""
}

// held are the jobs that Work waits on, in order.
func (m *shuffleModel) held() []*heldJob {
	held := slices.Collect(maps.Keys(m.batcher.held))
	slices.SortFunc(held, func(a, b *heldJob) int { return int(a.id - b.id) })
	return held
}

// forget takes a job out of the model: nobody waits for its bundles any more.
func (m *shuffleModel) forget(job *heldJob) { clear(m.jobs[job]) }

// taken notes what a flight got.
func (m *shuffleModel) taken(refs []ref) string {
	for _, r := range refs {
		if !m.jobs[r.job][r.bundle] {
			return "a bundle was handed out that nobody waits for"
		}
		if slices.Contains(m.flights, r) {
			return "a bundle was handed out twice"
		}
		m.flights = append(m.flights, r)
	}
	return ""
}

func (m *shuffleModel) check() string {
	places := map[int64]int{}
	note := func(r ref) {
		if !r.job.gone {
			places[r.bundle]++
		}
	}
	for _, r := range m.ready {
		note(r)
	}
	for _, refs := range m.behind {
		for _, r := range refs {
			note(r)
		}
	}
	for _, d := range m.delayed {
		note(d.ref)
	}
	for _, r := range m.flights {
		note(r)
	}
	open := 0
	for job, bundles := range m.jobs {
		for id := range bundles {
			if places[id] != 1 {
				return "a bundle is not in exactly one place"
			}
		}
		open += len(bundles)
		select {
		case <-job.done:
			if len(bundles) > 0 {
				return "a job is done before its bundles"
			}
		default:
			if len(bundles) == 0 && !job.gone {
				return "a job is not done, and its bundles are"
			}
		}
	}
	if _, flying := m.counts(); open != len(places) || flying != len(m.flights) {
		return "the counts are wrong"
	}
	return ""
}

// What a record completes is told to River's completer once, and only where every bundle of
// a job that somebody still waits for is among those recorded.
func TestAJobEndsWithItsLastBundle(t *testing.T) {
	t.Parallel()
	b := newBatcher(10)
	one, two, left, put := b.admit(1, 1, numbered(10, 1)), b.admit(2, 1, numbered(20, 2)), b.admit(3, 1, numbered(30, 1)), b.admit(4, 1, numbered(40, 2))
	b.withdraw(left)
	of := func(job *heldJob, id int64) *item { return &item{id: id, job: job} }
	b.postpone(of(put, 40), time.Now().Add(time.Hour))

	require.ElementsMatch(t, []int64{1}, b.ends([]*item{of(one, 10), of(two, 20), of(left, 30), of(put, 41)}))
	require.ElementsMatch(t, []int64{1, 2}, b.ends([]*item{of(two, 21), of(one, 10), of(two, 20)}))

	b.completed([]int64{1})
	require.True(t, b.isWritten(1))
	require.False(t, b.isWritten(2))
	b.ended([]int64{1})
	require.False(t, b.isWritten(1))
}
