package jobs

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// The batcher as a state machine: jobs come and go while flights take, settle,
// postpone and put back. No bundle of a held job is ever lost or handed out twice, each job
// is done exactly when all of its bundles are, and what is kept of bundles that were read is
// bounded.
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
			"admit", "admit", "take", "take", "settle", "settle", "postpone", "put back", "put behind", "foreign", "open", "close", "reborn", "withdraw", "lose", "wait", "look ahead", "look ahead", "arrange",
		}).Draw(t, "what"),
		n: rapid.IntRange(0, 6).Draw(t, "n"), which: rapid.IntRange(0, 20).Draw(t, "which"),
	}
}

// read is the ref of a bundle that was read, and may be large, or was not.
func (s move) read(r ref) ref {
	if r.read = nil; s.n > 0 {
		r.read = &item{id: r.bundle, job: r.job, bytes: s.n * keepMost / 10}
	}
	return r
}

// shuffleModel is what must be true of a batcher.
type shuffleModel struct {
	*batcher
	lastBundle, lastJob int64
	jobs                map[*heldJob]map[int64]bool // bundles without an outcome
	flights             []ref                       // taken and not landed
	open                []int64
	lastRequest         int64
	ahead               stretch // to be arranged
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

// packsHeld says what is wrong with how many packs are held, and of their bundles are in line.
func (m *shuffleModel) packsHeld() string {
	waiting, held := 0, 0
	for _, r := range inLine(m.batcher) {
		if r.job.priority >= packPriority {
			waiting++
		}
	}
	if waiting != m.line.packed() {
		return "the bundles of packs in line are counted wrong"
	}
	for job := range m.batcher.held {
		if job.priority >= packPriority {
			held++
		}
	}
	if held != m.packs {
		return "the packs are counted wrong"
	}
	return ""
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
		job := m.admit(m.lastJob, 1, s.which%6, ids)
		m.jobs[job] = map[int64]bool{}
		for _, id := range ids {
			m.jobs[job][id] = true
		}
	case "take":
		m.ahead = stretch{} // who takes is who arranges
		return m.taken(m.take(s.n))
	case "look ahead":
		m.ahead = m.line.ahead(1+s.which, 1, s.n)
	case "arrange":
		users := map[int64]int64{}
		for _, id := range m.ahead.bundles {
			users[id] = id % 3
		}
		m.arrange(m.ahead, users)
		m.ahead = stretch{}
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
			m.putBack([]ref{s.read(r)})
		}
	case "put behind":
		if len(m.open) > 0 {
			if r, ok := land(); ok {
				m.putBackBehind(m.open[s.which%len(m.open)], []ref{s.read(r)})
			}
		}
	case "foreign":
		if r, ok := land(); ok {
			m.putBackBehind(-1, []ref{s.read(r)})
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
	case "reborn":
		m.reborn()
	case "withdraw":
		// Work may find that it is cancelled and that its job has ended at once.
		if jobs := slices.SortedFunc(maps.Keys(m.jobs), byID); len(jobs) > 0 {
			job := jobs[s.which%len(jobs)]
			if !job.gone {
				m.forget(job)
			}
			m.withdraw(job)
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
	slices.SortFunc(held, byID)
	return held
}

func byID(a, b *heldJob) int { return int(a.id - b.id) }

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
	places, kept := map[int64]int{}, 0
	note := func(r ref) {
		if r.read != nil {
			kept += r.read.bytes
		}
		if !r.job.gone {
			places[r.bundle]++
		}
	}
	for _, r := range inLine(m.batcher) {
		note(r)
	}
	if len(inLine(m.batcher)) != m.line.length {
		return "it does not know how long its line is"
	}
	for _, refs := range m.behind {
		for _, r := range refs {
			note(r)
		}
	}
	for _, d := range m.delayed {
		note(d.ref)
	}
	if kept != m.kept || kept > keepMost {
		return "it does not know what it keeps"
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
	return m.packsHeld()
}
