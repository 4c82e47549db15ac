package ops

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Text writes the report as one screen of at most 80 columns.
func (r Report) Text(w io.Writer) error {
	var p page
	p.row("Database", "%s, %s", r.Database, instant(r.At))
	p.wrapped("Here", fmt.Sprintf("%s to %s: %s", r.Environment.Mode, r.Environment.Destination, r.Environment.Reason))
	r.text(&p)
	return p.writeTo(w)
}

func (s Status) text(p *page) {
	s.Queue.text(p, s.At)
	p.row("Rate", "%.1f bundles/s over the last %s", s.LastMinute.PerSecond(s.At), span(s.At.Sub(s.LastMinute.Since)))
	s.outcomesText(p)
	if s.InDoubt.Bundles > 0 {
		p.row("In doubt", "%s, sent %s ago and unanswered", plural(s.InDoubt.Bundles, s.InDoubt.Capped, "bundle"),
			sinceText(s.At, s.InDoubt.Oldest))
	}
	if s.Parked.Identities > 0 && s.Parked.Until != nil {
		p.row("Parked", "%s until %s at the latest", plural(s.Parked.Identities, s.Parked.Capped, "identity"), instant(*s.Parked.Until))
	}
	s.deadLettersText(p)
	s.violationsText(p)
	s.workersText(p)
}

func (q Queue) text(p *page, now time.Time) {
	if q.PausedAt != nil {
		p.row("PAUSED", "somebody paused River's queue %s ago; nothing is fetched", span(now.Sub(*q.PausedAt)))
	}
	if q.Jobs == 0 {
		p.row("Queue", "empty")
	} else {
		p.row("Queue", "%s in %s, the oldest %s old", plural(q.Bundles, q.Capped, "bundle"), plural(q.Jobs, q.Capped, "job"),
			sinceText(now, q.Oldest))
	}
	var states []string
	for _, d := range q.States {
		if d.Jobs > 0 {
			states = append(states, d.State+" "+thousands(d.Jobs, d.Capped))
		}
	}
	if len(states) > 0 {
		p.wrapped("  jobs", strings.Join(states, ", "))
	}
}

func (s Status) outcomesText(p *page) {
	line := "delivered " + thousands(s.LastHour.Delivered, s.LastHour.Capped)
	for _, outcome := range []string{"rejected", "skipped", "uncertain"} {
		_, lastHour, _ := s.DeadLetterCount(outcome)
		line += ", " + outcome + " " + thousands(lastHour, false)
	}
	p.row("Last hour", "%s", line)
	if s.LastHour.Capped {
		p.row("", "(delivered: counted for the last %s only)", span(s.At.Sub(s.LastHour.Since)))
	}
}

// shownReasons is how many reasons of one outcome fit on the screen.
const shownReasons = 5

func (s Status) deadLettersText(p *page) {
	for _, outcome := range []string{"rejected", "skipped", "uncertain"} {
		bundles, _, capped := s.DeadLetterCount(outcome)
		if bundles == 0 {
			continue
		}
		p.row(strings.ToUpper(outcome[:1])+outcome[1:], "%s", plural(bundles, capped, "bundle"))
		shown := 0
		for _, d := range s.DeadLetters {
			if d.Outcome != outcome {
				continue
			}
			if shown++; shown > shownReasons {
				p.row("", "…")
				break
			}
			p.row("", "%s", fmt.Sprintf("%9s  %-15s %s", thousands(d.Bundles, false), span(s.At.Sub(d.Newest))+" ago", orNone(d.Reason)))
		}
	}
}

func (s Status) workersText(p *page) {
	if len(s.Workers) == 0 {
		p.row("Workers", "none")
		return
	}
	p.row("Workers", "%d alive", s.AliveWorkers())
	for _, w := range s.Workers {
		beat := "beat " + span(s.At.Sub(w.BeatAt)) + " ago"
		if !w.Alive(s.At) {
			beat = "DEAD, " + beat
		}
		p.row("", "%s", fmt.Sprintf("%-18s %s, up %s", fit(w.ID, 18), beat, span(s.At.Sub(w.StartedAt))))
		if about := w.about().text(); about != "" {
			p.row("", "%-18s %s", "", about)
		}
	}
}

// about is what we read of what a worker says of itself.
type about struct {
	Version    string `json:"version"`
	Mode       string `json:"mode"`
	Lane       string `json:"lane"` // open, or why it is closed
	LaneDetail string `json:"lane_detail"`
	Plan       string `json:"plan"` // its name and version; empty: none
}

func (w Worker) about() about {
	var a about
	if json.Unmarshal(w.About, &a) != nil {
		return about{} // another version's words
	}
	return a
}

func (a about) text() string {
	var parts []string
	for _, part := range []string{a.Version, a.Mode, labelled("lane ", &a.Lane), labelled("plan ", &a.Plan)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

func sinceText(now time.Time, then *time.Time) string {
	if then == nil {
		return "an unknown time"
	}
	return span(now.Sub(*then))
}

func orNone(reason string) string {
	if reason == "" {
		return "(no reason)"
	}
	return reason
}
