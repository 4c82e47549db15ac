package jobs

import (
	"cmp"
	"math/bits"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naming is how a 400 speaks of the events at fault.
type naming int

const (
	namesNone  naming = iota
	namesFirst        // the HTTP V2 page's wording
	namesAll          // the Batch page's wording
)

// judge is Amplitude as a splitter sees it, with the record of one flight.
type judge struct {
	poison   map[int]bool
	naming   naming
	most     int            // bundles in a request, 0 for any number
	refusing func(int) bool // whether the n-th request meets a refusal of everything
	status   int            // of that refusal, 0 for the one that poison gets

	requests  int
	delivered map[int]int // times, by position
	rejected  map[int]int
	stuckAt   []int // requests that ended with everything refused
	sent      [][]int
}

// fly sends until the splitter has nothing left, or more than limit requests were made.
// elsewhere says before which request another flight's request is accepted.
func (j *judge) fly(t require.TestingT, s *splitter, limit int, elsewhere func(int) bool) {
	j.delivered, j.rejected = map[int]int{}, map[int]int{}
	for at := s.next(); at != nil; at = s.next() {
		if !slices.IsSorted(at) || !slices.Equal(at, s.next()) {
			require.Fail(t, "a piece keeps its order, and stays the same until its answer", "%v", at)
		}
		if j.requests++; j.requests > limit {
			return
		}
		j.sent = append(j.sent, slices.Clone(at))
		if elsewhere != nil && elsewhere(j.requests) {
			s.elsewhere()
			require.Equal(t, at, s.next(), "another flight's answer does not change what is under way")
		}
		j.answer(s, at)
	}
}

func (j *judge) answer(s *splitter, at []int) {
	bad := slices.DeleteFunc(slices.Clone(at), func(i int) bool { return !j.poison[i] })
	switch {
	case j.most > 0 && len(at) > j.most:
		if fault := s.tooLarge(); fault >= 0 {
			j.rejected[fault]++
		}
	case j.refusing != nil && j.refusing(j.requests), len(bad) > 0 && j.naming == namesNone:
		status := 400
		if len(bad) == 0 {
			status = cmp.Or(j.status, status)
		}
		fault, stuck := s.refused(status)
		if fault >= 0 {
			j.rejected[fault]++
		}
		if stuck {
			j.stuckAt = append(j.stuckAt, j.requests)
		}
	case len(bad) > 0:
		if j.naming == namesFirst {
			bad = bad[:1]
		}
		for _, i := range bad {
			j.rejected[i]++
		}
		s.without(bad...)
	default:
		for _, i := range at {
			j.delivered[i]++
		}
		s.accepted()
	}
}

// requireFates demands exactly one fate for each of n bundles: the poison rejected, the
// others delivered.
func (j *judge) requireFates(t require.TestingT, n int) {
	for i := range n {
		if j.delivered[i]+j.rejected[i] != 1 || j.poison[i] != (j.rejected[i] == 1) {
			require.Failf(t, "not one right fate", "bundle %d: delivered %d times, rejected %d times; it is poison: %v",
				i, j.delivered[i], j.rejected[i], j.poison[i])
		}
	}
}

func poisonAt(positions ...int) map[int]bool {
	poison := map[int]bool{}
	for _, i := range positions {
		poison[i] = true
	}
	return poison
}

func log2(n int) int { return bits.Len(uint(n - 1)) }

func TestAFlightWithoutPoisonIsOneRequest(t *testing.T) {
	t.Parallel()
	j := &judge{}
	j.fly(t, newSplitter(1000), 10, nil)
	require.Equal(t, 1, j.requests)
	j.requireFates(t, 1000)
}

func TestANamedPoisonCostsOneMoreRequest(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 1000; n += 37 {
		for _, position := range []int{0, 1, n / 2, n - 1} {
			j := &judge{poison: poisonAt(position), naming: namesFirst}
			j.fly(t, newSplitter(n), 10, nil)
			require.Equal(t, 2, j.requests, "n=%d, position %d", n, position)
			j.requireFates(t, n)
		}
	}
}

// One bad bundle that Amplitude does not name is found within ⌈log2 n⌉+3 requests,
// wherever it stands, and nothing is ever taken for a refusal of everything.
func TestAnUnnamedPoisonIsFoundByBisection(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 1000; n++ {
		step := 1
		if n > 64 { // every position of small flights, the borders and a spread of large ones
			step = n/8 + 1
		}
		positions := []int{0, 1, n/2 - 1, n / 2, n - 2, n - 1}
		for position := 0; position < n; position += step {
			positions = append(positions, position)
		}
		for _, position := range positions {
			j := &judge{poison: poisonAt(position)}
			j.fly(t, newSplitter(n), log2(n)+3, nil)
			require.LessOrEqual(t, j.requests, log2(n)+3, "n=%d, position %d", n, position)
			require.Empty(t, j.stuckAt, "n=%d, position %d", n, position)
			j.requireFates(t, n)
		}
	}
}

func TestTheLargestFlightForEveryPosition(t *testing.T) {
	t.Parallel()
	for position := range 1000 {
		j := &judge{poison: poisonAt(position)}
		j.fly(t, newSplitter(1000), 13, nil)
		j.requireFates(t, 1000)
	}
}

// Two faults far apart look like a refusal of everything for a while: the search
// changes ends before it gives up.
func TestTwoUnnamedPoisonsAtBothEndsDoNotLookLikeARefusalOfEverything(t *testing.T) {
	t.Parallel()
	for n := 3; n <= 1000; n++ {
		j := &judge{poison: poisonAt(0, n-1)}
		j.fly(t, newSplitter(n), 200, nil)
		require.Empty(t, j.stuckAt, "n=%d", n)
		j.requireFates(t, n)
	}
}

func TestAClusterOfUnnamedPoisonsIsFound(t *testing.T) {
	t.Parallel()
	var cluster []int
	for i := range 12 {
		cluster = append(cluster, i)
	}
	j := &judge{poison: poisonAt(cluster...)}
	j.fly(t, newSplitter(500), requestBudget, nil)
	require.Empty(t, j.stuckAt)
	j.requireFates(t, 500)
}

func TestNothingIsRejectedWhileEverythingIsRefused(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 10, 999, 1000} {
		j := &judge{refusing: func(int) bool { return true }}
		j.fly(t, newSplitter(n), 1000, nil)
		require.Empty(t, j.rejected, "n=%d", n)
		require.Empty(t, j.delivered, "n=%d", n)
		require.NotEmpty(t, j.stuckAt, "n=%d", n)
		require.LessOrEqual(t, j.stuckAt[0], 3*bits.Len(uint(n))+3, "n=%d: it is noticed soon", n)
		require.LessOrEqual(t, j.requests, requestBudget, "n=%d", n)
		for i := j.stuckAt[0]; i < j.requests; i++ {
			require.Len(t, j.sent[i], 1, "n=%d: a probe is a single bundle", n)
			require.True(t, n == 1 || !slices.Equal(j.sent[i], j.sent[i-1]), "n=%d: and another one each time", n)
		}
	}
}

