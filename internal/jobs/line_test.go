package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// inLine are the bundles that are ready to be gathered, in the order in which they would be.
func inLine(b *batcher) (refs []ref) {
	for _, q := range b.line.queues {
		refs = slices.Concat(refs, q.again, q.fresh)
	}
	return refs
}

// lined is a line of fresh bundles, whose jobs have the priority.
func lined(priority int, bundles ...int64) *line {
	l := &line{}
	for _, id := range bundles {
		l.push(ref{bundle: id, job: &heldJob{priority: priority}})
	}
	return l
}

// takeFrom takes up to n.
func takeFrom(l *line, n int) []ref {
	var taken []ref
	l.take(func(r ref) bool {
		if len(taken) == n {
			return false
		}
		taken = append(taken, r)
		return true
	})
	return taken
}

// An import is a backlog of packs, and what happens meanwhile must not wait for all of it.
func TestASingleBundleGoesBeforePacksThatWait(t *testing.T) {
	batching(t, 100, func(t *testing.T, b *batcher) {
		b.admit(1, 1, 3, numbered(100, 50))
		packs := b.take(10)
		b.admit(2, 1, 1, []int64{11})
		b.putBack(packs[5:])
		b.admit(3, 1, 1, []int64{12})

		require.Equal(t, []int64{11, 12, 105, 106}, bundlesOf(b.take(4)))
		require.Equal(t, []int64{107, 108, 109, 110, 111}, bundlesOf(b.take(5)), "what was put back goes before its like")
	})
}

func TestWorkHandsOnTheJobsPriority(t *testing.T) {
	t.Parallel()
	b := newBatcher(10)
	w := &worker{batcher: b, clock: &databaseClock{}}
	for id, priority := range map[int64]int{1: 3, 2: 1, 3: 4, 4: 0, 5: 2} {
		go func() { _ = w.Work(t.Context(), jobOf(id, priority, 10*id)) }()
	}
	taken := b.gather(t.Context(), 5, time.Minute)
	require.Equal(t, []int64{40, 20, 50, 10, 30}, bundlesOf(taken))
	for _, r := range taken {
		b.settle(&item{id: r.bundle, job: r.job})
	}
}

func TestBundlesOfAUserAreBroughtTogether(t *testing.T) {
	t.Parallel()
	l := lined(3, 5, 3, 1, 2, 4, 6, 7)
	s := l.ahead(1, 2, 6)
	require.Equal(t, stretch{3, []int64{5, 3, 1, 2, 4, 6}}, s)

	l.arrange(s, map[int64]int64{1: 77, 4: 77, 6: 77, 2: 88, 5: 88}) // nobody's is 3

	require.Equal(t, []int64{1, 4, 6, 2, 5, 3, 7}, bundlesOf(takeFrom(l, 10)), "in their order, the first of each in its place")
}

func TestOnlyWhatComesNextAndIsWorthItIsArranged(t *testing.T) {
	t.Parallel()
	l := lined(3, numbered(1, 10)...)
	require.Empty(t, l.ahead(2, 11, 5), "too few stand there")

	first := l.ahead(2, 4, 5)
	l.arrange(first, nil)
	require.Equal(t, numbered(1, 5), first.bundles)
	require.Empty(t, l.ahead(2, 4, 5), "the next two stand as they should")
	require.Equal(t, numbered(6, 5), l.ahead(6, 4, 5).bundles, "the sixth does not")

	back := takeFrom(l, 4)
	require.Equal(t, numbered(6, 5), l.ahead(2, 4, 5).bundles, "one is left")
	l.putBack(back)
	require.Empty(t, l.ahead(2, 4, 5), "what was put back goes first")

	l.push(ref{bundle: 11, job: &heldJob{priority: 1}})
	takeFrom(l, 5)
	require.Equal(t, numbered(6, 5), l.ahead(2, 4, 5).bundles)
	for id := range int64(3) {
		l.push(ref{bundle: 20 + id, job: &heldJob{priority: 1}})
	}
	require.Empty(t, l.ahead(2, 4, 5), "single bundles come first, and they are few")
}

func TestAnImportIsDeliveredUserByUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const users = lookAheadFrom / 10
	bundles := make([]string, lookAheadFrom)
	for i := range bundles {
		bundles[i] = fmt.Sprintf(`{"key": "k%d", "user_id": "u%d", "track": {"event": "Imported"}}`, i, i%users)
	}
	ids := h.enqueue(t, bundles...)
	l := preparing(h)
	l.batcher.admit(1, 1, 3, ids)

	ended, end := context.WithCancel(t.Context())
	end()
	l.lookAhead(ended)
	require.ElementsMatch(t, ids, bundlesOf(inLine(l.batcher)), "nothing is lost")
	require.Zero(t, len(l.batcher.ahead(batchMost).bundles), "and nobody asks again") //nolint:testifylint // it would print them all

	l.batcher = newBatcher(10)
	l.batcher.admit(1, 1, 3, ids)
	l.lookAhead(t.Context())

	taken := bundlesOf(l.batcher.take(len(ids)))
	require.Len(t, taken, lookAheadFrom)
	for i, id := range taken {
		require.Equal(t, ids[i/10+i%10*users], id, "ten in turn are one user's, in their order")
	}
}
