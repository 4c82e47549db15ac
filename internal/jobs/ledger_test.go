package jobs

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"waybill/internal/amplitude"
	"waybill/internal/bundle"
)

// failer is what tests and rapid's cases have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func decodeEvent(t failer, raw json.RawMessage) wireEvent {
	t.Helper()
	var e wireEvent
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		t.Fatalf("event does not read: %v: %s", err, raw)
	}
	return e
}

// ledger is the database as Prepare, Record and the rescue of a dead worker's requests
// see it: what their statements do, without Postgres.
type ledger struct {
	t        failer
	now      time.Time
	bundles  map[int64]*entry
	profiles map[identity]*storedProfile
	requests map[int64]*flight
	last     int64 // request id
	loop     *loop
}

// entry is a bundle with its delivery.
type entry struct {
	id         int64
	at         time.Time
	bundle     *bundle.Bundle
	outcome    string
	doubtSince time.Time
	request    int64
	settledAt  time.Time
	flying     bool
	everDoubt  bool // an attempt of it was once in doubt
}

// storedProfile is a row of waybill.profile.
type storedProfile struct {
	profileRow
	sentAt  time.Time
	request int64
}

// quiet is a Sender of which only the limits are asked.
type quiet struct{ Sender }

func (quiet) Limits() amplitude.Limits { return amplitude.Batch.Limits() }

func newLedger(t failer) *ledger {
	return &ledger{
		t: t, now: time.UnixMilli(1_790_000_000_000).UTC(),
		bundles: map[int64]*entry{}, profiles: map[identity]*storedProfile{}, requests: map[int64]*flight{},
		loop: &loop{
			cfg: Config{Sender: quiet{}}, store: &store{install: "w"},
			lane: newLane(1, time.Now), throttled: newThrottled(amplitude.Limits{ThrottlePause: time.Minute}),
		},
	}
}

// waiting are the bundles that are due, ascending.
func (l *ledger) waiting() []int64 {
	var ids []int64
	for id, e := range l.bundles {
		if !e.flying && (e.outcome == "" || e.outcome == "in_doubt") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// prepare writes a request for some of the bundles down. It returns nil when there is
// nothing to send.
func (l *ledger) prepare(ids []int64) *flight {
	l.last++
	out := &sorted{behind: map[int64][]ref{}}
	out.send.now, out.send.startedAt, out.send.request = l.now, l.now, l.last
	out.send.base = map[identity]*profile{}
	var items []*item
	for _, id := range ids {
		e := l.bundles[id]
		it := &item{id: id, at: e.at, bundle: e.bundle, job: &heldJob{}, doubtSince: e.doubtSince}
		if e.outcome == "in_doubt" {
			it.doubtRequest = e.request
		}
		items = append(items, it)
		for _, id := range it.touches() {
			out.send.base[id] = l.profile(id)
		}
	}
	slices.SortFunc(items, func(a, b *item) int {
		if a.version().after(b.version()) {
			return 1
		}
		return -1
	})
	out.touched = wantedProfiles(items)
	out.pack(l.loop.store.install, out.free(items), requestLimits{events: 2000, bytes: 1 << 20})

	for _, s := range out.settled {
		l.settle(s.it.id, s.outcome, time.Time{})
	}
	rows, seen, made := out.profileRows()
	for _, written := range []reservedColumns{rows, made} {
		for i, kind := range written.kinds {
			row := l.row(identity{kind, written.ids[i]})
			row.profileRow = written.row(i)
			if written.requests[i] != nil {
				row.request = *written.requests[i]
			}
		}
	}
	for i := range seen.ids {
		row := l.row(seen.identity(i))
		row.seenAt, row.seenID = seen.at[i], seen.bundles[i]
	}
	if len(out.send.items) == 0 {
		return nil
	}
	f := l.loop.newFlight(out.send, 0)
	l.requests[l.last] = f
	for _, it := range out.send.items {
		l.bundles[it.id].flying = true
	}
	return f
}

func (l *ledger) row(id identity) *storedProfile {
	if l.profiles[id] == nil {
		l.profiles[id] = &storedProfile{profileRow: profileRow{traits: "{}", counters: "{}"}}
	}
	return l.profiles[id]
}

func (l *ledger) profile(id identity) *profile {
	if l.profiles[id] == nil {
		return &profile{}
	}
	row := l.row(id)
	p, err := readProfile(row.profileRow)
	if err != nil {
		l.t.Fatalf("profile of %v: %v", id, err)
	}
	p.place = somewhere
	p.sentAt, p.heldBy = row.sentAt, row.request
	_, p.live = l.requests[row.request]
	if !p.live && row.request != 0 {
		for _, e := range l.bundles {
			p.doubtful = p.doubtful || e.outcome == "in_doubt" && e.request == row.request && l.now.Sub(e.settledAt) < time.Minute
		}
	}
	return p
}

func (l *ledger) settle(id int64, outcome string, doubtSince time.Time) {
	e := l.bundles[id]
	if e.outcome == "delivered" {
		return
	}
	if outcome != "in_doubt" {
		doubtSince = time.Time{}
	} else if !e.doubtSince.IsZero() && e.doubtSince.Before(doubtSince) {
		doubtSince = e.doubtSince
	}
	e.outcome, e.doubtSince, e.settledAt = outcome, doubtSince, l.now
	e.everDoubt = e.everDoubt || outcome == "in_doubt"
}

// record writes down what a flight has come to, if its request is still its own.
func (l *ledger) record(f *flight) {
	r := f.recording()
	l.land(f)
	if l.requests[f.send.request] != f {
		return
	}
	delete(l.requests, f.send.request)
	for i, id := range r.ids {
		var since time.Time
		if r.doubts[i] != nil {
			since = *r.doubts[i]
		}
		l.settle(id, r.outcomes[i], since)
		l.bundles[id].request = f.send.request
	}
	for i, kind := range r.profiles.kinds {
		row := l.row(identity{kind, r.profiles.ids[i]})
		if row.request != f.send.request {
			continue
		}
		row.profileRow = r.profiles.row(i)
		if r.sentAt[i] != nil {
			row.sentAt = *r.sentAt[i]
		}
		if !r.keep[i] {
			row.request = 0
		}
	}
}

// rescue is what the others do when a flight's worker has died.
func (l *ledger) rescue(f *flight) {
	delete(l.requests, f.send.request)
	l.land(f)
	for _, it := range f.send.items {
		if e := l.bundles[it.id]; e.outcome == "" || e.outcome == "in_doubt" {
			l.settle(it.id, "in_doubt", f.send.startedAt)
			e.request = f.send.request
		}
	}
}

func (l *ledger) land(f *flight) {
	for _, it := range f.send.items {
		l.bundles[it.id].flying = false
	}
}

// open are the requests under way, ascending.
func (l *ledger) open() []*flight {
	var open []*flight
	for _, id := range slices.Sorted(maps.Keys(l.requests)) {
		open = append(open, l.requests[id])
	}
	return open
}

// row is one profile as Postgres stores it.
func (c *profileColumns) row(i int) profileRow {
	return profileRow{
		traits: c.traits[i], counters: c.counters[i], unsure: splitNames(c.unsure[i]),
		seen: c.seen[i], seenAt: c.seenAt[i], seenID: c.seenID[i],
	}
}

// splitNames reads what joinNames wrote, as string_to_array does.
func splitNames(joined string) []string {
	if joined == "" {
		return nil
	}
	return strings.Split(joined, nameSeparator)
}
