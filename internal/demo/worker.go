//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
)

// worker is a real worker process.
type worker struct {
	*process
	id  string // as its heartbeat row has it
	url string // where it answers operators
}

// shopPlan is what workers hold the shop's bundles against, from the repository's root.
const shopPlan = "examples/shop/plan/generated/plan.json"

// startWorker starts `worker run` and returns when it is ready. One worker is started
// at a time: the heartbeat row that is new is its own.
func (s *stack) startWorker(ctx context.Context, name string) (*worker, error) {
	before, err := s.ledger.workers(ctx)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p, err := start(program{
		name: name,
		path: filepath.Join(s.bin, "worker"),
		args: []string{"run"},
		env: []string{
			"DATABASE_URL=" + s.postgres.as(loginWorker, name),
			"ANALYTICS_ENV=production",
			"ANALYTICS_PLAN=" + shopPlan,
			"AMPLITUDE_API_KEY=" + apiKey,
			"AMPLITUDE_ENDPOINT=" + s.fake.url,
			"ANALYTICS_HTTP_ADDR=" + address,
			"ANALYTICS_LOG_FORMAT=text",
		},
	}, s.logs)
	if err != nil {
		return nil, err
	}
	w := &worker{process: p, url: "http://" + address}
	s.workers = append(s.workers, w)
	err = p.await(ctx, func(ctx context.Context) bool {
		now, err := s.ledger.workers(ctx)
		if err != nil || !isReady(ctx, w.url) {
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

// isReady asks a worker how it is.
func isReady(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := loopback.Do(request)
	if err != nil {
		return false
	}
	defer closeQuietly(response.Body)
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
