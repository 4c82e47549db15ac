package amplitudetest

import (
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// api is one of the two ingestion APIs: the same body, other limits.
type api struct {
	name     string
	maxBytes int
	eps      int // events per second and id
}

var (
	batchAPI = api{name: "batch", maxBytes: 20_000_000, eps: 1_000}
	httpAPI  = api{name: "http", maxBytes: 1_000_000, eps: 30}
)

func (a api) limitedBy(cfg Config) api {
	a.maxBytes = cmp.Or(cfg.MaxBytes, a.maxBytes)
	a.eps = cmp.Or(cfg.EPS, a.eps)
	return a
}

// upload is one ingestion request as far as it could be read.
type upload struct {
	api       api
	body      string // after gunzip
	wireBytes int

	apiKey           string
	hasKey           bool
	events           []gjson.Result
	minIDLength      int
	clientUploadTime time.Time
}

// text of the errors that say nothing about single events
// (https://amplitude.com/docs/apis/analytics/http-v2, "400 Bad Request").
const (
	errorBody         = "Missing request body"
	errorJSON         = "Invalid JSON request body"
	errorMissingField = "Request missing required field"
	errorEvent        = "Invalid event JSON"
	errorKey          = "Invalid API key"
	errorPath         = "Invalid request path"
)

// readUpload reads the body whole and takes the envelope apart. A non-nil reply means that it is refused; the
// upload then holds what was understood.
func readUpload(r *http.Request, api api, maxEvents int) (*upload, *reply) {
	u := &upload{api: api, minIDLength: 5}
	if r.Method != http.MethodPost {
		return u, &reply{status: http.StatusMethodNotAllowed, body: []byte("Method Not Allowed\n"), contentType: "text/plain"}
	}
	text, wire, err := readBody(r, api.maxBytes)
	u.body, u.wireBytes = text, wire
	switch {
	case errors.Is(err, errTooLarge):
		return u, payloadTooLarge()
	case err != nil:
		return u, badRequest(errorJSON, "the body cannot be read: "+err.Error())
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		return u, badRequest(errorJSON, "Content-Type is not application/json")
	}
	switch {
	case text == "":
		return u, badRequest(errorBody, "")
	case !utf8.ValidString(text) || !gjson.Valid(text):
		return u, badRequest(errorJSON, "not JSON in UTF-8")
	case loneSurrogate(text):
		return u, badRequest(errorJSON, `a \u escape is half of a surrogate pair`)
	}
	return u, u.open(maxEvents)
}

// open reads the top level. Names are case-sensitive, and what is not documented or sent by Amplitude's own SDKs
// is refused.
func (u *upload) open(maxEvents int) *reply {
	root := gjson.Parse(u.body)
	if !root.IsObject() {
		return badRequest(errorJSON, "not an object")
	}
	var problem *reply
	var events gjson.Result
	root.ForEach(func(name, value gjson.Result) bool {
		if name.String() == "events" {
			events = value
		} else if p := u.field(name.String(), value); problem == nil {
			problem = p
		}
		return true
	})
	if !u.hasKey {
		return missingField("api_key")
	}
	if !events.Exists() {
		return missingField("events")
	}
	if problem != nil {
		return problem
	}
	if !events.IsArray() {
		return badRequest(errorJSON, "events is not an array")
	}
	u.events = events.Array()
	switch {
	case len(u.events) == 0:
		return badRequest(errorMissingField, "events is empty")
	case len(u.events) > maxEvents:
		return payloadTooLarge()
	}
	for _, event := range u.events {
		if !event.IsObject() {
			return badRequest(errorEvent, "an event is not an object")
		}
	}
	return nil
}

// field reads one top-level field other than the events.
func (u *upload) field(name string, value gjson.Result) *reply {
	switch name {
	case "api_key":
		u.apiKey, u.hasKey = value.String(), true
		if value.Type != gjson.String {
			return badRequest(errorJSON, "api_key is not a string")
		}
	case "options":
		return u.options(value)
	case "client_upload_time":
		at, err := time.Parse(time.RFC3339Nano, value.String())
		if err != nil {
			return badRequest(errorJSON, "client_upload_time is not an ISO 8601 time")
		}
		u.clientUploadTime = at
	case "request_metadata":
	default:
		return badRequest(errorJSON, "unknown top-level field "+name)
	}
	return nil
}

func (u *upload) options(value gjson.Result) *reply {
	if !value.IsObject() {
		return badRequest(errorJSON, "options is not an object")
	}
	var problem *reply
	value.ForEach(func(name, value gjson.Result) bool {
		switch {
		case name.String() != "min_id_length":
			problem = badRequest(errorJSON, "unknown option "+name.String())
		case !isInteger(value) || value.Int() < 1:
			problem = badRequest(errorJSON, "min_id_length is not a positive integer")
		default:
			u.minIDLength = int(value.Int())
		}
		return problem == nil
	})
	return problem
}

var errTooLarge = errors.New("too large")

var gzipReaders sync.Pool

// readBody returns the body after gunzip and its size on the wire. It reads at most limit bytes of JSON.
func readBody(r *http.Request, limit int) (text string, wire int, err error) {
	counted := &countingReader{r: r.Body}
	var plain io.Reader = counted
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		z, _ := gzipReaders.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		defer gzipReaders.Put(z)
		if err := z.Reset(counted); err != nil {
			return "", counted.n, err
		}
		plain = z
	default:
		return "", 0, errors.New("unknown Content-Encoding " + encoding)
	}

	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(plain, int64(limit)+1))
	if n > int64(limit) {
		return "", counted.n, errTooLarge
	}
	return b.String(), counted.n, err
}

type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// loneSurrogate finds a \u escape that is half of a pair: JSON by its grammar, but no text.
func loneSurrogate(text string) bool {
	for {
		i := strings.Index(text, `\`)
		if i < 0 {
			return false
		}
		text = text[i:]
		high := surrogate(text, "89abAB")
		switch {
		case high && surrogate(text[6:], "cdefCDEF"):
			text = text[12:]
		case high || surrogate(text, "cdefCDEF"):
			return true
		default:
			text = text[2:] // in valid JSON a backslash is never the last byte
		}
	}
}

// surrogate says whether the text begins with \uD and one of the third digits.
func surrogate(text, third string) bool {
	return len(text) >= 6 && text[:2] == `\u` && text[2]|0x20 == 'd' && strings.IndexByte(third, text[3]) >= 0
}
