package amplitudetest

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// state is all that Reset forgets.
type state struct {
	projects map[string]*project // by API key
	requests ring[Request]
	late     []*lateUpload

	stats         Stats
	nextAmplitude int64
	remembered    int // ids of all kinds, of all projects

	userRates, deviceRates, userQuota, deviceQuota rates
	silenced, blocked                              map[string]bool
	queries                                        queryBudget
}

func newState(cfg Config) *state {
	return &state{
		projects:      make(map[string]*project),
		requests:      ring[Request]{most: cfg.KeepRequests},
		nextAmplitude: 1,
		stats:         newStats(),
		userRates:     newRates(30 * time.Second),
		deviceRates:   newRates(30 * time.Second),
		userQuota:     newRates(24 * time.Hour),
		deviceQuota:   newRates(24 * time.Hour),
		silenced:      make(map[string]bool),
		blocked:       make(map[string]bool),
	}
}

// project is what one API key has sent.
type project struct {
	label     string
	insertIDs map[string]*arrivals
	eventIDs  map[eventKey]time.Time

	users       map[string]*user  // by user id, or by device for the anonymous
	deviceUsers map[string]string // the last known user of each device
	groups      map[groupKey]map[string]any
	events      ring[*stored]
	perDay      map[dayKey]int
	days        dayClock
	perSecond   window
}

type groupKey struct{ groupType, id string }

func (s *state) project(key string, cfg Config) *project {
	p, ok := s.projects[key]
	if !ok {
		p = &project{
			label:       Project(key),
			insertIDs:   make(map[string]*arrivals),
			eventIDs:    make(map[eventKey]time.Time),
			users:       make(map[string]*user),
			deviceUsers: make(map[string]string),
			groups:      make(map[groupKey]map[string]any),
			events:      ring[*stored]{most: cfg.KeepEvents},
			perDay:      make(map[dayKey]int),
			days:        dayClock{zone: cfg.TimeZone},
			perSecond:   window{step: time.Second, span: 1},
		}
		s.projects[key] = p
		s.remembered++
	}
	return p
}

// Project is the name by which answers of the fake call the project of an API key, since they never show the key.
func Project(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:4])
}

// ring keeps the newest values.
type ring[T any] struct {
	most    int
	values  []T
	oldest  int // index in values, once it is full
	dropped int
}

func (r *ring[T]) add(value T) {
	if len(r.values) < r.most {
		r.values = append(r.values, value)
		return
	}
	r.values[r.oldest] = value
	r.oldest = (r.oldest + 1) % r.most
	r.dropped++
}

// all yields the values from the oldest to the newest.
func (r *ring[T]) all(yield func(T) bool) {
	for i := range r.values {
		if !yield(r.values[(r.oldest+i)%len(r.values)]) {
			return
		}
	}
}

// dayKey counts the events of a type on a day of the project's time zone.
type dayKey struct {
	eventType string
	day       string // YYYY-MM-DD
}

// dayClock names the days of a time zone, fast for times of the same day as the last.
type dayClock struct {
	zone     *time.Location
	from, to int64 // ms
	name     string
}

func (d *dayClock) day(at time.Time) string {
	if ms := at.UnixMilli(); ms < d.from || ms >= d.to {
		at = at.In(d.zone)
		year, month, day := at.Date()
		d.from = time.Date(year, month, day, 0, 0, 0, 0, d.zone).UnixMilli()
		d.to = time.Date(year, month, day+1, 0, 0, 0, 0, d.zone).UnixMilli()
		d.name = at.Format(time.DateOnly)
	}
	return d.name
}
