//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"
	"time"
)

// worker is a real worker process.
type worker struct {
	*process
	id  string // as its heartbeat row has it
	url string // where it answers operators
}

// startWorker starts `worker run` and returns when it is ready. One worker is started
// at a time: the heartbeat row that is new is its own.
func (h *house) startWorker(ctx context.Context, name string) (*worker, error) {
	before, err := h.ledger.workers(ctx)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := start(program{
		name: name,
		path: h.bin + "/worker",
		args: []string{"run"},
		env: []string{
			"DATABASE_URL=" + h.postgres.as(loginWorker, name),
			"ANALYTICS_ENV=production",
			"AMPLITUDE_API_KEY=" + apiKey,
			"AMPLITUDE_ENDPOINT=" + h.fake.url,
			"ANALYTICS_HTTP_ADDR=" + address,
			"ANALYTICS_LOG_FORMAT=text",
		},
	}, h.logs)
	if err != nil {
		return nil, err
	}
	w := &worker{process: p, url: "http://" + address}
	h.workers = append(h.workers, w)
	err = p.await(ctx, func(ctx context.Context) bool {
		now, err := h.ledger.workers(ctx)
		if err != nil || !answers(ctx, w.url+"/readyz") {
			return false
		}
		for _, id := range now {
			if !slices.Contains(before, id) {
				w.id = id
			}
		}
		return w.id != ""
	})
	return w, err
}

// kill is how the demo ends a worker in the middle of its work: frozen first, looked
// at, and only if it has requests under way killed. It returns the moment and what the
// worker left behind.
func (h *house) killWorker(ctx context.Context, w *worker) (at time.Time, held []int64, err error) {
	const patience = 5 * time.Second
	deadline := time.Now().Add(patience)
	for {
		w.signal(syscall.SIGSTOP)
		now, err := h.ledger.holds(ctx, w.id)
		if err != nil {
			return time.Time{}, nil, err
		}
		at = now.At
		if now.Holds || time.Now().After(deadline) {
			break
		}
		w.signal(syscall.SIGCONT)
		if err := pause(ctx, 3*time.Millisecond); err != nil {
			return time.Time{}, nil, err
		}
	}
	w.kill()

	// A statement of its may still be running; only afterwards is it known what is left.
	for {
		connected, err := h.ledger.backends(ctx, w.name)
		if err != nil {
			return time.Time{}, nil, err
		}
		if connected == 0 {
			break
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, nil, err
		}
	}
	held, err = h.ledger.held(ctx, w.id)
	if err == nil && len(held) == 0 {
		err = errors.New("the worker that was killed held nothing: that shows nothing; try again")
	}
	return at, held, err
}

// pause lets time pass unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answers asks a worker how it is.
func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := loopback.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}

// freeAddress is an address on loopback that was free a moment ago.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it returns at once
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
