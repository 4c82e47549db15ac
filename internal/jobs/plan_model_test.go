package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
	identify := &bundle.Identify{Set: map[string]json.RawMessage{}, SetOnce: map[string]json.RawMessage{}}
	may := func(names []string, kinds ...func(name string)) {
		for _, name := range names {
			if kind := rapid.IntRange(-2, len(kinds)-1).Draw(t, name); kind >= 0 {
				kinds[kind](name)
			}
		}
	}
	set := func(name string) { identify.Set[name] = value() }
	once := func(name string) { identify.SetOnce[name] = value() }
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
		b.Groups = append(b.Groups, bundle.Group{Type: "account", ID: "a1", Set: map[string]json.RawMessage{"name": value()}})
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
	plan, events, owners := f.plan(at)
	for id := range plan.states {
		if plan.changes(id) && !slices.Contains(f.send.reserved, id) {
			t.Fatalf("request %d changes %v and has not reserved it", f.send.request, id)
		}
	}
	if len(events) == 0 {
		f.accept(at, plan, 0)
		return false
	}
	if fault == "refused" && (m.naming == namesNone || m.refused[f]) {
		fault = "" // a splitter cannot tell a refusal that comes and goes from a poison
	}
	m.refused[f] = m.refused[f] || fault == "refused"
	answer := m.answer(t, f, at, owners, events, fault)
	if answer.Verdict == amplitude.Ambiguous {
		for _, i := range at {
			m.bundles[f.send.items[i].id].everDoubt = true
		}
	}
	f.take(at, plan, owners, answer)
	if answer.Verdict == amplitude.Ambiguous && again {
		if _, repeated, _ := f.plan(at); !slices.EqualFunc(repeated, events, slices.Equal[json.RawMessage]) {
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

// requireHonestProfiles demands that what a profile says of Amplitude is so, at any
// moment, but for the names that it calls unsure.
func (m *planModel) requireHonestProfiles(t *rapid.T) {
	for id := range m.profiles {
		p := m.profile(id)
		props := m.properties(id)
		for name, known := range p.traits {
			value, exists := props[name]
			switch {
			case p.unsure[name]:
			case known.Unset && exists, known.Once && !exists, !known.Unset && !known.Once && value != string(known.Value):
				t.Fatalf("%v: %s is %s, and Amplitude has %q", id, name, mustJSON(known), value)
			}
		}
		for name, c := range p.counters {
			if !p.unsure[name] && props[name] != string(c.Sum) {
				t.Fatalf("%v: counter %s is %s, and Amplitude has %q", id, name, c.Sum, props[name])
			}
		}
	}
}

func (m *planModel) properties(id identity) properties {
	switch id.kind {
	case kindUser:
		return table(m.world.users, id.id)
	case kindDevice:
		return table(m.world.users, "device\x00"+id.id)
	default:
		return table(m.world.groups, id.kind[len(kindGroupPrefix):]+"\x00"+id.id)
	}
}

// takenBack says that a poison may once have counted, because an attempt of its could
// have been accepted for all that was known. Amplitude learns the sum without it with
// the next increment.
func (m *planModel) takenBack(name string) bool {
	for _, e := range m.bundles {
		if isPoison(e.bundle) && e.everDoubt && e.bundle.Increment[name] != "" {
			return true
		}
	}
	return false
}

func (m *planModel) requireOutcomes(t *rapid.T) {
	for id, e := range m.bundles {
		want := "delivered"
		if isPoison(e.bundle) {
			want = "rejected"
		}
		require.Equal(t, want, e.outcome, "bundle %d", id)
	}
}

// offered are the bundles that do something to a name of an identity, oldest first.
func (m *planModel) offered(id identity, does func(b *bundle.Bundle) bool) []*item {
	var all []*item
	for _, e := range m.bundles {
		it := &item{id: e.id, at: e.at, bundle: e.bundle}
		if slices.Contains(it.touches(), id) && does(e.bundle) {
			all = append(all, it)
		}
	}
	slices.SortFunc(all, func(a, b *item) int {
		if a.version().after(b.version()) {
			return 1
		}
		return -1
	})
	return all
}

func (m *planModel) requireNewestTraits(t *rapid.T) {
	for id := range m.profiles {
		props := m.properties(id)
		if id.kind == "group:account" {
			m.requirePlain(t, id, "name", props, func(b *bundle.Bundle) (json.RawMessage, bool) { return b.Groups[0].Set["name"], false })
			if delivered := func(b *bundle.Bundle) bool { return !isPoison(b) }; len(m.offered(id, delivered)) > 0 {
				require.Equal(t, `"account"`, props["group_type"])
			}
			continue
		}
		for _, name := range slices.Concat(plainNames, firstNames) {
			m.requirePlain(t, id, name, props, plainValue(name))
		}
		for _, name := range onceNames {
			m.requireOnce(t, id, name, props)
		}
		for _, name := range mixedNames {
			m.requireMixed(t, id, name, props)
		}
	}
}

// plainValue is what a bundle sets a trait to, nil if it does not; or that it removes it.
func plainValue(name string) func(b *bundle.Bundle) (json.RawMessage, bool) {
	return func(b *bundle.Bundle) (json.RawMessage, bool) {
		if b.Identify == nil {
			return nil, false
		}
		return b.Identify.Set[name], slices.Contains(b.Identify.Unset, name)
	}
}

func onceValue(b *bundle.Bundle, name string) json.RawMessage {
	if b.Identify == nil {
		return nil
	}
	return b.Identify.SetOnce[name]
}

// requirePlain demands the newest value. A poison that is newer may have moved the
// version on before it was found out: its value is as good if Amplitude held it already,
// and older ones may have been held back for it.
func (m *planModel) requirePlain(t *rapid.T, id identity, name string, props properties, plain func(*bundle.Bundle) (json.RawMessage, bool)) {
	all := m.offered(id, func(b *bundle.Bundle) bool {
		value, unset := plain(b)
		return value != nil || unset
	})
	got, exists := props[name]
	for _, it := range slices.Backward(all) {
		value, unset := plain(it.bundle)
		if unset && !exists || !unset && exists && got == string(value) {
			return
		}
		switch e := m.bundles[it.id]; {
		case !isPoison(e.bundle):
			t.Fatalf("%v: %s should be %s (removed: %v), and Amplitude has %q", id, name, value, unset, got)
		case e.everDoubt: // what is older may have been held back
			return
		}
	}
	onces := m.offered(id, func(b *bundle.Bundle) bool { return onceValue(b, name) != nil && !isPoison(b) })
	if len(onces) > 0 && !slices.ContainsFunc(onces, func(it *item) bool { return string(onceValue(it.bundle, name)) == got }) {
		t.Fatalf("%v: %s is %q, which nobody said", id, name, got)
	}
}

// requireOnce demands one of the first values that are newer than the last removal.
func (m *planModel) requireOnce(t *rapid.T, id identity, name string, props properties) {
	var candidates []json.RawMessage
	var doubtful bool // by a poison
	all := m.offered(id, func(b *bundle.Bundle) bool {
		_, unset := plainValue(name)(b)
		return unset || onceValue(b, name) != nil
	})
	for _, it := range all {
		if isPoison(it.bundle) {
			doubtful = true
		}
		if _, unset := plainValue(name)(it.bundle); unset {
			candidates = nil
		} else {
			candidates = append(candidates, onceValue(it.bundle, name))
		}
	}
	got, exists := props[name]
	if !doubtful && exists != (len(candidates) > 0) {
		t.Fatalf("%v: %s is %q, and should be one of %s", id, name, got, candidates)
	}
}

// requireMixed demands that a newest plain value stands, and that after a newest removal
// at most a first value does.
func (m *planModel) requireMixed(t *rapid.T, id identity, name string, props properties) {
	all := m.offered(id, func(b *bundle.Bundle) bool {
		value, unset := plainValue(name)(b)
		return value != nil || unset
	})
	if len(all) == 0 || slices.ContainsFunc(all, func(it *item) bool { return isPoison(it.bundle) }) {
		return
	}
	got, exists := props[name]
	if value, unset := plainValue(name)(all[len(all)-1].bundle); !unset {
		require.Equal(t, string(value), got, "%v: %s", id, name)
	} else if exists {
		onces := m.offered(id, func(b *bundle.Bundle) bool { return string(onceValue(b, name)) == got })
		require.NotEmpty(t, onces, "%v: %s was removed, and is %s", id, name, got)
	}
}

func (m *planModel) requireCounters(t *rapid.T) {
	for id := range m.profiles {
		if id.kind == "group:account" {
			continue
		}
		p := m.profile(id)
		for _, name := range counterNames {
			var sum, n int64
			for _, it := range m.offered(id, func(b *bundle.Bundle) bool { return b.Increment[name] != "" && !isPoison(b) }) {
				delta, err := it.bundle.Increment[name].Int64()
				require.NoError(t, err)
				sum, n = sum+delta, n+1
			}
			if n > 0 {
				require.Equal(t, fmt.Sprint(sum), string(p.counters[name].Sum), "%v: %s", id, name)
				require.Empty(t, p.counters[name].Open)
			}
			if n > 0 && !m.takenBack(name) {
				require.Equal(t, fmt.Sprint(sum), m.properties(id)[name], "%v: %s", id, name)
			}
		}
	}
}

// requireTracks demands that each event has arrived once and shows its own traits, or
// newer ones.
func (m *planModel) requireTracks(t *rapid.T) {
	var want int
	for id, e := range m.bundles {
		if e.bundle.Track == nil || isPoison(e.bundle) {
			continue
		}
		want++
		got, ok := m.world.tracks[bundle.InsertID("w", e.bundle.Key, bundle.PartTrack)]
		require.True(t, ok, "the event of bundle %d", id)
		require.Equal(t, id, got.event.EventID)
		if e.bundle.Identify != nil {
			m.requireOwnTraits(t, e, got)
		}
	}
	require.Len(t, m.world.tracks, want)
}

func (m *planModel) requireOwnTraits(t *rapid.T, e *entry, got arrival) {
	mine := &item{id: e.id, at: e.at, bundle: e.bundle}
	for name, value := range e.bundle.Identify.Set {
		newer := func(it *item) bool {
			other, _ := plainValue(name)(it.bundle)
			return string(other) == got.props[name] && !mine.version().after(it.version())
		}
		if got.detached {
			require.Equal(t, string(value), got.props[name], "bundle %d: %s", e.id, name)
		} else if !slices.ContainsFunc(m.offered(mine.user(), func(*bundle.Bundle) bool { return true }), newer) {
			t.Fatalf("bundle %d: the event shows %s as %q, and brought %s", e.id, name, got.props[name], value)
		}
	}
	for _, name := range e.bundle.Identify.Unset {
		if got.detached {
			require.NotContains(t, got.props, name, "bundle %d", e.id)
		}
	}
}
