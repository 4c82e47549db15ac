// Package amplitude sends one request to Amplitude and says what became of each event in it.
//
// It never retries, never loops and starts nothing: a Client turns one slice of events into one POST and
// one Answer, and whoever calls it owns time. The facts about the service (limits, answers, what a status
// promises about duplicates) are Amplitude's own, from https://amplitude.com/docs/apis/analytics/http-v2
// and https://amplitude.com/docs/apis/analytics/batch-event-upload.
package amplitude

import (
	"fmt"
	"time"
)

// API chooses the ingestion API, and with it the limits of a request. The zero value is Batch.
type API int

const (
	// Batch is the Batch Event Upload API: POST /batch.
	Batch API = iota
	// HTTP is the HTTP V2 API: POST /2/httpapi.
	HTTP
)

// ParseAPI reads the name of an API as configuration spells it: "batch" or "http".
func ParseAPI(name string) (API, error) {
	for _, api := range []API{Batch, HTTP} {
		if name == api.String() {
			return api, nil
		}
	}
	return 0, fmt.Errorf("unknown Amplitude API %q: use %q or %q", name, Batch, HTTP)
}

// String is the name ParseAPI reads.
func (a API) String() string {
	switch a {
	case Batch:
		return "batch"
	case HTTP:
		return "http"
	default:
		return "unknown"
	}
}

// Path is the part of the address below the base URL.
func (a API) Path() string {
	if a == HTTP {
		return "/2/httpapi"
	}
	return "/batch"
}

// Limits are what one request to an API may hold, and how long its per-identity throttle asks to be left
// alone.
type Limits struct {
	// MaxEvents is the number of events in one request.
	MaxEvents int
	// MaxBytes is the size of the whole JSON body before compression. Amplitude says "1 MB" and "20 MB";
	// the smaller reading, powers of ten, is used.
	MaxBytes int
	// ThrottlePause is how long a user or device named in a 429 should rest.
	ThrottlePause time.Duration
	// PerIdentity is how many events a second Amplitude takes of one user or device, on
	// average over 30 s.
	PerIdentity int
}

// Limits are the documented limits of the API.
func (a API) Limits() Limits {
	if a == HTTP {
		return Limits{MaxEvents: 2_000, MaxBytes: 1_000_000, ThrottlePause: 30 * time.Second, PerIdentity: 30}
	}
	return Limits{MaxEvents: 2_000, MaxBytes: 20_000_000, ThrottlePause: 15 * time.Second, PerIdentity: 1_000}
}

// BaseURL is the address of Amplitude's ingestion hosts in a region: "us" or "eu". Keys of one region are
// unknown in the other.
func BaseURL(region string) (string, error) {
	switch region {
	case "us":
		return "https://api2.amplitude.com", nil
	case "eu":
		return "https://api.eu.amplitude.com", nil
	default:
		return "", fmt.Errorf(`unknown Amplitude region %q: use "us" or "eu"`, region)
	}
}
