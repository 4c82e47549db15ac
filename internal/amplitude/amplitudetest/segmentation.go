package amplitudetest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// queryBudget is what the Dashboard REST API allows a project: cost within five minutes and within an hour
// (https://amplitude.com/docs/apis/analytics/dashboard-rest, "Rate limits").
type queryBudget struct{ fiveMinutes, hour window }

const (
	costPerFiveMinutes = 1_000
	costPerHour        = 108_000
	longestQuery       = 365 // days
)

func (b *queryBudget) spend(cost int, now time.Time) bool {
	b.fiveMinutes.step, b.fiveMinutes.span = time.Second, 300
	b.hour.step, b.hour.span = time.Minute, 60
	if b.fiveMinutes.sum(now)+cost > costPerFiveMinutes || b.hour.sum(now)+cost > costPerHour {
		return false
	}
	b.fiveMinutes.add(now, cost)
	b.hour.add(now, cost)
	return true
}

// authorized checks the Basic credentials of the read APIs and returns the API key.
func (f *Fake) authorized(w http.ResponseWriter, r *http.Request) (string, bool) {
	key, secret, _ := r.BasicAuth()
	if !f.knows(key) || secret == "" || f.cfg.SecretKey != "" && secret != f.cfg.SecretKey {
		w.Header().Set("WWW-Authenticate", `Basic realm="amplitude"`)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return "", false
	}
	return key, true
}

// segmentation answers daily totals or uniques of one event type, or of two.
func (f *Fake) segmentation(w http.ResponseWriter, r *http.Request) {
	key, ok := f.authorized(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	from, to, problem := days(query)
	types, unsupported := eventTypes(query)
	metric := cmp.Or(query.Get("m"), "uniques")
	switch {
	case problem == "" && unsupported != "":
		problem = unsupported
	case metric != "totals" && metric != "uniques":
		problem = "m must be totals or uniques"
	case metric == "uniques" && f.cfg.CountsOnly:
		problem = "uniques are not kept by a fake that keeps counts only"
	case query.Get("i") != "" && query.Get("i") != "1":
		problem = "i must be 1: days"
	}
	if problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}

	var labels []string
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		labels = append(labels, day.Format(time.DateOnly))
	}
	var series [][]int
	spent := true
	f.ask(func(s *state) {
		if spent = s.queries.spend(len(labels)*len(types), f.now()); !spent {
			return
		}
		p := s.project(key, f.cfg)
		for _, eventType := range types {
			series = append(series, p.perDayOf(eventType, metric, labels))
		}
	})
	if !spent {
		http.Error(w, "Exceeded query cost limit: wait before asking again", http.StatusTooManyRequests)
		return
	}
	writeSeries(w, types, labels, series)
}

func (p *project) perDayOf(eventType, metric string, days []string) []int {
	counts := make([]int, len(days))
	if metric == "totals" {
		for i, day := range days {
			counts[i] = p.perDay[dayKey{eventType, day}]
		}
		return counts
	}
	users := make(map[string]map[*user]bool)
	for e := range p.events.all {
		if e.eventType == eventType {
			day := p.days.day(e.at)
			if users[day] == nil {
				users[day] = make(map[*user]bool)
			}
			users[day][e.user] = true
		}
	}
	for i, day := range days {
		counts[i] = len(users[day])
	}
	return counts
}

func writeSeries(w http.ResponseWriter, types, days []string, series [][]int) {
	collapsed := make([][]map[string]int, len(series))
	for i, counts := range series {
		sum := 0
		for _, n := range counts {
			sum += n
		}
		collapsed[i] = []map[string]int{{"value": sum}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
		"series": series, "seriesLabels": types, "seriesCollapsed": collapsed, "xValues": days,
	}})
}

func days(query url.Values) (from, to time.Time, problem string) {
	const form = "20060102"
	from, err := time.Parse(form, query.Get("start"))
	if err != nil {
		return from, to, "start must be YYYYMMDD"
	}
	if to, err = time.Parse(form, query.Get("end")); err != nil {
		return from, to, "end must be YYYYMMDD"
	}
	if to.Before(from) || to.Sub(from) >= longestQuery*24*time.Hour {
		return from, to, "end must be 0 to 364 days after start"
	}
	return from, to, ""
}

// eventTypes reads e and e2. Filters, groupings and Amplitude's special types are refused, not ignored.
func eventTypes(query url.Values) (types []string, problem string) {
	for name, values := range query {
		if !slices.Contains([]string{"e", "e2", "start", "end", "m", "i"}, name) || len(values) != 1 {
			return nil, "not supported by the fake: " + name
		}
	}
	for _, name := range []string{"e", "e2"} {
		text := query.Get(name)
		if text == "" && name == "e2" {
			continue
		}
		eventType := gjson.Get(text, "event_type")
		if !gjson.Valid(text) || len(gjson.Parse(text).Map()) != 1 || eventType.String() == "" {
			return nil, name + ` must be {"event_type":"…"} and nothing else`
		}
		if strings.HasPrefix(eventType.String(), "_") || strings.HasPrefix(eventType.String(), "ce:") {
			return nil, "not supported by the fake: event type " + eventType.String()
		}
		types = append(types, eventType.String())
	}
	return types, ""
}
