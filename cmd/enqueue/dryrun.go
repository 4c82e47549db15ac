package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"strings"
	"time"

	"waybill/internal/amplitude"
	"waybill/internal/bundle"
	"waybill/internal/importer"
	"waybill/internal/jobs"
	"waybill/internal/plan/check"
	"waybill/internal/settings"
)

// requestsShown is how many requests a dry run of a file prints without --all.
const requestsShown = 5

// The database gives every bundle an id and begins every insert_id with its own
// name. A dry run has no database, and shows these in their place.
const standInInstall = "dryrun"

// preview checks every line and prints what Amplitude would be sent.
func (p *program) preview(ctx context.Context, s settings.Settings, in input) error {
	plan, err := loadPlan(s)
	if err != nil {
		return err
	}
	requests, err := newRequests(s)
	if err != nil {
		return err
	}
	door := &rehearsal{program: p, plan: plan, requests: requests, instanceLevel: s.InstanceLevel, left: requestsShown, keys: keys{}}
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
	plan          *check.Plan // nil: none is set
	requests      *requests
	instanceLevel bool
	left          int // requests to print
	keys          keys
}

// keys are the action keys that a dry run has seen, as hashes, up to keysMost of them.
type keys map[uint64]struct{}

const keysMost = 1 << 20

var keySeed = maphash.MakeSeed()

// isNew says that a key was not seen before, and notes it.
func (k keys) isNew(key string) bool {
	hash := maphash.String(keySeed, key)
	if _, seen := k[hash]; seen {
		return false
	}
	if len(k) < keysMost {
		k[hash] = struct{}{}
	}
	return true
}

// Enqueue implements importer.Door.
func (r *rehearsal) Enqueue(ctx context.Context, bundles []importer.Bundle) ([]importer.Answer, error) {
	answers := make([]importer.Answer, len(bundles))
	for i, b := range bundles {
		if !r.keys.isNew(b.Key) {
			answers[i] = importer.Answer{Outcome: importer.Duplicate}
			continue
		}
		answers[i] = importer.Answer{Outcome: importer.Valid}
		unseen := r.json || r.left == 0 && !r.all
		if unseen && r.plan == nil {
			continue
		}
		events, verdict, err := r.events(b)
		if err != nil {
			return nil, fmt.Errorf("line %d cannot be shown: %w", b.Line, err)
		}
		if answers[i] = r.byPlan(b, verdict); unseen || len(events) == 0 {
			continue
		}
		r.left--
		request, err := r.requests.body(ctx, events)
		if err != nil {
			return nil, fmt.Errorf("line %d cannot be shown: %w", b.Line, err)
		}
		if _, err := fmt.Fprintf(r.stdout, "%s\n", request); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// byPlan is what the plan makes of a line. A worker would reject what it holds back, skip
// what it samples out, and send what it only observes.
func (r *rehearsal) byPlan(b importer.Bundle, v check.Verdict) importer.Answer {
	if v.Held() {
		return importer.Answer{Outcome: importer.Rejected, Reason: v.Reason()}
	}
	for _, x := range v.Violations {
		say(r.stderr, "", fmt.Sprintf("line %d is off plan: %s %s", b.Line, x.Property, x.Reason))
	}
	return importer.Answer{Outcome: importer.Valid}
}

// events are what would deliver one bundle to an Amplitude that knows nothing yet.
func (r *rehearsal) events(b importer.Bundle) ([]json.RawMessage, check.Verdict, error) {
	parsed, err := bundle.Parse(b.JSON)
	if err != nil {
		return nil, check.Verdict{}, err
	}
	if r.instanceLevel && len(parsed.Groups) > 0 {
		parsed.UserID = parsed.Groups[0].ID
	}
	at := r.now()
	if !parsed.OccurredAt.IsZero() && parsed.OccurredAt.Before(at) {
		at = parsed.OccurredAt
	}
	return jobs.Preview(r.plan, parsed, standInInstall, int64(b.Line), at.Truncate(time.Microsecond))
}

// loadPlan reads the plan of the environment, as a worker does; nil without one.
func loadPlan(s settings.Settings) (*check.Plan, error) {
	if s.Plan == "" {
		return nil, nil
	}
	p, err := check.Load(s.Plan)
	var wrong *check.LoadError
	if errors.As(err, &wrong) {
		return nil, &settings.Error{Problems: []settings.Problem{{Variable: "ANALYTICS_PLAN", What: wrong.What, Fix: wrong.Fix}}}
	}
	return p, err
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
