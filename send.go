package waybill

import (
	"context"
	"strings"
)

// Limits of one call, beyond those of each bundle.
const (
	maxEvents    = 10_000
	maxCallBytes = 64 << 20
)

// send takes the drafts of one call through checks, SQL and receipt.
func (c *Client[TTx]) send(ctx context.Context, tx TTx, actor Actor, drafts []draft) (Receipt, error) {
	if len(drafts) == 0 {
		return Receipt{}, nil
	}
	receipt := newReceipt(drafts)
	err := c.sendByClass(ctx, tx, actor, drafts, receipt)
	c.counters.add(receipt)
	if c.bestEffort {
		return receipt, nil
	}
	return receipt, err
}

// decide gives every item of the receipt its outcome.
func (c *Client[TTx]) decide(ctx context.Context, tx TTx, actor Actor, drafts []draft, receipt Receipt) error {
	if reason := c.skipReason(actor); reason != "" {
		c.config.Logger.InfoContext(ctx, "waybill: skipped", "reason", reason, "events", len(drafts))
		receipt.skipRest(reason)
		return nil
	}
	if rejected := c.prepare(ctx, actor, drafts, receipt); rejected != nil {
		if !c.bestEffort {
			receipt.skipRest(ReasonNotSent)
			return rejected
		}
		c.logRejected(ctx, rejected, drafts)
	}
	if err := c.enqueue(ctx, tx, drafts, receipt); err != nil {
		c.logFailed(ctx, err, receipt)
		receipt.skipRest(ReasonEnqueueFailed)
		return err
	}
	if rejected := receipt.rejectedByDatabase(); rejected != nil {
		c.logRejected(ctx, rejected, drafts)
		return rejected
	}
	return nil
}

func (c *Client[TTx]) skipReason(actor Actor) string {
	switch {
	case c.config.Disabled:
		return ReasonDisabled
	case actor.loggedOut():
		return ReasonNotLoggedIn
	}
	return ""
}

// prepare makes the bundles, and rejects in the receipt those that cannot be.
func (c *Client[TTx]) prepare(ctx context.Context, actor Actor, drafts []draft, receipt Receipt) *RejectedError {
	if len(drafts) > maxEvents {
		return receipt.rejectAll("has more than 10,000 events; split it")
	}
	assemble(actor, c.trace(ctx), drafts, c.now())
	size := 0
	for i := range drafts {
		size += len(drafts[i].payload)
	}
	if size > maxCallBytes {
		return receipt.rejectAll("is larger than 64 MB; split it")
	}
	return receipt.reject(drafts)
}

// enqueue sends what was not rejected and enters the answers in the receipt.
func (c *Client[TTx]) enqueue(ctx context.Context, tx TTx, drafts []draft, receipt Receipt) error {
	sent := make([]int, 0, len(drafts)) // index of the draft, by position in the call
	for i := range drafts {
		if receipt.Items[i].Outcome == "" {
			sent = append(sent, i)
		}
	}
	if len(sent) == 0 {
		return nil
	}
	answers, err := c.call(ctx, tx, join(drafts, sent))
	if err == nil {
		err = receipt.enter(answers, sent)
	}
	if err != nil {
		return explain(err)
	}
	return nil
}

// join is what waybill.enqueue takes: an array of bundles, or the only one, which is
// what it has the least work with.
func join(drafts []draft, sent []int) string {
	if len(sent) == 1 {
		return string(drafts[sent[0]].payload)
	}
	var bundles strings.Builder
	for n, i := range sent {
		bundles.WriteByte("[,"[min(n, 1)])
		bundles.Write(drafts[i].payload)
	}
	bundles.WriteByte(']')
	return bundles.String()
}

func (c *Client[TTx]) call(ctx context.Context, tx TTx, bundles string) ([]answer, error) {
	// A statement that is cancelled under way costs the connection; one that is
	// not begun costs nothing.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.bestEffort {
		return c.door.tryEnqueue(ctx, tx, bundles)
	}
	return c.door.enqueue(ctx, tx, bundles)
}

// trace is what Config.Trace says of ctx, as far as it is usable. A tracer that
// panics or talks nonsense costs the trace, not the event.
func (c *Client[TTx]) trace(ctx context.Context) (trace map[string]string) {
	if c.config.Trace == nil {
		return nil
	}
	defer func() {
		if recover() != nil {
			trace = nil
		}
	}()
	parent, state := c.config.Trace(ctx)
	if !isHeaderValue(parent) {
		return nil
	}
	trace = map[string]string{"traceparent": parent}
	if isHeaderValue(state) {
		trace["tracestate"] = state
	}
	return trace
}

// maxHeaderValue is what W3C asks every tracer to pass on of a tracestate:
// https://www.w3.org/TR/trace-context/#tracestate-limits
const maxHeaderValue = 512

func isHeaderValue(s string) bool {
	return s != "" && len(s) <= maxHeaderValue && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// maxLogged bounds the lines that one call can log.
const maxLogged = 10

// logRejected tells of what a best-effort call left out; a strict one returns it.
func (c *Client[TTx]) logRejected(ctx context.Context, err *RejectedError, drafts []draft) {
	if !c.bestEffort {
		return
	}
	for i, r := range err.Rejections {
		if i == maxLogged {
			c.config.Logger.WarnContext(ctx, "waybill: more rejected", "count", len(err.Rejections)-i)
			return
		}
		event := ""
		if r.Index >= 0 && r.Field != "track.event" {
			event = drafts[r.Index].event.Name
		}
		c.config.Logger.WarnContext(ctx, "waybill: rejected", "event", event, "field", r.Field, "problem", r.Problem)
	}
}

// logFailed likewise. What the database says may hold values, so of its errors
// only the SQLSTATE is told.
func (c *Client[TTx]) logFailed(ctx context.Context, err error, receipt Receipt) {
	if !c.bestEffort {
		return
	}
	what := []any{"events", receipt.Count("")}
	if state := sqlState(err); state != "" {
		what = append(what, "sqlstate", state, "fix", fixes[state])
	} else {
		what = append(what, "error", err)
	}
	c.config.Logger.WarnContext(ctx, "waybill: enqueue failed", what...)
}
