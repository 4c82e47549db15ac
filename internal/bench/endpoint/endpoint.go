// Package endpoint is an Amplitude to measure against: it answers every well-formed upload after a fixed time and keeps
// counts. It checks less than the faithful fake does and so takes less of the machine that the measured sides share
// with it.
package endpoint

import (
	"compress/gzip"
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

	"github.com/tidwall/gjson"
)

// Counts is what arrived since the last reset.
type Counts struct {
	Requests  int `json:"requests"`
	Events    int `json:"events"`
	Tracks    int `json:"tracks"`    // events that are no $identify and no $groupidentify
	Distinct  int `json:"distinct"`  // insert_ids
	Malformed int `json:"malformed"` // requests that were refused
	Bytes     int `json:"bytes"`     // of JSON
}

// Arrival says when an insert_id came for the first time.
type Arrival struct {
	InsertID string    `json:"insert_id"`
	At       time.Time `json:"at"`
}

// maxArrivals bounds what is kept for questions about single events.
const maxArrivals = 100_000

// maxBody is what the batch API takes: https://amplitude.com/docs/apis/analytics/batch-event-upload
const maxBody = 20_000_000

// Server is the endpoint. The zero value is not usable; call New.
type Server struct {
	latency time.Duration
	seed    maphash.Seed

	mu       sync.Mutex
	counts   Counts
	seen     map[uint64]struct{}
	arrivals []Arrival
}

// New makes an endpoint that answers each upload after latency, the time for reading it included.
func New(latency time.Duration) *Server {
	return &Server{latency: latency, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
}

// ServeHTTP takes uploads on /batch and /2/httpapi, and answers GET /counts, GET /arrivals and POST /reset.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /batch", "POST /2/httpapi":
		s.upload(w, r)
	case "GET /counts":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts.Distinct = len(s.seen)
		writeJSON(w, http.StatusOK, s.counts)
	case "GET /arrivals":
		s.mu.Lock()
		defer s.mu.Unlock()
		writeJSON(w, http.StatusOK, s.arrivals)
	case "POST /reset":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.counts, s.seen, s.arrivals = Counts{}, map[uint64]struct{}{}, nil
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	ids, tracks, size, err := read(r)
	if err != nil {
		s.mu.Lock()
		s.counts.Malformed++
		s.mu.Unlock()
		writeJSON(w, http.StatusBadRequest, map[string]any{"code": http.StatusBadRequest, "error": err.Error()})
		return
	}
	s.count(began, ids, tracks, size)
	answered := time.NewTimer(s.latency - time.Since(began))
	defer answered.Stop()
	select {
	case <-answered.C:
	case <-r.Context().Done():
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"code": http.StatusOK, "events_ingested": len(ids), "payload_size_bytes": size,
		"server_upload_time": time.Now().UnixMilli(),
	})
}

func (s *Server) count(at time.Time, ids []string, tracks, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Requests++
	s.counts.Events += len(ids)
	s.counts.Tracks += tracks
	s.counts.Bytes += size
	for _, id := range ids {
		hash := maphash.String(s.seed, id)
		if _, again := s.seen[hash]; again {
			continue
		}
		s.seen[hash] = struct{}{}
		if len(s.arrivals) < maxArrivals {
			s.arrivals = append(s.arrivals, Arrival{strings.Clone(id), at})
		}
	}
}

// read unpacks an upload and checks its shape: gzip, JSON, a key, events that each have a type, a device and an
// insert_id.
func read(r *http.Request) (ids []string, tracks, size int, err error) {
	unpacked, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("not gzip: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(unpacked, maxBody+1))
	if err != nil {
		return nil, 0, 0, err
	}
	switch {
	case len(body) > maxBody:
		return nil, 0, 0, errors.New("too large")
	case !gjson.ValidBytes(body):
		return nil, 0, 0, errors.New("not JSON")
	}
	envelope := gjson.ParseBytes(body)
	if envelope.Get("api_key").String() == "" {
		return nil, 0, 0, errors.New("no api_key")
	}
	envelope.Get("events").ForEach(func(_, event gjson.Result) bool {
		kind, device, id := event.Get("event_type").String(), event.Get("device_id").String(), event.Get("insert_id").String()
		if kind == "" || device == "" || id == "" {
			err = fmt.Errorf("event %d lacks event_type, device_id or insert_id", len(ids))
			return false
		}
		if !strings.HasPrefix(kind, "$") {
			tracks++
		}
		ids = append(ids, id)
		return true
	})
	if err == nil && len(ids) == 0 {
		err = errors.New("no events")
	}
	return ids, tracks, len(body), err
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // fails only when the other side is gone
}

// Serve answers on a free loopback port until ctx ends. It writes the address as the first line of stdout.
func Serve(ctx context.Context, latency time.Duration, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: New(latency), ReadHeaderTimeout: 10 * time.Second}
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
