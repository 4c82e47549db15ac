package amplitudetest

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// controlRoutes are the fake's own: questions and commands for other processes, and a page for people. The questions
// are Fake's methods of the same names; commands answer with the Stats.
//
//	GET    /_fake/stats, /_fake/requests, /_fake/duplicates
//	GET    /_fake/events?user=&device=&type=&insert_id=&limit=    the newest 100 by default
//	GET    /_fake/user?id=  /_fake/group?type=&id=  /_fake/insert?id=    404 when unknown
//	POST   /_fake/faults    a Rule or an array of them; durations are text: {"fault":{"kind":"late","after":"10s"}}
//	DELETE /_fake/faults    POST /_fake/settle    POST /_fake/reset
//	POST   /_fake/clock     {"advance":"168h"}
//	POST   /_fake/silence   ["device", …]    POST /_fake/block    ["event type", …]
func (f *Fake) controlRoutes() {
	get := func(path string, answer func(query func(string) string) (any, bool)) {
		f.mux.HandleFunc("GET /_fake/"+path, func(w http.ResponseWriter, r *http.Request) {
			value, ok := answer(r.URL.Query().Get)
			if !ok {
				writeJSON(w, http.StatusNotFound, map[string]string{"error": "nothing is known about it"})
				return
			}
			writeJSON(w, http.StatusOK, value)
		})
	}
	get("stats", func(func(string) string) (any, bool) { return f.Stats(), true })
	get("requests", func(func(string) string) (any, bool) { return f.Requests(), true })
	get("duplicates", func(func(string) string) (any, bool) { return f.Duplicated(), true })
	get("insert", func(query func(string) string) (any, bool) {
		arrivals := f.Arrivals(query("id"))
		return arrivals, arrivals != Arrivals{}
	})
	get("user", func(query func(string) string) (any, bool) { return found(f.User(query("id"))) })
	get("group", func(query func(string) string) (any, bool) { return found(f.Group(query("type"), query("id"))) })
	get("events", func(query func(string) string) (any, bool) {
		limit, err := strconv.Atoi(query("limit"))
		if err != nil {
			limit = 100
		}
		filter := Filter{
			User: query("user"), Device: query("device"), Type: query("type"), InsertID: query("insert_id"), Limit: limit,
		}
		return append([]Event{}, f.Events(filter)...), true
	})

	f.command("POST /_fake/faults", f.injectJSON)
	f.command("DELETE /_fake/faults", func([]byte) error { f.Heal(); return nil })
	f.command("POST /_fake/reset", func([]byte) error { f.Reset(); return nil })
	f.command("POST /_fake/settle", func([]byte) error { f.Settle(); return nil })
	f.command("POST /_fake/clock", func(body []byte) error {
		var move struct {
			Advance duration `json:"advance"`
		}
		err := decodeStrictly(body, &move)
		if err == nil {
			f.Advance(time.Duration(move.Advance))
		}
		return err
	})
	f.command("POST /_fake/silence", func(body []byte) error { return eachOf(body, f.Silence) })
	f.command("POST /_fake/block", func(body []byte) error { return eachOf(body, f.Block) })
	f.mux.HandleFunc("GET /{$}", f.page)
}

func found[T any](value T, ok bool) (any, bool) { return value, ok }

// command is a change asked for over HTTP. It answers with the numbers after it.
func (f *Fake) command(pattern string, change func(body []byte) error) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formBytes))
		if err == nil {
			err = change(body)
		}
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, f.Stats())
	})
}

// injectJSON adds one rule or an array of them.
func (f *Fake) injectJSON(body []byte) error {
	var rules []Rule
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	if err := json.Unmarshal(body, &rules); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	f.Inject(rules...)
	return nil
}

// eachOf reads an array of strings and passes it on.
func eachOf(body []byte, do func(...string)) error {
	var names []string
	if err := json.Unmarshal(body, &names); err != nil {
		return fmt.Errorf(`send an array of strings, like ["a"]: %w`, err)
	}
	do(names...)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value)
}

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page shows the numbers and the newest events and requests.
func (f *Fake) page(w http.ResponseWriter, _ *http.Request) {
	const rows = 15
	requests := f.Requests()
	requests = requests[max(0, len(requests)-rows):]
	slices.Reverse(requests)
	events := f.Events(Filter{Limit: rows})
	slices.Reverse(events)

	var page bytes.Buffer
	content := map[string]any{"Stats": f.Stats(), "Requests": requests, "Events": events}
	if err := pageTemplate.Execute(&page, content); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(page.Bytes())
}
