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

// trait is the newest committed version of one property, as waybill.profile keeps it.
type trait struct {
	Value    json.RawMessage `json:"value"`
	At       int64           `json:"at"` // µs since 1970
	BundleID int64           `json:"bundle_id"`
	Unset    bool            `json:"unset,omitempty"`
	// Once marks a value that is set only if the user has none, with the version of
	// the newest bundle that offered one. It yields to any plain value that is newer
	// than its floor, the removal it came after, and it is never shown as the user's
	// value: Amplitude may hold an older one.
	Once    bool  `json:"once,omitempty"`
	FloorAt int64 `json:"floor_at,omitempty"` // µs since 1970
	FloorID int64 `json:"floor_id,omitempty"` // bundle id, 0 for no removal
}

func (t trait) version() version { return version{at: t.At, id: t.BundleID} }

// floor is the version that a plain value must not be older than.
func (t trait) floor() version {
	if t.Once {
		return version{at: t.FloorAt, id: t.FloorID}
	}
	return t.version()
}

// raise moves the version on if v is newer.
func (t *trait) raise(v version) {
	if v.after(t.version()) {
		t.At, t.BundleID = v.at, v.id
	}
}

// counter is the sum of the increments of every bundle that was sent. Open are those
// counted whose outcome is not recorded yet: they are not to be counted again.
type counter struct {
	Sum  json.Number `json:"sum"`
	Open []int64     `json:"open,omitempty"` // bundle ids
}

// profile is what Amplitude was last told about one identity.
type profile struct {
	traits   map[string]trait
	counters map[string]counter
	unsure   map[string]bool // names whose value at Amplitude is unknown
	sentAt   time.Time       // when everything known was last doubted

	// heldBy is the request that may be changing these traits, 0 for none. live says
	// that it is still under way; doubtful that it is not, but that its bundles have
	// not been sent again yet.
	heldBy         int64
	live, doubtful bool
}

func newProfile() *profile {
	return &profile{traits: map[string]trait{}, counters: map[string]counter{}, unsure: map[string]bool{}}
}

func (p *profile) clone() *profile {
	c := *p
	c.traits, c.counters, c.unsure = maps.Clone(p.traits), maps.Clone(p.counters), maps.Clone(p.unsure)
	return &c
}

// readObject decodes an object; most counters and many traits are empty, and cost nothing.
func readObject[T any](text []byte, into *map[string]T) error {
	if string(text) == "{}" {
		return nil
	}
	return json.Unmarshal(text, into)
}

// readProfile takes a profile from its columns.
func readProfile(traits, counters []byte, unsure []string) (*profile, error) {
	p := newProfile()
	if err := readObject(traits, &p.traits); err != nil {
		return nil, fmt.Errorf("read traits: %w", err)
	}
	if err := readObject(counters, &p.counters); err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	for _, name := range unsure {
		p.unsure[name] = true
	}
	return p, nil
}

// doubtAll makes every trait be told again by the next bundle that holds it.
func (p *profile) doubtAll() {
	for name := range p.traits {
		p.unsure[name] = true
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
	p.counters[name] = c
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
		p.counters[name], p.unsure[name] = c, true
		p.close(name, bundle)
	}
}

// profileColumns are profiles as the statements that write them take them: an array
// for each column.
type profileColumns struct {
	kinds, ids, traits, counters, unsure []string
}

func (c *profileColumns) add(id identity, p *profile) {
	c.kinds, c.ids = append(c.kinds, id.kind), append(c.ids, id.id)
	c.traits, c.counters = append(c.traits, mustJSON(p.traits)), append(c.counters, mustJSON(p.counters))
	c.unsure = append(c.unsure, joinNames(slices.Sorted(maps.Keys(p.unsure))))
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("jobs: a profile read from JSON does not write as JSON") // values are JSON as they came
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
