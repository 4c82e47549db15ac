package amplitudetest

import (
	"log/slog"
	"net/http"
	"time"
)

// ingest answers /batch and /2/httpapi.
func (f *Fake) ingest(w http.ResponseWriter, r *http.Request, api api) {
	start := time.Now()
	u, problem := readUpload(r, api.limitedBy(f.cfg), f.cfg.MaxEvents)
	if u.hasKey && !f.knows(u.apiKey) {
		problem = invalidKey(u.apiKey)
	}
	events, found := validate(u)

	n := f.begin()
	var fault Fault
	if f.cfg.OnRequest != nil {
		fault = f.cfg.OnRequest(n, describe(u, events))
	}
	answer, fault := f.process(n, u, events, problem, found, fault)
	f.record(n, u, answer, fault)

	if !f.wait(r, f.cfg.Latency+fault.Latency) {
		return
	}
	f.send(w, r, answer, fault)
	if f.cfg.Log != nil {
		f.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.Int("n", n), slog.String("api", api.name), slog.Int("status", answer.logStatus()),
			slog.Int("events", len(u.events)), slog.Int("bytes", len(u.body)), slog.Int("wire_bytes", u.wireBytes),
			slog.String("fault", string(fault.Kind)), slog.Int64("elapsed_us", time.Since(start).Microseconds()))
	}
}

func (f *Fake) knows(key string) bool {
	if len(f.cfg.APIKeys) == 0 {
		return key != ""
	}
	for _, known := range f.cfg.APIKeys {
		if key == known {
			return true
		}
	}
	return false
}

// begin numbers a request.
func (f *Fake) begin() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.stats.Requests++
	return f.state.stats.Requests
}

// process decides the answer to one request and takes its events if it says so. The fault it returns is the one in
// effect: the given one, or that of a rule.
func (f *Fake) process(n int, u *upload, events []event, problem *reply, found problems, fault Fault) (*reply, Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.storeDue(now)

	if problem == nil {
		f.state.stats.Received += len(events)
		f.state.arrive(f.state.project(u.apiKey, f.cfg), events)
	}
	if fault.Kind == None && fault.Latency == 0 {
		fault = f.draw(n, u, events, now)
	}
	if !fault.concerns(u, events) {
		fault.Kind = None
	}
	if problem == nil {
		problem = found.reply(f.cfg.FirstIndexOnly || fault.Kind == FirstIndex)
	}

	answer := f.misbehave(&request{n: n, upload: u, events: events, invalid: problem}, fault, now)
	return answer, fault
}

// request is one whose content is settled; invalid is the refusal that it calls for by itself.
type request struct {
	n       int
	upload  *upload
	events  []event
	invalid *reply
}

// take is the answer without a fault: everything or nothing.
func (f *Fake) take(r *request, now time.Time) *reply {
	if r.invalid != nil {
		return r.invalid
	}
	if f.state.remembered > f.cfg.KeepIDs {
		return jsonReply(http.StatusServiceUnavailable, map[string]any{
			"error": "Service unavailable", "detail": "the fake is full: POST /_fake/reset, or raise KeepIDs",
		})
	}
	if refused := f.state.silence(r.events, r.upload.api.eps); refused != nil {
		return refused
	}
	p := f.state.project(r.upload.apiKey, f.cfg)
	if refused := f.admit(r.upload, p, r.events, now); refused != nil {
		return refused
	}
	f.accept(r, p, now)
	return jsonReply(http.StatusOK, map[string]any{
		"events_ingested":    len(r.events),
		"payload_size_bytes": len(r.upload.body),
		"server_upload_time": now.UnixMilli(),
	})
}

// record remembers the request for questions.
func (f *Fake) record(n int, u *upload, answer *reply, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	status := answer.logStatus()
	s.stats.Statuses[status]++
	s.stats.EventsPerRequest[len(u.events)]++
	s.stats.Bytes += len(u.body)
	s.stats.WireBytes += u.wireBytes
	if fault.Kind != None {
		s.stats.Faults[fault.Kind]++
	}
	s.requests.add(Request{
		N: n, API: u.api.name, At: f.now(), Status: status, Fault: fault.Kind, Project: Project(u.apiKey),
		Events: len(u.events), Bytes: len(u.body), WireBytes: u.wireBytes,
	})
}

// wait lets time pass in front of an answer, and says whether anybody still waits for it.
func (f *Fake) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-f.done:
	}
	return false
}
