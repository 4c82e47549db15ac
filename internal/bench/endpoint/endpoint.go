// Package endpoint is an Amplitude to measure against: it keeps what it is sent, answers after a fixed time, and reads
// and counts it when it is asked, which is after the clock was stopped. So it takes next to nothing of the machine that
// the measured sides share with it. It checks less than the faithful fake does.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Counts is what arrived since the last reset.
type Counts struct {
	Requests  int `json:"requests"` // that were taken
	Events    int `json:"events"`
	Tracks    int `json:"tracks"`    // events that are no $identify and no $groupidentify
	Distinct  int `json:"distinct"`  // insert_ids
	Malformed int `json:"malformed"` // requests that Amplitude would not have taken
	Bytes     int `json:"bytes"`     // of JSON
	Turned    int `json:"turned"`    // requests that were turned away on purpose
}

// Arrival says when an insert_id came for the first time.
type Arrival struct {
	InsertID string    `json:"insert_id"`
	At       time.Time `json:"at"`
}

// Behaviour is what the endpoint does with an upload. It may change between two requests.
type Behaviour struct {
	// Latency is the time until the answer, that for reading the request included.
	Latency time.Duration `json:"latency"`
	// Refuse is the percentage of bundles whose events are refused by name, always the same ones. Each request is then
	// read as it comes.
	Refuse int `json:"refuse"`
	// Down turns everything away with 503.
	Down bool `json:"down"`
}

const (
	// maxArrivals bounds what is kept for questions about single events.
	maxArrivals = 500_000
	// maxBody is what the batch API takes: https://amplitude.com/docs/apis/analytics/batch-event-upload
	maxBody = 20_000_000
	// maxUnread bounds the bytes that are kept, as they came, until they are read.
	maxUnread = 256 << 20
)

// Server is the endpoint. The zero value is not usable; call New.
type Server struct {
	seed maphash.Seed

	mu          sync.Mutex
	behaviour   Behaviour
	unread      []upload
	unreadBytes int
	counts      Counts
	seen        map[uint64]struct{}
	arrivals    []Arrival
}

// upload is a request as it came.
type upload struct {
	at   time.Time
	body []byte
}

// New makes an endpoint.
func New(b Behaviour) *Server {
	return &Server{behaviour: b, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
}

// ServeHTTP takes uploads on /batch and /2/httpapi, and answers GET /counts, GET /arrivals, POST /reset and POST /behave.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && (r.URL.Path == "/batch" || r.URL.Path == "/2/httpapi") {
		s.upload(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method + " " + r.URL.Path {
	case "GET /counts":
		s.readAll()
		s.counts.Distinct = len(s.seen)
		writeJSON(w, http.StatusOK, s.counts)
	case "GET /arrivals":
		s.readAll()
		writeJSON(w, http.StatusOK, s.arrivals)
	case "POST /reset":
		s.counts, s.seen, s.arrivals = Counts{}, map[uint64]struct{}{}, nil
		s.unread, s.unreadBytes = nil, 0
		writeJSON(w, http.StatusOK, struct{}{})
	case "POST /behave":
		var b Behaviour
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		s.behaviour = b
		writeJSON(w, http.StatusOK, b)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	s.mu.Lock()
	b := s.behaviour
	s.mu.Unlock()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return // the sender is gone
	}
	var refused []int
	if b.Refuse > 0 {
		refused = refusals(body, b.Refuse)
	}
	status := s.take(upload{began, body}, b, len(refused) > 0)
	answered := time.NewTimer(b.Latency - time.Since(began))
	defer answered.Stop()
	select {
	case <-answered.C:
	case <-r.Context().Done():
		return
	}
	switch status {
	case http.StatusOK:
		// How many events there are is not known yet.
		writeJSON(w, status, map[string]any{"code": status, "payload_size_bytes": len(body), "server_upload_time": began.UnixMilli()})
	case http.StatusBadRequest:
		writeJSON(w, status, map[string]any{
			"code": status, "error": "Invalid event", "events_with_invalid_fields": map[string][]int{"event_properties": refused},
		})
	default:
		writeJSON(w, status, map[string]any{"code": status, "error": "Service unavailable"})
	}
}

// take decides about an upload and keeps it if it is taken.
func (s *Server) take(u upload, b Behaviour, refused bool) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case b.Down:
		s.counts.Turned++
		return http.StatusServiceUnavailable
	case refused:
		s.counts.Turned++
		return http.StatusBadRequest
	}
	s.unread, s.unreadBytes = append(s.unread, u), s.unreadBytes+len(u.body)
	if s.unreadBytes > maxUnread {
		s.readAll()
	}
	return http.StatusOK
}

// readAll reads and counts what was kept. The caller holds the lock.
func (s *Server) readAll() {
	for _, u := range s.unread {
		events, size, err := read(u.body)
		if err != nil {
			s.counts.Malformed++
			continue
		}
		s.counts.Requests++
		s.counts.Events += len(events)
		s.counts.Bytes += size
		for _, e := range events {
			if e.isTrack() {
				s.counts.Tracks++
			}
			hash := maphash.String(s.seed, e.insertID)
			if _, again := s.seen[hash]; again {
				continue
			}
			s.seen[hash] = struct{}{}
			if len(s.arrivals) < maxArrivals {
				s.arrivals = append(s.arrivals, Arrival{strings.Clone(e.insertID), u.at})
			}
		}
	}
	s.unread, s.unreadBytes = nil, 0
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // fails only when the other side is gone
}

// Serve answers on a free loopback port until ctx ends. It writes the address as the first line of stdout.
func Serve(ctx context.Context, b Behaviour, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: New(b), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if _, err := fmt.Fprintf(stdout, "http://%s\n", listener.Addr()); err != nil {
		_ = listener.Close()
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
