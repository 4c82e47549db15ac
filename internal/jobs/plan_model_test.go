package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"waybill/internal/amplitude"
	"waybill/internal/bundle"
)

// The model: bundles are committed in any order of their times, delivered in any order,
// in any company, by several flights at once, while answers are lost, requests refused,
// users throttled, poison found and workers killed. Whatever happens, Amplitude ends up
// with the newest committed value of every trait, exact counters and every event once.
//
// Nothing here is a copy of the code under test: flights, plans, packing, splitting and
// what is recorded are the real ones, between a ledger and a world that are models.

// Trait names by what is done to them.
var (
	plainNames   = []string{"p1", "p2"} // set, unset
	firstNames   = []string{"f1"}       // set_once, set
	onceNames    = []string{"o1"}       // set_once, unset
	mixedNames   = []string{"m1"}       // all three
	counterNames = []string{"c1", "c2"}
)

type planModel struct {
	*ledger
	world   *world
	naming  naming
	most    int              // bundles in a request
	hops    int              // how often a day has passed
	refused map[*flight]bool // flights that met a refusal of everything
}

func TestNothingOvertakesANewerTrait(t *testing.T) {
	t.Parallel()
	for range 12 { // 100 cases each
		t.Run("", func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, checkPlanModel)
		})
	}
}

func checkPlanModel(t *rapid.T) {
	m := &planModel{
		ledger: newLedger(t), world: newWorld(), refused: map[*flight]bool{},
		naming: rapid.SampledFrom([]naming{namesNone, namesFirst, namesAll}).Draw(t, "naming"),
		most:   rapid.SampledFrom([]int{2, 5, 1000}).Draw(t, "bundles in a request"),
	}
	steps := map[string]func(*rapid.T){
		"commit": m.commit, "prepare": m.prepareSome, "answer": m.answerOne,
		"stop": m.stopOne, "kill": m.killOne, "pass time": m.passTime,
	}
	often := []string{"commit", "commit", "commit", "prepare", "prepare", "answer", "answer", "answer", "stop", "kill", "pass time"}
	for range rapid.IntRange(1, 80).Draw(t, "steps") {
		steps[rapid.SampledFrom(often).Draw(t, "step")](t)
		m.requireHonestProfiles(t)
	}
	m.drain(t)
	m.requireHonestProfiles(t)
	m.requireOutcomes(t)
	m.requireNewestTraits(t)
	m.requireCounters(t)
	m.requireTracks(t)
}

// commit records a bundle. Times are few, so that many are equal.
func (m *planModel) commit(t *rapid.T) {
	id := int64(len(m.bundles) + 1)
	m.bundles[id] = &entry{
		id: id, bundle: drawBundle(t, id),
		at: m.now.Add(-time.Duration(rapid.IntRange(0, 8).Draw(t, "seconds ago")) * time.Second),
	}
}

func drawBundle(t *rapid.T, id int64) *bundle.Bundle {
	b := &bundle.Bundle{V: 1, Key: fmt.Sprint("k", id)}
	switch rapid.IntRange(0, 5).Draw(t, "who") {
	case 0:
		b.DeviceID = "d1"
	case 1:
		b.UserID, b.DeviceID = "u1", "d1"
	case 2:
		b.UserID = "u2"
	default:
		b.UserID = "u1"
	}
	value := func() json.RawMessage {
		return json.RawMessage(rapid.SampledFrom([]string{`"a"`, `"b"`, `{"x":[1]}`}).Draw(t, "value"))
	}
	identify := &bundle.Identify{}
	may := func(names []string, kinds ...func(name string)) {
		for _, name := range names {
			if kind := rapid.IntRange(-2, len(kinds)-1).Draw(t, name); kind >= 0 {
				kinds[kind](name)
			}
		}
	}
	set := func(name string) { identify.Set.Set(name, value()) }
	once := func(name string) { identify.SetOnce.Set(name, value()) }
	unset := func(name string) { identify.Unset = append(identify.Unset, name) }
	may(plainNames, set, unset)
	may(firstNames, once, set)
	may(onceNames, once, unset)
	may(mixedNames, once, set, unset)
	if len(identify.Set)+len(identify.SetOnce)+len(identify.Unset) > 0 {
		b.Identify = identify
	}
	may(counterNames, func(name string) {
		if b.Increment == nil {
			b.Increment = map[string]json.Number{}
		}
		b.Increment[name] = json.Number(fmt.Sprint(rapid.IntRange(-3, 3).Draw(t, "delta")))
	})
	if rapid.Bool().Draw(t, "in an account") {
		b.Groups = append(b.Groups, bundle.Group{Type: "account", ID: "a1", Set: bundle.Values{{Name: "name", Value: value()}}})
	}
	if rapid.IntRange(0, 3).Draw(t, "track") > 0 || b.Identify == nil && b.Increment == nil && b.Groups == nil {
		b.Track = &bundle.Track{Event: "Done"}
		if rapid.IntRange(0, 9).Draw(t, "poison") == 0 {
			b.Track.Event = "Poison"
		}
	}
	return b
}

func isPoison(b *bundle.Bundle) bool { return b.Track != nil && b.Track.Event == "Poison" }

// prepareSome writes a request for a part of what waits.
func (m *planModel) prepareSome(t *rapid.T) {
	waiting := m.waiting()
	if len(waiting) == 0 || len(m.requests) >= 3 {
		return
	}
	m.prepare(rapid.SliceOfNDistinct(rapid.SampledFrom(waiting), 1, min(len(waiting), 8), rapid.ID[int64]).Draw(t, "bundles"))
}

