package jobs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// identity is one user, device or group whose traits Amplitude keeps.
type identity struct {
	kind string // "user", "device" or "group:<type>"
	id   string
}

const (
	kindUser        = "user"
	kindDevice      = "device"
	kindGroupPrefix = "group:"
)

func compareIdentities(a, b identity) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.id, b.id))
}

// version orders the values of one trait: by the time of the action, then by the
// order in which bundles were recorded.
type version struct {
	at int64 // µs since 1970
	id int64 // bundle id
}

func (v version) after(other version) bool {
	if v.at != other.at {
		return v.at > other.at
	}
	return v.id > other.id
}

// counter is the sum of the increments of every bundle that was sent. Open are those
// counted whose outcome is not recorded yet: they are not to be counted again.
type counter struct {
	Sum  json.Number `json:"sum"`
	Open []int64     `json:"open,omitempty"` // bundle ids
}

// profile is what Amplitude was last told about one identity.
type profile struct {
	traits   traits
	counters map[string]counter // nil when there is none
	unsure   map[string]bool    // names whose value at Amplitude is unknown; nil when there is none
	sentAt   time.Time          // when everything known was last doubted

	// seen are the names that share the newest version, as they stand in the row. While
	// nothing but that version moves on, it alone is written.
	seen  string
	place place // where the row stands

	// heldBy is the request that may be changing these traits, 0 for none. live says
	// that it is still under way; doubtful that it is not, but that its bundles have
	// not been sent again yet.
	heldBy         int64
	live, doubtful bool
}

// clone shares nothing that is changed in place.
func (p *profile) clone() *profile {
	c := *p
	c.traits, c.counters, c.unsure = slices.Clone(p.traits), maps.Clone(p.counters), maps.Clone(p.unsure)
	return &c
}

// readProfile takes a profile from its columns.
func readProfile(row profileRow) (*profile, error) {
	p := &profile{seen: row.seen}
	var err error
	if p.traits, err = readTraits(row.traits); err != nil {
		return nil, err
	}
	p.traits.raise(row.seen, version{at: row.seenAt, id: row.seenID})
	if row.counters != "{}" {
		if err := json.Unmarshal([]byte(row.counters), &p.counters); err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
	}
	for _, name := range row.unsure {
		p.doubt(name)
	}
	return p, nil
}

// profileRow are the columns of waybill.profile that hold a profile. seen are names,
// joined, whose version is at least (seenAt, seenID), whatever traits says.
type profileRow struct {
	traits, counters string
	unsure           []string
	seen             string
	seenAt, seenID   int64
}

// doubt makes a name be told again by the next bundle that holds it.
func (p *profile) doubt(name string) {
	if p.unsure == nil {
		p.unsure = map[string]bool{}
	}
	p.unsure[name] = true
}

// setCounter replaces a counter.
func (p *profile) setCounter(name string, c counter) {
	if p.counters == nil {
		p.counters = map[string]counter{}
	}
	p.counters[name] = c
}

// doubtAll makes every trait be told again by the next bundle that holds it.
func (p *profile) doubtAll() {
	for i := range p.traits {
		p.doubt(p.traits[i].name)
	}
}

// open notes that bundles are counted and may be sent again.
func (p *profile) open(name string, bundles ...int64) {
	c := p.counters[name]
	c.Open = slices.Clone(c.Open)
	for _, id := range bundles {
		if !slices.Contains(c.Open, id) {
			c.Open = append(c.Open, id)
		}
	}
	p.setCounter(name, c)
}

// close notes that bundles are counted and will not be sent again.
func (p *profile) close(name string, bundles ...int64) {
	c := p.counters[name]
	if len(c.Open) > 0 {
		c.Open = slices.DeleteFunc(slices.Clone(c.Open), func(id int64) bool { return slices.Contains(bundles, id) })
		p.counters[name] = c
	}
}

// uncount takes back what a bundle added that Amplitude has refused after all. The sum
// with it may have been told meanwhile; the next increment tells it anew.
func (p *profile) uncount(name string, delta json.Number, bundle int64) {
	if c := p.counters[name]; slices.Contains(c.Open, bundle) {
		c.Sum = sum(c.Sum, negative(delta))
		p.setCounter(name, c)
		p.doubt(name)
		p.close(name, bundle)
	}
}

// standsAt is the profile as it is read from the row that it was just written to, which is
// nobody's any more.
func (p *profile) standsAt(at place) *profile {
	c := *p
	c.place, c.heldBy, c.live, c.doubtful = at, 0, false, false
	_, c.seen = c.traits.newest()
	if len(c.counters) == 0 {
		c.counters = nil
	}
	if len(c.unsure) == 0 {
		c.unsure = nil
	}
	return &c
}

// bytes is about how much memory the profile takes.
func (p *profile) bytes() int {
	const each = 128 // of a name: headers, versions, its place in a map
	n := 2*each + len(p.seen)
	for i := range p.traits {
		n += each + len(p.traits[i].name) + len(p.traits[i].Value)
	}
	for name, c := range p.counters {
		n += each + len(name) + len(c.Sum) + 8*len(c.Open)
	}
	for name := range p.unsure {
		n += each + len(name)
	}
	return n
}

// isNew says that the profile has no row.
func (p *profile) isNew() bool { return !p.place.tid.Valid }

// profileColumns are profiles as the statements that write them take them: an array
// for each column.
type profileColumns struct {
	kinds, ids, traits, counters, unsure, seen []string
	seenAt, seenID                             []int64
}

func (c *profileColumns) identity(i int) identity { return identity{c.kinds[i], c.ids[i]} }

func (c *profileColumns) add(id identity, p *profile) {
	newest, names := p.traits.newest()
	c.kinds, c.ids = append(c.kinds, id.kind), append(c.ids, id.id)
	c.traits, c.counters = append(c.traits, string(p.traits.appendJSON(nil))), append(c.counters, countersJSON(p.counters))
	c.unsure = append(c.unsure, joinNames(slices.Sorted(maps.Keys(p.unsure))))
	c.seen, c.seenAt, c.seenID = append(c.seen, names), append(c.seenAt, newest.at), append(c.seenID, newest.id)
}

func countersJSON(counters map[string]counter) string {
	if len(counters) == 0 {
		return "{}"
	}
	text, err := json.Marshal(counters)
	if err != nil {
		panic("jobs: a counter read from JSON does not write as JSON") // numbers are JSON as they came
	}
	return string(text)
}

// sum adds a delta to a counter. Whole numbers stay exact up to 2^63; anything else is
// a float64, as it is at Amplitude, and stays within its range.
func sum(counter, delta json.Number) json.Number {
	if counter == "" {
		counter = "0"
	}
	a, errA := strconv.ParseInt(string(counter), 10, 64)
	b, errB := strconv.ParseInt(string(delta), 10, 64)
	if errA == nil && errB == nil && !overflows(a, b) {
		return json.Number(strconv.FormatInt(a+b, 10))
	}
	x, _ := counter.Float64()
	y, _ := delta.Float64()
	total := min(max(x+y, -math.MaxFloat64), math.MaxFloat64)
	return json.Number(strconv.FormatFloat(total, 'g', -1, 64))
}

func overflows(a, b int64) bool {
	return b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b
}

func negative(n json.Number) json.Number {
	if positive, ok := strings.CutPrefix(string(n), "-"); ok {
		return json.Number(positive)
	}
	return "-" + n
}
