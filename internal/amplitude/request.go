package amplitude

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"sync"
)

// envelope is the JSON around the events.
type envelope struct{ head, tail []byte }

func newEnvelope(key string) envelope {
	quoted, err := json.Marshal(key)
	if err != nil {
		panic("amplitude: a string that cannot be marshalled") // encoding/json accepts every string
	}
	return envelope{
		head: append(append([]byte(`{"api_key":`), quoted...), `,"events":[`...),
		// Amplitude's default minimum of 5 characters would refuse or silently strip short ids.
		tail: []byte(`],"options":{"min_id_length":1}}`),
	}
}

// size is the length of the JSON body in bytes.
func (e envelope) size(events []json.RawMessage) int {
	n := len(e.head) + len(e.tail) + max(len(events)-1, 0)
	for _, event := range events {
		n += len(event)
	}
	return n
}

var (
	gzipWriters = sync.Pool{New: func() any {
		w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		if err != nil {
			panic("amplitude: gzip.BestSpeed is not a level") // it is a constant of the standard library
		}
		return w
	}}
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

// compress writes the body straight into gzip: the uncompressed request is never held as one piece.
func (e envelope) compress(events []json.RawMessage) *compressed {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	w := gzipWriters.Get().(*gzip.Writer)
	w.Reset(buf)

	// A bytes.Buffer never fails to take a write.
	_, _ = w.Write(e.head)
	for i, event := range events {
		if i > 0 {
			_, _ = w.Write([]byte{','})
		}
		_, _ = w.Write(event)
	}
	_, _ = w.Write(e.tail)
	_ = w.Close()
	gzipWriters.Put(w)

	return &compressed{buf: buf, length: buf.Len()}
}

// compressed is a request body that gives its buffer back to the pool when closed. A transport may still read
// from another goroutine while it closes the body, so both take the lock, and a read after Close fails
// instead of seeing the next request's bytes.
type compressed struct {
	length int
	mu     sync.Mutex
	buf    *bytes.Buffer // nil after Close
}

var errBodyClosed = errors.New("amplitude: request body read after close")

func (c *compressed) size() int { return c.length }

func (c *compressed) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		return 0, errBodyClosed
	}
	return c.buf.Read(p)
}

func (c *compressed) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
	}
	return nil
}
