//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// fake is the fake Amplitude in a process of its own, asked over HTTP.
type fake struct {
	*process
	url string
}

// A worker must survive all of these, so Amplitude makes them: every fiftieth request
// or so is answered 503, as many are taken and their answer is lost, and one of each
// early on in any case. Two requests, early too, are throttled with a 429 that names a
// user: such a user waits for 15 s, and later ones would only make the demo longer.
const (
	faultShares  = "503=0.02,lost=0.02"
	faultsOnTime = `[
		{"fault": {"kind": "throttled"}, "nth": 10}, {"fault": {"kind": "throttled"}, "nth": 25},
		{"fault": {"kind": "503"}, "nth": 15}, {"fault": {"kind": "lost"}, "nth": 20}]`
	latency = "50ms"
)

func startFake(ctx context.Context, bin, logs string) (*fake, error) {
	p, err := start(program{
		name: "fakeamplitude",
		path: filepath.Join(bin, "fakeamplitude"),
		args: []string{"--addr", "127.0.0.1:0", "--api-key", apiKey, "--seed", "1", "--latency", latency, "--faults", faultShares},
		env:  []string{},
	}, logs)
	if err != nil {
		return nil, err
	}
	f := &fake{process: p}
	err = p.await(ctx, func(context.Context) bool {
		content, _ := os.ReadFile(p.outPath) // it was created before the process
		line, _, whole := strings.Cut(string(content), "\n")
		address, found := strings.CutPrefix(line, "listening on ")
		f.url = strings.TrimSpace(address)
		return whole && found
	})
	if err == nil {
		err = f.do(ctx, http.MethodPost, "/_fake/faults", []byte(faultsOnTime), new(any))
	}
	return f, err
}

// fakeStats are the numbers of the fake that the demo judges by.
type fakeStats struct {
	Faults      map[string]int `json:"faults"`
	Accepted    int            `json:"accepted"`   // events taken, those that only change traits included
	Duplicates  int            `json:"duplicates"` // events that came again and were not counted
	StoredTwice int            `json:"stored_twice"`
	Forgotten   int            `json:"forgotten"` // events that /_fake/events has no room for
}

// fakeEvent is an event that was taken.
type fakeEvent struct {
	InsertID string  `json:"insert_id"`
	Type     string  `json:"event_type"`
	Revenue  float64 `json:"revenue"`
}

func (f *fake) stats(ctx context.Context) (stats fakeStats, err error) {
	return stats, f.do(ctx, http.MethodGet, "/_fake/stats", nil, &stats)
}

func (f *fake) events(ctx context.Context) (events []fakeEvent, err error) {
	return events, f.do(ctx, http.MethodGet, "/_fake/events?limit=0", nil, &events)
}

// user is the properties of a user, as Amplitude knows them now.
func (f *fake) user(ctx context.Context, id string) (map[string]any, error) {
	var user struct {
		Properties map[string]any `json:"user_properties"`
	}
	err := f.do(ctx, http.MethodGet, "/_fake/user?id="+url.QueryEscape(id), nil, &user)
	return user.Properties, err
}

// account is the same of a group of type account.
func (f *fake) account(ctx context.Context, id string) (properties map[string]any, err error) {
	return properties, f.do(ctx, http.MethodGet, "/_fake/group?type=account&id="+url.QueryEscape(id), nil, &properties)
}

// do reads an answer. Nothing is known about it is no error: the value stays empty.
func (f *fake) do(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, f.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := loopback.Do(request)
	if err != nil {
		return fmt.Errorf("ask the fake Amplitude: %w", err)
	}
	defer closeQuietly(response.Body)
	switch response.StatusCode {
	case http.StatusNotFound:
		return nil
	case http.StatusOK:
	default:
		return fmt.Errorf("ask the fake Amplitude: %s answers %s", path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("ask the fake Amplitude: %s: %w", path, err)
	}
	return nil
}

// loopback asks the demo's own processes, whatever proxy the environment names.
var loopback = &http.Client{Transport: &http.Transport{Proxy: nil}}
