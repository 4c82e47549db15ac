package scenario

import (
	"fmt"
	"sync"
	"time"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
)

// sink is Amplitude and everything that reached it. It notes a request before it is
// answered.
type sink struct {
	*amplitudetest.Fake

	history  *history.Writer
	mu       sync.Mutex
	arrivals []checker.Arrival
	cleanup  []func()
	failure  error
}

const (
	answerTime = 20 * time.Millisecond
	// everything is far more than any run sends.
	everything = 5_000_000
)

// openSink starts a fake on loopback. The bound on property updates an hour is lifted:
// beyond it Amplitude loses updates silently, and half of all traffic is one user's.
func openSink(seed uint64, lines *history.Writer) (*sink, error) {
	s := &sink{history: lines}
	s.Fake = amplitudetest.Start(s, amplitudetest.Config{
		Seed: seed, Latency: answerTime, PropertyUpdates: everything, KeepEvents: everything, KeepRequests: everything,
		OnRequest: s.receive,
	})
	if s.failure != nil {
		return nil, s.failure
	}
	s.Silence(silencedDevice)
	return s, nil
}

// receive notes a request, and refuses one that holds unnamed poison.
func (s *sink) receive(n int, events []amplitudetest.Event) amplitudetest.Fault {
	now := time.Now()
	poisoned := false
	ids := make([]string, len(events))
	s.mu.Lock()
	for i, e := range events {
		ids[i] = e.InsertID
		poisoned = poisoned || e.EventProperties[poisonProperty] == "unnamed"
		s.arrivals = append(s.arrivals, checker.Arrival{Request: n, At: now, InsertID: e.InsertID, Sent: e.Sent})
	}
	s.mu.Unlock()
	s.history.Append(history.Record{Op: history.Receive, Type: history.Invoke, Keys: ids, Request: n})
	if poisoned {
		return amplitudetest.Fault{Kind: amplitudetest.BadRequest}
	}
	return amplitudetest.Fault{}
}

// received is everything that arrived so far.
func (s *sink) received() []checker.Arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]checker.Arrival(nil), s.arrivals...)
}

// close ends the server.
func (s *sink) close() {
	for i := len(s.cleanup) - 1; i >= 0; i-- {
		s.cleanup[i]()
	}
}

// Helper implements amplitudetest.TB, which lets a program start the fake.
func (*sink) Helper() {}

// Cleanup implements amplitudetest.TB.
func (s *sink) Cleanup(f func()) { s.cleanup = append(s.cleanup, f) }

// Fatalf implements amplitudetest.TB.
func (s *sink) Fatalf(format string, args ...any) { s.failure = fmt.Errorf(format, args...) }
