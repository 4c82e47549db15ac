package ops

import (
	"fmt"
	"io"
	"time"
)

// Text writes the bundle's fate in at most 80 columns.
func (b Bundle) Text(w io.Writer) error {
	var p page
	p.wrapped("Action", b.ActionKey)
	p.row("Bundle", "%d%s%s", b.ID, labelled(", event ", b.Event), labelled(", user ", b.UserID))
	p.row("Occurred", "%s", instant(b.OccurredAt))
	p.row("Enqueued", "%s, %s ago", instant(b.EnqueuedAt), span(b.At.Sub(b.EnqueuedAt)))
	p.row("Outcome", "%s", b.outcomeText())
	if b.Reason != nil && *b.Reason != "" {
		p.wrapped("Reason", *b.Reason)
	}
	if b.DoubtSince != nil {
		p.row("In doubt", "since %s: Amplitude may have it", instant(*b.DoubtSince))
	}
	p.row("Job", "%s", b.jobText())
	if b.LastError != nil && *b.LastError != "" {
		p.wrapped("Last error", *b.LastError)
	}
	if !b.HasPayload {
		p.row("Payload", "gone; it cannot be sent again")
	}
	for i, o := range b.Violations {
		p.wrapped([]string{"Off plan", ""}[min(i, 1)], o.String())
	}
	for _, r := range b.Replaced {
		p.row("Before", "%s", fmt.Sprintf("%s at %s%s", r.Outcome, instant(r.At), labelled(": ", &r.Reason)))
		p.row("", "%s by %s at %s", r.How, r.By, instant(r.ReplacedAt))
	}
	return p.writeTo(w)
}

func (b Bundle) outcomeText() string {
	switch {
	case b.SettledAt == nil:
		return b.Outcome + ", not sent yet"
	case b.Outcome == "delivered":
		return fmt.Sprintf("delivered at %s, %s after it was enqueued", instant(*b.SettledAt), span(b.SettledAt.Sub(b.EnqueuedAt)))
	default:
		return b.Outcome + " at " + instant(*b.SettledAt)
	}
}

func (b Bundle) jobText() string {
	switch {
	case b.JobID == nil:
		return "none; it was refused when it was enqueued"
	case b.JobState == nil:
		return fmt.Sprintf("%d, ended and removed, %s", *b.JobID, plural(int64(b.Attempts), false, "attempt"))
	}
	text := fmt.Sprintf("%d, %s, %s", *b.JobID, *b.JobState, plural(int64(b.Attempts), false, "attempt"))
	if b.NextAt != nil && b.NextAt.After(b.At.Add(time.Second)) {
		text += ", due in " + span(b.NextAt.Sub(b.At))
	}
	return text
}

func labelled(label string, value *string) string {
	if value == nil || *value == "" {
		return ""
	}
	return label + *value
}
