package jobs

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// inLine are the bundles that are ready to be gathered, in the order in which they would be.
func inLine(b *batcher) (refs []ref) {
	for _, q := range b.line.queues {
		again := slices.Clone(q.again)
		slices.Reverse(again)
		refs = slices.Concat(refs, again, q.fresh)
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
	taken := b.gather(t.Context(), 5, time.Minute, func() {})
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

func TestAUserWithVeryManyBundlesFillsNoRequest(t *testing.T) {
	t.Parallel()
	l := lined(3, numbered(0, 10*runMost)...)
	users := map[int64]int64{}
	for id := int64(0); id < 10*runMost; id += 2 {
		users[id] = 77
	}
	l.arrange(l.ahead(1, 2, 10*runMost), users)

	for _, some := range [][]ref{takeFrom(l, 4*runMost), takeFrom(l, 4*runMost)} {
		theirs := 0
		for _, r := range some {
			theirs += int(1 - r.bundle%2)
		}
		require.Equal(t, 2*runMost, theirs, "as many as stood there before")
	}
}

func TestWhatIsPutBackLastGoesFirst(t *testing.T) {
	t.Parallel()
	l := lined(1, numbered(1, 6)...)
	first, second := takeFrom(l, 2), takeFrom(l, 2)
	l.putBack(first)
	l.putBack(second)
	require.Equal(t, []int64{3, 4, 1, 2, 5, 6}, bundlesOf(takeFrom(l, 10)))
	require.Zero(t, l.length)
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

// importOf enqueues as many bundles as are looked through, of so many users in turn, and leaves
// them to one job.
func (h *house) importOf(t *testing.T, users int) []int64 {
	t.Helper()
	bundles := make([]string, lookAheadFrom)
	for i := range bundles {
		bundles[i] = fmt.Sprintf(`{"key": "k%d", "user_id": "u%d", "track": {"event": "Imported"}}`, i, i%users)
	}
	ids := h.enqueue(t, bundles...)
	require.Len(t, ids, lookAheadFrom)
	h.exec(t, "DELETE FROM waybill.river_job WHERE id > (SELECT min(id) FROM waybill.river_job)")
	h.exec(t, "UPDATE waybill.river_job SET args = jsonb_build_object('bundle_ids', $1::bigint[])", ids)
	return ids
}

func TestAnImportIsDeliveredUserByUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const users = lookAheadFrom / 10
	h.importOf(t, users)

	h.once(t)

	require.Equal(t, map[string]int{"delivered": lookAheadFrom}, h.ledger(t))
	require.LessOrEqual(t, ask[int](t, h, `SELECT max(n) FROM (
		SELECT count(DISTINCT d.request_id) AS n
		FROM waybill.bundle AS b JOIN waybill.delivery AS d ON d.bundle_id = b.id GROUP BY b.user_id) AS u`), 2, "a request may end among them")
}

func TestALookAheadOrdersBundlesByUser(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	const users = lookAheadFrom / 10
	ids := h.importOf(t, users)
	l := preparing(h)
	l.batcher.admit(1, 1, 3, ids)

	l.lookAhead(t.Context())

	taken := bundlesOf(l.batcher.take(len(ids)))
	require.Len(t, taken, lookAheadFrom)
	for i, id := range taken {
		require.Equal(t, ids[i/10+i%10*users], id, "ten in turn are one user's, in their order")
	}
}

// Nothing is delivered meanwhile, and so it is given up soon, and said.
func TestALookAheadThatTakesTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.importOf(t, 10)
	l := preparing(h)
	var log bytes.Buffer
	l.cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	slices.Reverse(ids)
	l.batcher.admit(1, 1, 3, ids)
	h.somebody(t, "LOCK TABLE waybill.bundle")

	l.lookAhead(t.Context())

	require.Contains(t, log.String(), "cannot look whose the bundles are")
	require.Contains(t, log.String(), "bundles=6000")
	require.Zero(t, len(l.batcher.ahead(batchMost).bundles), "nobody asks again") //nolint:testifylint // it would print them all
	slices.Reverse(ids)
	require.Equal(t, ids, bundlesOf(l.batcher.take(len(ids))), "nothing is lost")
}