// When a refusal of everything ends, whoever is in the line gets through, in two
// requests however many were refused alone meanwhile.
func TestARefusalOfEverythingEnds(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		for end := 1; end <= 60; end++ {
			j := &judge{refusing: func(request int) bool { return request <= end }}
			j.fly(t, newSplitter(n), 1000, nil)
			require.Empty(t, j.rejected, "n=%d, %d requests refused", n, end)
			j.requireFates(t, n)
			if len(j.stuckAt) > 0 && j.stuckAt[0] < end {
				require.LessOrEqual(t, j.requests, end+2, "n=%d, %d requests refused", n, end)
			}
		}
	}
}

// A refusal of everything that begins during a search cannot be told from more bad
// bundles at once. However long it lasts, it ends a few innocent bundles at most.
func TestARefusalOfEverythingBeginsDuringASearch(t *testing.T) {
	t.Parallel()
	for _, position := range []int{0, 250, 499, 500, 999} {
		for begin := 2; begin <= 20; begin++ {
			j := &judge{poison: poisonAt(position), refusing: func(request int) bool { return request >= begin }}
			j.fly(t, newSplitter(1000), 1000, nil)
			delete(j.rejected, position)
			require.LessOrEqual(t, len(j.rejected), 8, "poison at %d, refused from request %d", position, begin)
		}
	}
}

