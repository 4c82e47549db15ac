package amplitudetest

import (
	"net/http"
	"time"
)

// window counts in slots of one step, over the last span slots.
type window struct {
	step  time.Duration
	span  int64
	slots []slot // ascending
}

type slot struct {
	number int64
	count  int
}

func (w *window) number(now time.Time) int64 { return now.UnixNano() / int64(w.step) }

func (w *window) sum(now time.Time) int {
	total, first := 0, w.number(now)-w.span+1
	keep := 0
	for _, s := range w.slots {
		if s.number >= first {
			w.slots[keep] = s
			keep++
			total += s.count
		}
	}
	w.slots = w.slots[:keep]
	return total
}

func (w *window) add(now time.Time, n int) {
	number := w.number(now)
	if last := len(w.slots) - 1; last >= 0 && w.slots[last].number >= number {
		w.slots[last].count += n
		return
	}
	w.slots = append(w.slots, slot{number, n})
}

// rates holds one window per id, of 30 slots (24 for a day's hours).
type rates struct {
	span    time.Duration
	ids     map[string]*window
	sweepAt int // the number of ids that starts the next sweep
}

const firstSweep = 50_000

func newRates(span time.Duration) rates {
	return rates{span: span, ids: make(map[string]*window), sweepAt: firstSweep}
}

func (r *rates) step() time.Duration {
	if r.span == 24*time.Hour {
		return time.Hour
	}
	return time.Second
}

func (r *rates) sum(id string, now time.Time) int {
	if w, ok := r.ids[id]; ok {
		return w.sum(now)
	}
	return 0
}

func (r *rates) add(id string, n int, now time.Time) {
	w, ok := r.ids[id]
	if !ok {
		w = &window{step: r.step(), span: int64(r.span / r.step())}
		r.ids[id] = w
	}
	w.add(now, n)
	if len(r.ids) < r.sweepAt {
		return
	}
	for id, w := range r.ids {
		if w.sum(now) == 0 {
			delete(r.ids, id)
		}
	}
	r.sweepAt = max(firstSweep, 2*len(r.ids))
}

// over finds the ids of a request that would exceed the limit, with what they would reach.
func (r *rates) over(counts map[string]int, limit int, now time.Time) map[string]int {
	var hot map[string]int
	for id, n := range counts {
		if total := r.sum(id, now) + n; total > limit {
			if hot == nil {
				hot = make(map[string]int)
			}
			hot[id] = total
		}
	}
	return hot
}

// admit lets a request pass and counts it, or answers 429. Only the events of those over a limit are named, and
// nothing of the request is taken.
func (f *Fake) admit(u *upload, p *project, events []event, now time.Time) *reply {
	if f.cfg.ProjectEPS > 0 && p.perSecond.sum(now)+len(events) > f.cfg.ProjectEPS {
		return jsonReply(http.StatusTooManyRequests, map[string]any{"error": "Too many requests"})
	}
	if u.api.eps > 0 || f.cfg.DailyQuota > 0 {
		if refused := f.admitIDs(u, events, now); refused != nil {
			return refused
		}
	}
	p.perSecond.add(now, len(events))
	return nil
}

func (f *Fake) admitIDs(u *upload, events []event, now time.Time) *reply {
	s := f.state
	users, devices := make(map[string]int, len(events)), make(map[string]int, len(events))
	for i := range events {
		if events[i].userID != "" {
			users[events[i].userID]++
		}
		devices[events[i].device]++
	}

	if u.api.eps > 0 {
		limit := u.api.eps * int(s.userRates.span/time.Second)
		hotUsers, hotDevices := s.userRates.over(users, limit, now), s.deviceRates.over(devices, limit, now)
		if len(hotUsers)+len(hotDevices) > 0 {
			return throttled(events, u.api.eps, "throttled", perSecond(hotUsers), perSecond(hotDevices))
		}
	}
	if quota := f.cfg.DailyQuota; quota > 0 {
		hotUsers, hotDevices := s.userQuota.over(users, quota, now), s.deviceQuota.over(devices, quota, now)
		if len(hotUsers)+len(hotDevices) > 0 {
			return throttled(events, u.api.eps, "exceeded_daily_quota", hotUsers, hotDevices)
		}
		count(&s.userQuota, users, now)
		count(&s.deviceQuota, devices, now)
	}
	count(&s.userRates, users, now)
	count(&s.deviceRates, devices, now)
	return nil
}

func count(r *rates, counts map[string]int, now time.Time) {
	for id, n := range counts {
		r.add(id, n, now)
	}
}

// perSecond averages sums of 30 seconds, rounded up.
func perSecond(sums map[string]int) map[string]int {
	for id, sum := range sums {
		sums[id] = (sum + 29) / 30
	}
	return sums
}

// throttled is the 429 that names ids, as rates or as daily counts.
func throttled(events []event, eps int, what string, users, devices map[string]int) *reply {
	named := []int{}
	for i := range events {
		_, user := users[events[i].userID]
		_, device := devices[events[i].device]
		if user || device {
			named = append(named, i)
		}
	}
	answer := map[string]any{
		"error":             "Too many requests for some devices and users",
		"eps_threshold":     eps,
		"throttled_users":   map[string]int{},
		"throttled_devices": map[string]int{},
		"throttled_events":  named,
	}
	answer[what+"_users"], answer[what+"_devices"] = orEmpty(users), orEmpty(devices)
	return jsonReply(http.StatusTooManyRequests, answer)
}

func orEmpty(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// silence answers 400 for events of devices that Amplitude has silenced for good.
func (s *state) silence(events []event, eps int) *reply {
	devices, named := []string{}, []int{}
	seen := make(map[string]bool)
	for i := range events {
		if device := events[i].device; s.silenced[device] {
			named = append(named, i)
			if !seen[device] {
				seen[device] = true
				devices = append(devices, device)
			}
		}
	}
	if len(named) == 0 {
		return nil
	}
	return jsonReply(http.StatusBadRequest, map[string]any{
		"error":                        "Events silenced for device_id",
		"eps_threshold":                eps,
		"exceeded_daily_quota_devices": map[string]int{},
		"silenced_devices":             devices,
		"silenced_events":              named,
		"throttled_devices":            map[string]int{},
		"throttled_events":             []int{},
	})
}
