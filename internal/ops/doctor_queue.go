package ops

import (
	"context"
	"fmt"
	"strings"
)

func (e *examination) checkQueue(context.Context) ([]Finding, error) {
	q, now := e.status.Queue, e.status.At
	if q.PausedAt != nil {
		return fail("resume it in River's UI, or: UPDATE waybill.river_queue SET paused_at = NULL WHERE name = 'analytics'",
			"somebody paused River's queue %s ago, with %s waiting", span(now.Sub(*q.PausedAt)), plural(q.Bundles, q.Capped, "bundle")), nil
	}
	for _, d := range q.States {
		if d.State == "available" && d.Oldest != nil && now.Sub(*d.Oldest) > e.limits.waiting && e.status.AliveWorkers() > 0 {
			return warn("worker status: is the lane open, is the rate above zero? If both, add workers",
				"the oldest of %s has waited for %s though workers live", plural(d.Bundles, d.Capped, "bundle"), span(now.Sub(*d.Oldest))), nil
		}
	}
	return ok("%s waiting", plural(q.Bundles, q.Capped, "bundle")), nil
}

func (e *examination) checkDeadLetters(context.Context) ([]Finding, error) {
	return judgeDeadLetters(e.status), nil
}

func judgeDeadLetters(s Status) []Finding {
	var findings []Finding
	if bundles, _, capped := s.DeadLetterCount("rejected"); bundles > 0 {
		top := topReason(s, "rejected")
		findings = append(findings, warn("mend the cause, then: worker retry --outcome rejected"+reasonFlag(top.Reason),
			"%s rejected, the oldest %s ago; most often: %s", plural(bundles, capped, "bundle"), span(s.At.Sub(top.Oldest)), orNone(top.Reason))...)
	}
	if bundles, _, capped := s.DeadLetterCount("uncertain"); bundles > 0 {
		findings = append(findings, warn("compare with Amplitude, then: worker resolve --assume-delivered, or --resend",
			"%s uncertain: Amplitude may have them or not", plural(bundles, capped, "bundle"))...)
	}
	if findings == nil {
		return ok("none rejected, none uncertain")
	}
	return findings
}

// otherReasons is the view's sum of all but the most frequent ones. No retry can name it.
const otherReasons = "(other reasons)"

// topReason is the most frequent reason of an outcome; the list is in that order.
func topReason(s Status, outcome string) DeadLetter {
	for _, d := range s.DeadLetters {
		if d.Outcome == outcome && d.Reason != otherReasons {
			return d
		}
	}
	return DeadLetter{}
}

// reasonFlag is the flag of worker retry that means this reason, which may have been cut.
func reasonFlag(reason string) string {
	switch {
	case reason == "":
		return ""
	case strings.Contains(reason, "%"): // it is read as a pattern then
		return " --reason " + shellQuote(reason+"%")
	}
	return " --reason " + shellQuote(reason)
}

// quoteLiteral makes an SQL literal of a text.
func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// shellQuote makes one word of a text.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func (e *examination) checkInDoubt(context.Context) ([]Finding, error) {
	d, l := e.status.InDoubt, e.limits
	if d.Bundles == 0 || d.Oldest == nil {
		return ok("none"), nil
	}
	since := e.status.At.Sub(*d.Oldest)
	says := fmt.Sprintf("%s in doubt, the oldest for %s; after 6 days they become uncertain", plural(d.Bundles, d.Capped, "bundle"), span(since))
	const fix = "let a worker reach Amplitude: see workers and lane below"
	switch {
	case since > l.doubtFail:
		return fail(fix, "%s", says), nil
	case since > l.doubtWarn:
		return warn(fix, "%s", says), nil
	}
	return ok("%s", says), nil
}

func (e *examination) checkWorkers(context.Context) ([]Finding, error) {
	alive, waiting := e.status.AliveWorkers(), e.status.Queue.Bundles
	switch {
	case alive > 0:
		return ok("%d alive", alive), nil
	case waiting > 0:
		return fail("start a worker: worker run", "none is alive, with %s waiting", plural(waiting, e.status.Queue.Capped, "bundle")), nil
	}
	return ok("none is alive, and nothing waits"), nil
}

func (e *examination) checkLane(context.Context) ([]Finding, error) {
	var findings []Finding
	for _, w := range e.status.Workers {
		a := w.about()
		if !w.Alive(e.status.At) || a.Lane == "" || a.Lane == "open" {
			continue
		}
		says := fmt.Sprintf("worker %s: closed, %s", w.ID, a.Lane)
		if a.LaneDetail != "" {
			says += ": " + a.LaneDetail
		}
		switch {
		case a.Lane == "key_refused":
			findings = append(findings, fail("check AMPLITUDE_API_KEY and AMPLITUDE_REGION of the worker, and restart it", "%s", says)...)
		case needsPerson(a.Lane):
			findings = append(findings, fail("check AMPLITUDE_ENDPOINT and the proxies between the worker and Amplitude", "%s", says)...)
		default:
			findings = append(findings, warn("nothing is lost; see https://status.amplitude.com and the worker's log", "%s", says)...)
		}
	}
	if findings == nil {
		return ok("no worker reports trouble with Amplitude"), nil
	}
	return findings, nil
}