// A refusal of everything that looks different from the one that began the search, a
// firewall's in the place of Amplitude's, is nobody's fault.
func TestARefusalOfAnotherKindBeginsDuringASearch(t *testing.T) {
	t.Parallel()
	for _, position := range []int{0, 250, 499, 500, 999} {
		for begin := 2; begin <= 20; begin++ {
			j := &judge{poison: poisonAt(position), refusing: func(request int) bool { return request >= begin }, status: 403}
			j.fly(t, newSplitter(1000), 1000, nil)
			delete(j.rejected, position)
			require.Empty(t, j.rejected, "poison at %d, refused from request %d", position, begin)
		}
	}
}

// A bundle that is refused in two ways has its verdict when one of them has lasted.
func TestABundleThatIsRefusedInTwoWaysIsFoundAllTheSame(t *testing.T) {
	t.Parallel()
	s := newSplitter(2)
	s.next()
	s.refused(400) // both
	s.next()
	s.accepted() // the first
	for _, want := range []int{-1, -1} {
		require.Equal(t, []int{1}, s.next())
		fault, _ := s.refused(403)
		require.Equal(t, want, fault, "nothing was accepted since the first 403")
	}
	s.elsewhere()
	require.Equal(t, []int{1}, s.next())
	fault, _ := s.refused(403)
	require.Equal(t, 1, fault)
}

// A lone bundle that is refused cannot be told from a refusal of everything, until
// another flight's request is accepted.
func TestALoneBundleIsRejectedOnlyWhenOthersAreAccepted(t *testing.T) {
	t.Parallel()
	s := newSplitter(1)
	for range 5 {
		require.Equal(t, []int{0}, s.next())
		fault, stuck := s.refused(400)
		require.Equal(t, -1, fault)
		require.True(t, stuck)
	}
	s.elsewhere()
	require.Equal(t, []int{0}, s.next())
	fault, stuck := s.refused(400)
	require.Equal(t, 0, fault)
	require.False(t, stuck)
	require.Nil(t, s.next())
}

// A piece whose bundles had nothing left to say was not sent: that nothing refused it
// shows nothing.
func TestAPieceThatWasNotSentIsNoAcceptance(t *testing.T) {
	t.Parallel()
	s := newSplitter(2)
	s.next()
	s.refused(400)
	require.Equal(t, []int{0}, s.next())
	s.passed()
	require.Equal(t, []int{1}, s.next(), "the fault must be in the other half")
	fault, stuck := s.refused(400)
	require.Equal(t, -1, fault)
	require.True(t, stuck)
}

func TestTooLargeIsHalvedInOrder(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 3, 50, 100} {
		j := &judge{most: most}
		j.fly(t, newSplitter(100), requestBudget, nil)
		j.requireFates(t, 100)
		var order []int
		for _, at := range j.sent {
			if len(at) <= most {
				order = append(order, at...)
			}
		}
		require.True(t, slices.IsSorted(order), "what fits goes out in order: %v", order)
	}
}

func TestABundleTooLargeForARequestIsRejectedAlone(t *testing.T) {
	t.Parallel()
	s := newSplitter(1)
	s.next()
	require.Equal(t, 0, s.tooLarge())
	require.Nil(t, s.next())
}

