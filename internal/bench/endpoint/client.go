package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Client asks an endpoint in another process.
type Client struct{ URL string }

// loopback ignores whatever proxy the environment names.
var loopback = &http.Client{Transport: &http.Transport{Proxy: nil}}

// Counts asks what arrived.
func (c Client) Counts(ctx context.Context) (counts Counts, err error) {
	return counts, c.do(ctx, http.MethodGet, "/counts", nil, &counts)
}

// Arrivals asks when single events arrived, the first 500,000.
func (c Client) Arrivals(ctx context.Context) (arrivals []Arrival, err error) {
	return arrivals, c.do(ctx, http.MethodGet, "/arrivals", nil, &arrivals)
}

// Reset forgets everything that arrived.
func (c Client) Reset(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/reset", nil, new(struct{}))
}

// Behave changes what becomes of uploads from now on.
func (c Client) Behave(ctx context.Context, b Behaviour) error {
	return c.do(ctx, http.MethodPost, "/behave", b, new(Behaviour))
}

// Ready says whether a worker's /readyz, or anything else at url, answers 200.
func Ready(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := loopback.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func (c Client) do(ctx context.Context, method, path string, send, into any) error {
	body, err := json.Marshal(send)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := loopback.Do(request)
	if err != nil {
		return fmt.Errorf("ask the endpoint: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the endpoint: %s answers %s", path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("ask the endpoint: %s: %w", path, err)
	}
	return nil
}