// answerOne sends what one of the flights has to send next, and answers it.
func (m *planModel) answerOne(t *rapid.T) {
	if open := m.open(); len(open) > 0 {
		m.send(t, open[rapid.IntRange(0, len(open)-1).Draw(t, "flight")], rapid.SampledFrom([]string{
			"", "", "", "lost", "not stored", "unavailable", "refused", "throttled",
		}).Draw(t, "answer"))
	}
}

// send makes one request of a flight. fault is what happens instead of a faithful
// answer. It says whether the flight is over.
func (m *planModel) send(t *rapid.T, f *flight, fault string) bool {
	at := f.split.next()
	if at == nil {
		m.record(f)
		return true
	}
	again := slices.Equal(at, f.doubted)
	next := f.plan(at)
	for id := range next.plan.states {
		if next.plan.changes(id) && !slices.Contains(f.send.reserved, id) {
			t.Fatalf("request %d changes %v and has not reserved it", f.send.request, id)
		}
	}
	if len(next.events) == 0 {
		f.accept(next)
		return false
	}
	if fault == "refused" && (m.naming == namesNone || m.refused[f]) {
		fault = "" // a splitter cannot tell a refusal that comes and goes from a poison
	}
	m.refused[f] = m.refused[f] || fault == "refused"
	answer := m.answer(t, f, at, next.owners, next.events, fault)
	if answer.Verdict == amplitude.Ambiguous {
		for _, i := range at {
			m.bundles[f.send.items[i].id].everDoubt = true
		}
	}
	f.take(next, answer)
	if answer.Verdict == amplitude.Ambiguous && again {
		f.draft = nil // planned anew, not remembered
		if repeated := f.plan(at); !slices.EqualFunc(repeated.events, next.events, slices.Equal[json.RawMessage]) {
			t.Fatalf("request %d is repeated with other bytes", f.send.request)
		}
	}
	return false
}

func (m *planModel) answer(t *rapid.T, f *flight, at, owners []int, events []json.RawMessage, fault string) amplitude.Answer {
	poison := map[int]string{}
	for i, position := range owners {
		if isPoison(f.send.items[position].bundle) {
			poison[i] = "poison"
			if m.naming == namesFirst {
				break
			}
		}
	}
	taken := len(poison) == 0 && len(at) <= m.most
	switch {
	case fault == "unavailable":
		return amplitude.Answer{Verdict: amplitude.Unavailable}
	case fault == "not stored", fault == "lost":
		if fault == "lost" && taken {
			m.world.take(t, events)
		}
		return amplitude.Answer{Verdict: amplitude.Ambiguous}
	case fault == "throttled":
		id := rapid.SampledFrom(f.send.items[at[0]].limitedAs()).Draw(t, "throttled")
		named := map[string]bool{id.id: false}
		if id.kind == kindUser {
			return amplitude.Answer{Verdict: amplitude.Throttled, ThrottledUsers: named}
		}
		return amplitude.Answer{Verdict: amplitude.Throttled, ThrottledDevices: named}
	case len(at) > m.most:
		return amplitude.Answer{Verdict: amplitude.TooLarge, Status: 413}
	case fault == "refused", len(poison) > 0 && m.naming == namesNone:
		return amplitude.Answer{Verdict: amplitude.Refused}
	case len(poison) > 0:
		return amplitude.Answer{Verdict: amplitude.Rejected, Rejected: poison}
	}
	m.world.take(t, events)
	return amplitude.Answer{Verdict: amplitude.Delivered}
}

// stopOne ends a flight where it stands, as a shutdown does.
func (m *planModel) stopOne(t *rapid.T) {
	if open := m.open(); len(open) > 0 {
		m.record(open[rapid.IntRange(0, len(open)-1).Draw(t, "flight")])
	}
}

// killOne kills a flight's worker. It may wake up once the others have taken over, and
// then its record changes nothing.
func (m *planModel) killOne(t *rapid.T) {
	open := m.open()
	if len(open) == 0 {
		return
	}
	f := open[rapid.IntRange(0, len(open)-1).Draw(t, "flight")]
	m.rescue(f)
	if rapid.Bool().Draw(t, "wakes up") {
		m.record(f)
	}
}

// passTime ends the wait of those behind a cut-off request, or makes everything known
// be told again. Doubt never gets old enough to end.
func (m *planModel) passTime(t *rapid.T) {
	if m.hops < 3 && rapid.Bool().Draw(t, "a day") {
		m.hops++
		m.now = m.now.Add(25 * time.Hour)
		return
	}
	m.now = m.now.Add(90 * time.Second)
}

// drain delivers what is left, in flights of any size.
func (m *planModel) drain(t *rapid.T) {
	m.loop.lane.acceptedFrom = time.Now().Add(time.Hour) // others are being accepted
	for range 1000 {
		for _, f := range m.open() {
			for !m.send(t, f, "") {
			}
			m.requireHonestProfiles(t)
		}
		waiting := m.waiting()
		if len(waiting) == 0 {
			return
		}
		m.now = m.now.Add(time.Second)
		some := rapid.IntRange(1, len(waiting)).Draw(t, "to drain")
		m.prepare(waiting[len(waiting)-some:])
	}
	t.Fatalf("the queue does not drain: %v", m.waiting())
}