func TestWhatLeavesOtherwiseTakesTheSuspicionAlong(t *testing.T) {
	t.Parallel()
	s := newSplitter(4)
	s.next()
	s.refused(400) // all four
	require.Equal(t, []int{0, 1}, s.next())
	s.without(2) // the other half may have lost its fault
	require.Equal(t, []int{0, 1}, s.next())
	s.accepted()
	require.Equal(t, []int{3}, s.next())
	s.accepted()
	require.Nil(t, s.next())
}

func TestWhoWasRefusedAloneMayLeaveOtherwise(t *testing.T) {
	t.Parallel()
	s := newSplitter(3)
	s.next()
	s.refused(400)
	require.Equal(t, []int{0}, s.next())
	s.refused(400)
	s.next()
	s.without(0, 1) // parked, say
	require.Equal(t, []int{2}, s.left())
}

// From the end backwards the piece known to hold the fault comes before the rest.
func TestAPieceThatIsTooLargeOnTheWayBackKeepsItsOrder(t *testing.T) {
	t.Parallel()
	s := newSplitter(8)
	s.fromEnd = true
	s.next()
	s.refused(400)
	require.Equal(t, []int{4, 5, 6, 7}, s.next())
	require.Equal(t, -1, s.tooLarge())
	require.Equal(t, []int{4, 5}, s.next())
	s.accepted()
	require.Equal(t, []int{0, 1, 2, 3, 6, 7}, s.next())
}

func TestABudgetEndsTheSearchWithTheRestLeftOver(t *testing.T) {
	t.Parallel()
	poison := map[int]bool{}
	for i := 0; i < 1000; i += 2 {
		poison[i] = true
	}
	j := &judge{poison: poison}
	s := newSplitter(1000)
	j.fly(t, s, 10_000, nil)
	require.Equal(t, requestBudget, j.requests)
	require.NotEmpty(t, j.rejected, "what was found stays found")
	require.NotEmpty(t, j.delivered)
	require.Len(t, s.left(), 1000-len(j.rejected)-len(j.delivered))
	require.True(t, slices.IsSorted(s.left()))
}

// Whatever Amplitude does, every bundle is in one of three places: delivered, rejected,
// left over; nobody is in two, and no innocent is ever rejected.
func TestEveryBundleHasOneFate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 1000)).Draw(t, "n")
		poison := rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, min(n, 30), rapid.ID[int]).Draw(t, "poison")
		refused := rapid.IntRange(0, 60).Draw(t, "requests refused at the start")
		others := rapid.SliceOfDistinct(rapid.IntRange(refused+1, 300), rapid.ID[int]).Draw(t, "accepted elsewhere before")
		j := &judge{
			poison:   poisonAt(poison...),
			naming:   rapid.SampledFrom([]naming{namesNone, namesFirst, namesAll}).Draw(t, "naming"),
			most:     rapid.SampledFrom([]int{0, 0, 0, 1, 10, 100}).Draw(t, "most"),
			refusing: func(request int) bool { return request <= refused },
		}
		s := newSplitter(n)
		j.fly(t, s, 10_000, func(request int) bool { return slices.Contains(others, request) })

		require.LessOrEqual(t, j.requests, requestBudget)
		fates := map[int]int{}
		for i, times := range j.delivered {
			fates[i] += times
			require.False(t, j.poison[i], "bundle %d is poison and was delivered", i)
		}
		for i, times := range j.rejected {
			fates[i] += times
			require.True(t, j.poison[i], "bundle %d is innocent and was rejected", i)
		}
		for _, i := range s.left() {
			fates[i]++
		}
		require.Len(t, fates, n)
		for i, times := range fates {
			require.Equal(t, 1, times, "bundle %d", i)
		}
		if j.naming != namesNone && j.most == 0 && refused == 0 {
			require.LessOrEqual(t, j.requests, len(poison)+1)
		}
		if j.requests < requestBudget {
			require.Empty(t, s.left(), "the search ends only when it is done")
		}
	})
}
