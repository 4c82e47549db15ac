package jobs

import (
	"cmp"
	"slices"
)

// line is the bundles that are ready to be gathered: by their jobs' priority, and of one
// priority first come, first served, but for what arrange has moved. Its owner locks it.
type line struct {
	queues [leastUrgent + 1]queue // by priority
	length int
}

// River's priorities begin with 1, which the job of a single bundle has, so that an import
// holds up nothing that happens meanwhile.
const (
	packPriority = 3 // of the job of a pack
	leastUrgent  = 4 // the last there is
)

// queue is the bundles of one priority.
type queue struct {
	again []ref // put back; they go first, the last of them before the others
	fresh []ref
	// arranged is how many of fresh, from the front, stand where arrange has put them.
	arranged int
}

// urgency is the job's priority, within River's.
func urgency(job *heldJob) int { return min(max(job.priority, 0), leastUrgent) }

// push lets a bundle stand at the end.
func (l *line) push(r ref) {
	q := &l.queues[urgency(r.job)]
	q.fresh = append(q.fresh, r)
	l.length++
}

// putBack lets bundles stand at the front again.
func (l *line) putBack(refs []ref) {
	for _, r := range slices.Backward(refs) {
		q := &l.queues[urgency(r.job)]
		q.again = append(q.again, r)
	}
	l.length += len(refs)
}

// take hands out bundles from the front for as long as they are accepted.
func (l *line) take(accept func(ref) bool) {
	for p := range l.queues {
		q := &l.queues[p]
		for len(q.again) > 0 {
			last := len(q.again) - 1
			if !accept(q.again[last]) {
				return
			}
			q.again[last] = ref{}
			q.again = q.again[:last]
			l.length--
		}
		for len(q.fresh) > 0 {
			if !accept(q.fresh[0]) {
				return
			}
			q.fresh[0] = ref{}
			q.fresh = q.fresh[1:]
			q.arranged = max(q.arranged-1, 0)
			l.length--
		}
		q.again, q.fresh = nil, nil // they may have been very long
	}
}

// packed is how many bundles of packs stand in line.
func (l *line) packed() (n int) {
	for _, q := range l.queues[packPriority:] {
		n += len(q.again) + len(q.fresh)
	}
	return n
}

// stretch is a part of the line that is to be arranged.
type stretch struct {
	priority int
	bundles  []int64
}

// ahead is the stretch of up to most bundles that were not arranged yet and are among the
// next n. There is none where fewer than worth stand: they meet in a request as it is.
func (l *line) ahead(n, worth, most int) (s stretch) {
	for p := range l.queues {
		q := &l.queues[p]
		if n -= len(q.again) + q.arranged; n <= 0 {
			return s
		}
		if rest := q.fresh[q.arranged:]; len(rest) >= worth {
			s.priority = p
			for _, r := range rest[:min(len(rest), most)] {
				s.bundles = append(s.bundles, r.bundle)
			}
			return s
		}
		n -= len(q.fresh) - q.arranged
	}
	return s
}

// arrange orders a stretch that ahead has named, since when nothing was taken, by bundle, and
// lets the bundles of a user stand with the first, runMost at a time. users are by bundle;
// whoever is missing there stands alone.
func (l *line) arrange(s stretch, users map[int64]int64) {
	type ranked struct {
		ref
		first int // where the first of its run stands
	}
	type run struct{ first, length int }
	q := &l.queues[s.priority]
	part := q.fresh[q.arranged : q.arranged+len(s.bundles)]
	slices.SortFunc(part, func(a, b ref) int { return cmp.Compare(a.bundle, b.bundle) })
	runs := make(map[int64]run, len(users))
	order := make([]ranked, len(part))
	for i, r := range part {
		order[i] = ranked{r, i}
		user, known := users[r.bundle]
		if !known {
			continue
		}
		of, begun := runs[user]
		if !begun || of.length == runMost {
			of = run{first: i}
		}
		of.length++
		runs[user] = of
		order[i].first = of.first
	}
	slices.SortStableFunc(order, func(a, b ranked) int { return cmp.Compare(a.first, b.first) })
	for i := range order {
		part[i] = order[i].ref
	}
	q.arranged += len(part)
}

// runMost is how many bundles of one user are brought together. Requests that are full of one
// user would wait for each other.
const runMost = 100
