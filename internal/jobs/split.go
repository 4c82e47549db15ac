package jobs

import (
	"math"
	"math/bits"
	"slices"
)

// splitter decides which bundles of a flight to send next. It is pure: it sees answers
// as method calls and keeps no time. Bundles are positions 0…n-1, and a piece keeps
// their order, because Amplitude applies properties in the order in which it receives
// them.
//
// A request that was refused without naming an event is halved until a bundle stands
// alone. What is known to hold the fault is never sent again whole, and what was put by
// on the way goes out as one piece afterwards, so that one bad bundle among n costs
// about log2 n requests more than none. A bundle is at fault when it is refused alone
// and something was accepted since it was first refused in the same way: without that, it
// cannot be told from a refusal of everything.
type splitter struct {
	current *piece // chosen by next, until its answer
	search  []piece
	putBy   []int // nothing is known of them; they go out together after the search
	alone   []int // refused alone, and not proven to be at fault

	budget   int
	patience int // refusals in a row that a few faults explain

	acceptances int
	refusals    int   // in a row
	refusedAt   []int // by position: acceptances when the suspicion began, never without one
	refusedAs   []int // by position: the HTTP status that began it
	fromEnd     bool  // try the last half first
	stuck       bool  // nothing is accepted: try one bundle at a time
}

// piece is a run of bundles to send in one request.
type piece struct {
	at []int // positions, ascending
	// rest is what was not sent of a larger piece known to hold the fault: if this
	// piece is accepted, the fault is there.
	rest []int
}

// requestBudget bounds what one flight may spend on finding the bundles at fault. What
// is left then goes back to the queue.
const requestBudget = 200

const never = math.MaxInt

// newSplitter plans a flight of n bundles.
func newSplitter(n int) *splitter {
	all, refusedAt := make([]int, n), make([]int, n)
	for i := range all {
		all[i], refusedAt[i] = i, never
	}
	return &splitter{
		putBy:     all,
		budget:    requestBudget,
		patience:  3*bits.Len(uint(n)) + 2,
		refusedAt: refusedAt,
		refusedAs: make([]int, n),
	}
}

// next is the piece to send, nil when nothing is left or the budget is spent. It is the
// same piece until one of the methods below takes the answer.
func (s *splitter) next() []int {
	if s.current == nil {
		s.current = s.choose()
	}
	if s.current == nil || s.budget <= 0 {
		return nil
	}
	return s.current.at
}

func (s *splitter) choose() *piece {
	var p piece
	switch {
	case len(s.search) > 0:
		p, s.search = s.search[0], s.search[1:]
	case s.stuck && len(s.putBy) > 0:
		p.at, s.putBy = s.putBy[:1:1], s.putBy[1:]
	case len(s.putBy) > 0:
		p.at, s.putBy = s.putBy, nil
	case len(s.alone) > 0:
		p.at, s.alone = s.alone[:1:1], s.alone[1:]
	default:
		return nil
	}
	return &p
}

// left are the positions that have no verdict yet, ascending.
func (s *splitter) left() []int {
	left := slices.Concat(s.putBy, s.alone)
	if s.current != nil {
		left = slices.Concat(left, s.current.at, s.current.rest)
	}
	for _, p := range s.search {
		left = slices.Concat(left, p.at, p.rest)
	}
	slices.Sort(left)
	return left
}

// accepted takes the current piece away.
func (s *splitter) accepted() {
	s.budget--
	s.elsewhere()
	s.passed()
}

// passed takes the current piece away without having sent anything: its bundles had
// nothing left to say, which shows nothing about Amplitude.
func (s *splitter) passed() {
	if p := s.take(); len(p.rest) > 0 {
		s.halve(p.rest)
	}
}

// elsewhere says that a request sent after the last refusal was accepted, be it another
// flight's.
func (s *splitter) elsewhere() {
	s.acceptances++
	s.refusals, s.fromEnd = 0, false
	if s.stuck { // those refused alone were probably refused with everything
		s.stuck = false
		s.setAside(s.alone)
		s.alone = nil
	}
}

