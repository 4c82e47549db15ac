package events

import (
	"context"
	"errors"
	"time"

	"waybill"
)

// LLMCall is one call of a language model.
type LLMCall struct {
	ID         LLMRequestID
	User       UserID
	At         time.Time // when it ended
	Model      string
	PromptType string
	Persona    Persona
	Channel    Channel
	Prompt     int // tokens in, cached ones among them
	Cached     int // tokens in that were cached
	Completion int // tokens out
	History    int // earlier messages that went along
	Memories   int // memories that went along
	Latency    time.Duration
	Err        error // the call's; nil is success
	Cost       Cost
}

// Cost is what a call cost. The zero value is an unknown price, which is not a
// price of nothing.
type Cost struct {
	PicoUSD int64 // 10⁻¹² US dollars: a token costs a whole number of them
	Known   bool
}

// USD is the cost in dollars. Up to 9,000 of them it is written to the last place.
func (c Cost) USD() float64 { return float64(c.PicoUSD) / 1e12 }

// LLMCalled is a call that has come to its end, well or not.
func LLMCalled(call LLMCall) (waybill.Actor, []waybill.Trackable) {
	status := CostStatusUnknown
	if call.Cost.Known {
		status = CostStatusKnown
	}
	e := LLMRequestCompleted(call.ID, call.Model, statusOf(call.Err), call.Prompt, call.Completion, status).
		CachedTokens(call.Cached).
		TotalTokens(call.Prompt + call.Completion).
		LatencyMs(int(call.Latency.Milliseconds())).
		PromptType(call.PromptType).
		PersonaID(call.Persona).
		Channel(call.Channel).
		ConversationHistoryMessages(call.History).
		MemoriesIncluded(call.Memories)
	if call.Cost.Known {
		e = e.CostUSD(call.Cost.USD())
	}
	return waybill.User(string(call.User)), []waybill.Trackable{e.At(call.At)}
}

func statusOf(err error) LLMStatus {
	switch {
	case err == nil:
		return LLMStatusSuccess
	case errors.Is(err, context.DeadlineExceeded):
		return LLMStatusTimeout
	}
	return LLMStatusError
}
