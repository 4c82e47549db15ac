package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"waybill/internal/amplitude"
	"waybill/internal/bundle"
	"waybill/internal/importer"
	"waybill/internal/jobs"
	"waybill/internal/settings"
)

// requestsShown is how many requests a dry run of a file prints without --all.
const requestsShown = 5

// The database gives every bundle an id and begins every insert_id with its own
// name. A dry run has no database, and shows these in their place.
const standInInstall = "dryrun"

// preview checks every line and prints what Amplitude would be sent.
func (p *program) preview(ctx context.Context, s settings.Settings, in input) error {
	requests, err := newRequests(s)
	if err != nil {
		return err
	}
	door := &rehearsal{program: p, requests: requests, instanceLevel: s.InstanceLevel, left: requestsShown}
	if p.json {
		door.left = 0 // standard output is for the summary
	} else {
		say(p.stderr, "", "dry run: nothing is sent. POST "+requests.url())
	}
	_, err = (&importing{program: p, input: in, door: door, out: p.stderr}).run(ctx)
	return err
}

// rehearsal is the door of a dry run.
type rehearsal struct {
	*program
	requests      *requests
	instanceLevel bool
	left          int // requests to print
}

// Enqueue implements importer.Door.
func (r *rehearsal) Enqueue(ctx context.Context, bundles []importer.Bundle) ([]importer.Answer, error) {
	answers := make([]importer.Answer, len(bundles))
	for i, b := range bundles {
		answers[i] = importer.Answer{Outcome: importer.Valid}
		if r.json || r.left == 0 && !r.all {
			continue
		}
		r.left--
		request, err := r.request(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("line %d cannot be shown: %w", b.Line, err)
		}
		if _, err := fmt.Fprintf(r.stdout, "%s\n", request); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// request is the request that would deliver one bundle to an Amplitude that knows
// nothing yet.
func (r *rehearsal) request(ctx context.Context, b importer.Bundle) ([]byte, error) {
	parsed, err := bundle.Parse(b.JSON)
	if err != nil {
		return nil, err
	}
	if r.instanceLevel && len(parsed.Groups) > 0 {
		parsed.UserID = parsed.Groups[0].ID
	}
	at := r.now()
	if !parsed.OccurredAt.IsZero() && parsed.OccurredAt.Before(at) {
		at = parsed.OccurredAt
	}
	events, err := jobs.Preview(parsed, standInInstall, int64(b.Line), at.Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return r.requests.body(ctx, events)
}

// requests makes the very requests that a worker makes, by letting its client write
// them to a transport that leads nowhere.
type requests struct {
	client *amplitude.Client
	wire   *wire
}

// standInKey takes the place of the API key, and is taken out again.
const standInKey = "none"

func newRequests(s settings.Settings) (*requests, error) {
	api, err := amplitude.ParseAPI(s.API)
	if err != nil {
		return nil, err
	}
	endpoint := s.Endpoint
	if endpoint == "" {
		if endpoint, err = amplitude.BaseURL(s.Region); err != nil {
			return nil, err
		}
	}
	r := &requests{wire: &wire{url: endpoint + api.Path()}}
	r.client, err = amplitude.New(amplitude.Config{APIKey: standInKey, Endpoint: endpoint, API: api, Transport: r.wire})
	return r, err
}

func (r *requests) url() string { return r.wire.url }

// body is the indented JSON of the request for these events, without the key.
func (r *requests) body(ctx context.Context, events []json.RawMessage) ([]byte, error) {
	r.wire.body = nil
	if answer := r.client.Upload(ctx, events); r.wire.body == nil {
		return nil, fmt.Errorf("no request would be made: %s", answer.Reason)
	}
	text := bytes.Replace(r.wire.body, []byte(`"api_key":"`+standInKey+`",`), nil, 1)
	var pretty bytes.Buffer
	err := json.Indent(&pretty, text, "", "  ")
	return pretty.Bytes(), err
}

// wire keeps the body of the last request.
type wire struct {
	url  string
	body []byte
}

// RoundTrip implements http.RoundTripper without touching a network.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	defer func() { _ = req.Body.Close() }()
	plain, err := gzip.NewReader(req.Body)
	if err != nil {
		return nil, err
	}
	if w.body, err = io.ReadAll(plain); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}")), Request: req}, nil
}
