package waybill

import (
	"context"
	"errors"
	"slices"
)

// sendByClass gives every event the delivery class of its definition: the strict ones go
// first, and only once they are recorded do those follow that must not matter to the
// product. A client that is best effort itself makes every event so.
func (c *Client[TTx]) sendByClass(ctx context.Context, tx TTx, actor Actor, drafts []draft, receipt Receipt) error {
	strict, rest := byClass(drafts)
	if c.bestEffort || len(rest) == 0 {
		return c.decide(ctx, tx, actor, drafts, receipt)
	}
	// Increments count with the first event of the call, whatever its class: another one
	// may be a duplicate when the first is not.
	withStrict, withRest := actor, actor.withoutIncrements()
	if drafts[0].bestEffort {
		withStrict, withRest = withRest, withStrict
	}
	if len(strict) > 0 {
		if err := c.decidePart(ctx, tx, withStrict, drafts, receipt, strict); err != nil {
			receipt.skipRest(ReasonNotSent)
			return err
		}
	}
	_ = c.BestEffort().decidePart(ctx, tx, withRest, drafts, receipt, rest)
	return nil
}

// byClass is the positions of the strict drafts and of the others.
func byClass(drafts []draft) (strict, rest []int) {
	for i, d := range drafts {
		if d.bestEffort {
			rest = append(rest, i)
		} else {
			strict = append(strict, i)
		}
	}
	return strict, rest
}

// decidePart is decide for the drafts at some positions. The error speaks of positions in
// the whole call.
func (c *Client[TTx]) decidePart(ctx context.Context, tx TTx, actor Actor, drafts []draft, receipt Receipt, at []int) error {
	part := make([]draft, len(at))
	for i, position := range at {
		part[i] = drafts[position]
	}
	of := newReceipt(part)
	err := c.decide(ctx, tx, actor, part, of)
	for i, position := range at {
		receipt.Items[position] = of.Items[i]
	}
	var rejected *RejectedError
	if errors.As(err, &rejected) {
		rejected.events = len(drafts)
		for i := range rejected.Rejections {
			if r := &rejected.Rejections[i]; r.Index >= 0 {
				r.Index = at[r.Index]
			}
		}
	}
	return err
}

// withoutIncrements is the actor for the half of a call that has not its first event.
func (a Actor) withoutIncrements() Actor {
	a.traits = slices.DeleteFunc(slices.Clone(a.traits), func(t Trait) bool { return t != nil && t.change().op == opIncrement })
	return a
}