// refused says that the current piece was refused with a status and no event named. It
// returns the bundle that is thereby found to be at fault, or -1. stuck says that nothing
// is accepted: from here on each piece is a single bundle, another one each time, which
// will show when that changes.
func (s *splitter) refused(status int) (fault int, stuck bool) {
	s.budget--
	s.refusals++
	p := s.take()
	for _, at := range p.at {
		if s.refusedAs[at] != status { // another cause: a new suspicion
			s.refusedAs[at], s.refusedAt[at] = status, never
		}
		s.refusedAt[at] = min(s.refusedAt[at], s.acceptances)
	}
	s.setAside(p.rest)
	fault = -1
	switch {
	case len(p.at) > 1:
		s.halve(p.at)
	default:
		fault = p.at[0]
		if !s.suspect(fault) {
			s.alone, fault = append(s.alone, fault), -1
		}
		s.fromEnd = !s.fromEnd // the next fault may be far from this one
	}
	if s.refusals > s.patience || s.atAnEnd() {
		s.stuck = true
		for _, p := range s.search {
			s.setAside(slices.Concat(p.at, p.rest))
		}
		s.search = nil
		for at := range s.refusedAt { // what was accepted before proves nothing any more
			s.refusedAt[at] = never
		}
		for _, at := range s.alone {
			s.refusedAt[at] = s.acceptances
		}
	}
	return fault, s.stuck
}

// suspect says that something was accepted since the bundle was first refused.
func (s *splitter) suspect(at int) bool { return s.acceptances > s.refusedAt[at] }

// atAnEnd says that whatever is left was refused alone, with no acceptance since.
func (s *splitter) atAnEnd() bool {
	return len(s.search)+len(s.putBy) == 0 && len(s.alone) > 0 && !slices.ContainsFunc(s.alone, s.suspect)
}

// tooLarge halves the current piece; a single bundle is returned as at fault, else -1.
func (s *splitter) tooLarge() (fault int) {
	s.budget--
	p := s.take()
	if len(p.at) == 1 {
		s.setAside(p.rest)
		return p.at[0]
	}
	half := len(p.at) / 2
	rest := slices.Concat(p.at[half:], p.rest)
	slices.Sort(rest)
	s.search = slices.Insert(s.search, 0, piece{at: p.at[:half]}, piece{at: rest})
	return -1
}

// without takes bundles that have their verdict (rejected by name, parked) out of
// everything that is still to be sent; the current piece goes out again without them.
func (s *splitter) without(gone ...int) {
	s.budget--
	s.search = slices.Insert(s.search, 0, s.take())
	todo := s.search[:0]
	for _, p := range s.search {
		at, rest := subtract(p.at, gone), subtract(p.rest, gone)
		if len(at)+len(rest) < len(p.at)+len(p.rest) {
			// The fault may have gone with them: nothing is known of the rest now.
			s.setAside(rest)
			rest = nil
		}
		if len(at) > 0 {
			todo = append(todo, piece{at: at, rest: rest})
		}
	}
	s.search = todo
	s.putBy, s.alone = subtract(s.putBy, gone), subtract(s.alone, gone)
}

func (s *splitter) take() piece {
	p := *s.current
	s.current = nil
	return p
}

// halve queues a piece known to hold a fault: one half now, the other as what is at
// fault if the first is not.
func (s *splitter) halve(at []int) {
	half := len(at) / 2
	p := piece{at: at[:half], rest: at[half:]}
	if s.fromEnd || half == 0 {
		p.at, p.rest = p.rest, p.at
	}
	s.search = slices.Insert(s.search, 0, p)
}

func (s *splitter) setAside(at []int) {
	if len(at) > 0 {
		s.putBy = slices.Concat(s.putBy, at)
		slices.Sort(s.putBy)
	}
}

func subtract(from, gone []int) []int {
	return slices.DeleteFunc(slices.Clone(from), func(at int) bool { return slices.Contains(gone, at) })
}
