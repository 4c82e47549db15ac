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
	USD   float64
	Known bool
}

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
		e = e.CostUSD(call.Cost.USD)
	}
	return waybill.User(string(call.User)), []waybill.Trackable{e}
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

// ErrorTypeOf sorts an error. Its words stay here: they may quote anyone.
func ErrorTypeOf(err error) ErrorType {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return ErrorTypeTimeout
	case errors.Is(err, context.Canceled):
		return ErrorTypeUnavailable
	}
	return ErrorTypeUnknown
}

// DeliveryFailed is a message that did not reach its user at the given attempt.
func DeliveryFailed(user UserID, id MessageID, attempt int, on Channel, err error) (waybill.Actor, []waybill.Trackable) {
	return waybill.User(string(user)), []waybill.Trackable{MessageDeliveryFailed(id, attempt, on, ErrorTypeOf(err))}
}
