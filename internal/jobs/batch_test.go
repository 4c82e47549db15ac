package jobs

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
	go func() { g.result <- b.gather(ctx, n, linger, func() {}) }()
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
		b.admit(1, 1, 1, []int64{11})
		require.Nil(t, g.now())
		b.admit(2, 1, 1, []int64{12, 13, 14})
		require.Equal(t, []int64{11, 12, 13}, bundlesOf(g.now()), "first come, first served")
		require.Equal(t, []int64{14}, bundlesOf(b.take(10)))
	})
}

func TestABundleLingersForCompany(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		g := gather(t.Context(), b, 1000)
		pass(time.Hour)
		b.admit(1, 1, 1, []int64{11})
		pass(linger / 2)
		b.admit(2, 1, 1, []int64{12})
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
		b.admit(1, 1, 1, []int64{11})
		require.Nil(t, g.now())
		b.admit(2, 1, 1, []int64{12})
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
		b.admit(1, 1, 1, []int64{11, 12})
		refs := b.take(2)
		require.Equal(t, 2, second(b.counts()))
		b.admit(2, 1, 1, []int64{13})
		b.putBack(refs)
		require.Zero(t, second(b.counts()))
		require.Equal(t, []int64{11, 12, 13}, bundlesOf(b.take(10)))
	})
}

func TestWhatWaitsAgainKeepsWhatWasReadAsFarAsThereIsRoom(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, 1, []int64{11, 12, 13})
		read := func(refs []ref) (kept []bool) {
			for _, r := range refs {
				kept = append(kept, r.read != nil)
			}
			return kept
		}
		b.opened(7)
		for range 2 { // what is taken makes room
			refs := b.take(3)
			for i := range refs {
				refs[i].read = &item{bytes: keepMost / 2}
			}
			b.putBack(refs[2:])
			b.putBackBehind(7, refs[:2])
			b.settled(7)
			b.opened(7)
			require.Equal(t, []int64{11, 12, 13}, bundlesOf(inLine(b)))
			require.Equal(t, []bool{true, false, true}, read(inLine(b)))
		}
	})
}

func second[A, B any](_ A, b B) B { return b }

func TestBundlesBehindARequestOfOursWaitUntilItIsSettled(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, 1, []int64{11})
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

func TestWhoeverIsReservedWaitsUntilTheRequestIsSettled(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		ada, eve, account := identity{kindUser, "ada"}, identity{kindUser, "eve"}, identity{"group:account", "acc"}
		items := []*item{{touched: []identity{ada, account}}, {touched: []identity{eve, account}}, {touched: []identity{eve}}, {touched: []identity{}}}
		b.opened(7)
		b.opened(8)
		b.reserve(7, []identity{account})
		b.reserve(8, []identity{ada})
		require.Equal(t, []int64{8, 7, 0, 0}, b.reservedTo(items))
		b.settled(8)
		require.Equal(t, []int64{7, 7, 0, 0}, b.reservedTo(items))
		b.settled(7)
		require.Equal(t, []int64{0, 0, 0, 0}, b.reservedTo(items))
		b.reserve(7, []identity{eve})
		require.Equal(t, []int64{0, 0, 0, 0}, b.reservedTo(items), "it was settled before")
	})
}

func TestNothingWaitsForARequestOfAnEarlierLife(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		ada := identity{kindUser, "ada"}
		b.admit(1, 1, 1, []int64{11, 12})
		b.opened(7)
		b.reserve(7, []identity{ada})
		b.putBackBehind(7, b.take(1))
		b.reborn()
		require.Equal(t, []int64{11, 12}, bundlesOf(b.take(10)))
		b.reserve(7, []identity{ada})
		require.Equal(t, []int64{0}, b.reservedTo([]*item{{touched: []identity{ada}}}))
		require.Equal(t, []int64{7}, b.openRequests(), "it is still under way")

		b.putBackBehind(7, []ref{{bundle: 11, job: &heldJob{}}})
		g := gather(t.Context(), b, 1)
		pass(foreignWait)
		require.Equal(t, []int64{11}, bundlesOf(g.now()), "it asks again, as after another worker's request")
	})
}

func TestBundlesBehindAnotherWorkersRequestAskAgain(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, 1, []int64{11})
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
		job := b.admit(1, 1, 1, numbered(1, 3))
		b.opened(7)
		b.putBackBehind(7, b.take(3))
		ctx, cancel := context.WithCancel(t.Context())
		g := gather(ctx, b, 10)
		b.withdraw(job)
		b.settled(7)
		pass(10 * time.Minute)
		require.Nil(t, g.now(), "there is nobody left to gather for")
		require.Empty(t, inLine(b))
		cancel()
		require.Nil(t, <-g.result)
	})
}

func TestAPackIsDoneOnceWithItsLastBundle(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		job := b.admit(1, 1, 1, numbered(1, 100))
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
		flying, waiting, kept := b.admit(1, 1, 1, []int64{11}), b.admit(2, 1, 1, []int64{12}), b.admit(3, 1, 1, []int64{13})
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

// What a record completes is told to River's completer once, and only where every bundle of
// a job that somebody still waits for is among those recorded.
func TestAJobEndsWithItsLastBundle(t *testing.T) {
	t.Parallel()
	b := newBatcher(10)
	one, two, left, put := b.admit(1, 1, 1, numbered(10, 1)), b.admit(2, 1, 1, numbered(20, 2)), b.admit(3, 1, 1, numbered(30, 1)), b.admit(4, 1, 1, numbered(40, 2))
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
