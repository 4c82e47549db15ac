package amplitudetest

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lateUpload is a request that was answered 504 and is taken later.
type lateUpload struct {
	request
	remaining int       // further requests to be answered first; negative: only time counts
	due       time.Time // zero: only requests count
}

// misbehave answers a request with a fault in effect. It also moves on what earlier faults have put off.
func (f *Fake) misbehave(r *request, fault Fault, now time.Time) *reply {
	var answer *reply
	switch fault.Kind {
	case None, FirstIndex:
		answer = f.take(r, now)
	case StoredLost:
		answer = f.take(r, now)
		answer.cut = true
	case Trickle:
		answer = f.take(r, now)
		answer.trickle = true
	default:
		if fault.Stored && fault.Kind.leavesDoubt() {
			f.take(r, now)
		}
		answer = fault.answer(r)
	}
	f.countDown(now)
	if fault.Kind == StoredLate && r.invalid == nil {
		f.state.late = append(f.state.late, fault.postpone(r, now))
	}
	if fault.RetryAfter != "" {
		answer.header = http.Header{"Retry-After": {fault.RetryAfter}}
	}
	return answer
}

// leavesDoubt says whether the events may have been taken although the answer does not say so.
func (k Kind) leavesDoubt() bool {
	return slices.Contains([]Kind{InternalError, BadGateway, GatewayTimeout, Reset, HTMLPage, OtherShape, Redirect}, k)
}

// answer is what a fault says that does not look at the events.
func (fault Fault) answer(r *request) *reply {
	switch fault.Kind {
	case TooManyRequests:
		return jsonReply(http.StatusTooManyRequests, map[string]any{"error": "Too many requests"})
	case Throttle:
		return fault.name(r, "throttled", r.upload.api.eps+1)
	case DailyQuota:
		return fault.name(r, "exceeded_daily_quota", 500_001)
	case InternalError:
		return jsonReply(http.StatusInternalServerError, map[string]any{"error": "Internal server error"})
	case BadGateway:
		return htmlPage(http.StatusBadGateway, nil)
	case Unavailable:
		return jsonReply(http.StatusServiceUnavailable, map[string]any{"error": "Service unavailable"})
	case Reset:
		return &reply{cut: true}
	case HTMLPage:
		return htmlPage(cmp.Or(fault.Status, http.StatusBadRequest), nil)
	case PayloadTooLarge:
		return payloadTooLarge()
	case BadRequest:
		return badRequest(errorEvent, "")
	case Forbidden:
		return jsonReply(http.StatusForbidden, map[string]any{"error": "Forbidden"})
	case InvalidKey:
		return invalidKey(r.upload.apiKey)
	case OtherShape:
		return &reply{status: http.StatusOK, body: []byte(`{"status":"ok"}`)}
	case Redirect:
		return htmlPage(cmp.Or(fault.Status, http.StatusTemporaryRedirect),
			http.Header{"Location": {"https://elsewhere.invalid/batch"}})
	default: // GatewayTimeout, StoredLate
		return &reply{status: http.StatusGatewayTimeout, contentType: "text/html"}
	}
}

func htmlPage(status int, header http.Header) *reply {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	body := "<html><head><title>" + title + "</title></head><body><center><h1>" + title + "</h1></center></body></html>\n"
	return &reply{status: status, contentType: "text/html", body: []byte(body), header: header}
}

// name is a 429 for the fault's users and devices, or for those of the first event.
func (fault Fault) name(r *request, what string, number int) *reply {
	users, devices := map[string]int{}, map[string]int{}
	first := len(fault.Users)+len(fault.Devices) == 0
	for i := range r.events {
		e := &r.events[i]
		if e.userID != "" && (first && i == 0 || slices.Contains(fault.Users, e.userID)) {
			users[e.userID] = number
		}
		if first && i == 0 && e.userID == "" || slices.Contains(fault.Devices, e.device) {
			devices[e.device] = number
		}
	}
	return throttled(r.events, r.upload.api.eps, what, users, devices)
}

func (fault Fault) postpone(r *request, now time.Time) *lateUpload {
	late := &lateUpload{request: *r, remaining: fault.AfterRequests}
	switch {
	case fault.After > 0:
		late.due = now.Add(fault.After)
		late.remaining = cmp.Or(fault.AfterRequests, -1)
	case fault.AfterRequests == 0:
		late.remaining = 1
	}
	return late
}

// countDown stores what waited for this many answers.
func (f *Fake) countDown(now time.Time) {
	f.storeLate(now, func(late *lateUpload) bool {
		late.remaining--
		return late.remaining == 0
	})
}

// storeDue stores what waited for this time.
func (f *Fake) storeDue(now time.Time) {
	f.storeLate(now, func(late *lateUpload) bool { return !late.due.IsZero() && !now.Before(late.due) })
}

func (f *Fake) storeLate(now time.Time, due func(*lateUpload) bool) {
	var waiting []*lateUpload
	for _, late := range f.state.late {
		if !due(late) {
			waiting = append(waiting, late)
			continue
		}
		if f.state.silence(late.events, late.upload.api.eps) == nil {
			f.accept(&late.request, f.state.project(late.upload.apiKey, f.cfg), now)
		}
	}
	f.state.late = waiting
}

// Settle stores everything that a StoredLate fault still holds back, as if its time had come.
func (f *Fake) Settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.storeLate(f.now(), func(*lateUpload) bool { return true })
}

// send writes the answer, or does not.
func (f *Fake) send(w http.ResponseWriter, r *http.Request, answer *reply, fault Fault) {
	switch {
	case answer.cut:
		cutConnection(w)
	case answer.trickle:
		f.trickle(w, r, answer, cmp.Or(fault.Interval, time.Second))
	default:
		answer.write(w)
	}
}

// cutConnection resets the connection, so that the client sees neither an answer nor an orderly end.
func cutConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// trickle sends the answer byte by byte, until the client has had enough.
func (f *Fake) trickle(w http.ResponseWriter, r *http.Request, answer *reply, interval time.Duration) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
	w.WriteHeader(answer.status)
	for b := range strings.SplitSeq(string(answer.body), "") {
		if _, err := w.Write([]byte(b)); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		if !f.wait(r, interval) {
			return
		}
	}
}
