package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/shop/events"
	"waybill"
)

var at = time.Date(2026, time.November, 22, 10, 0, 0, 0, time.UTC)

// told are the events as they will be recorded. Each must be what the plan allows.
func told(t *testing.T, happened []waybill.Trackable) []waybill.Event {
	t.Helper()
	var list []waybill.Event
	for _, e := range happened {
		if v, ok := e.(interface{ Validate() error }); ok {
			require.NoError(t, v.Validate())
		}
		list = append(list, e.AsEvent())
	}
	return list
}

func TestSignup(t *testing.T) {
	t.Parallel()
	actor, happened := events.Signup("usr_1", at, events.Attribution{Source: "newsletter", LandingPage: "/pricing"})
	require.Equal(t, waybill.User("usr_1").With(waybill.SetOnce("signup_date", "2026-11-22T10:00:00Z")), actor)
	require.Equal(t, []waybill.Event{{
		Name: "signup_completed", Version: "1.0", Key: "signup_completed:usr_1", OccurredAt: at,
		Properties: waybill.Properties{"attribution_status": "known", "utm_source": "newsletter", "landing_page": "/pricing"},
	}}, told(t, happened))

	_, happened = events.Signup("usr_1", at, events.Attribution{})
	require.Equal(t, waybill.Properties{"attribution_status": "unknown"}, told(t, happened)[0].Properties)
}

func TestLoginEstablishesTheHierarchy(t *testing.T) {
	t.Parallel()
	place := events.InAccount("acc_1", events.SetAccountName("Acme")).Workspace("ws_7", events.SetWorkspaceName("Berlin"))
	actor, happened := events.Login("usr_1", "ses_1", place)
	require.Equal(t, waybill.User("usr_1").In(
		waybill.Account("acc_1", waybill.Set("name", "Acme")),
		waybill.Workspace("ws_7", waybill.Set("name", "Berlin")).Under("acc_1"),
	), actor)
	require.Equal(t, "user_logged_in:ses_1", told(t, happened)[0].Key)
}

func TestMessageSent(t *testing.T) {
	t.Parallel()
	hasher, err := waybill.NewHasher("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	message := events.Message{
		ID: "msg_1", User: "usr_1", Channel: events.ChannelImessage, Persona: events.PersonaSage, Mode: events.ChatModeDirect,
		Text: "What’s on my calendar?", Phone: hasher.Token("phone", "+15551234567"), Chat: hasher.Token("chat_guid", "imessage:chat123"),
	}
	actor, happened := events.MessageSent(message)
	require.Equal(t, waybill.User("usr_1").With(
		waybill.Increment("total_messages_sent", 1), waybill.Set("primary_channel", "imessage"), waybill.Set("primary_persona", "sage"),
	), actor)

	list := told(t, happened)
	var keys []string
	for _, e := range list {
		keys = append(keys, e.Key)
	}
	require.Equal(t, []string{"message_sent_user:msg_1", "user_discovered:usr_1", "persona_selected:usr_1:sage"}, keys)
	require.Equal(t, 22, list[0].Properties["text_length"])
	require.Equal(t, 1, list[0].Properties["participants_count"])

	text, err := json.Marshal(list)
	require.NoError(t, err)
	for _, private := range []string{"calendar?", "5551234567", "chat123"} {
		require.NotContains(t, string(text), private)
	}
}

// TestFirstContactIsToldOnce: the second message repeats the keys of the first
// contact, which are duplicates in the database, and brings a key of its own.
func TestFirstContactIsToldOnce(t *testing.T) {
	t.Parallel()
	message := events.Message{ID: "msg_1", User: "usr_1", Channel: events.ChannelTelegram, Persona: events.PersonaEcho, Mode: events.ChatModeGroup}
	_, first := events.MessageSent(message)
	message.ID, message.Channel = "msg_2", events.ChannelImessage
	_, second := events.MessageSent(message)
	require.NotEqual(t, told(t, first)[0].Key, told(t, second)[0].Key)
	require.Equal(t, told(t, first)[1].Key, told(t, second)[1].Key)
	require.Equal(t, told(t, first)[2].Key, told(t, second)[2].Key)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	require.False(t, events.SessionOver(at, at.Add(30*time.Minute)))
	require.True(t, events.SessionOver(at, at.Add(30*time.Minute+time.Nanosecond)))

	_, started := events.SessionStarted("usr_1", "con_1", events.ChannelTelegram, at)
	_, ended := events.SessionEnded("usr_1", "con_1", at, at.Add(90*time.Second), 4)
	require.Equal(t, "conversation_started:con_1", told(t, started)[0].Key)
	require.Equal(t, waybill.Properties{"conversation_id": "con_1", "duration_seconds": 90, "messages_count": 4}, told(t, ended)[0].Properties)
	require.Equal(t, at.Add(90*time.Second), told(t, ended)[0].OccurredAt)
}

func TestIntegrations(t *testing.T) {
	t.Parallel()
	actor, connected := events.Connected("usr_1", "int_1", events.IntegrationCalendar, at)
	require.Equal(t, waybill.User("usr_1").With(waybill.Set("calendar_connected", true)), actor)
	actor, lost := events.Disconnected("usr_1", "int_1", events.IntegrationGmail, at)
	require.Equal(t, waybill.User("usr_1").With(waybill.Set("gmail_connected", false)), actor)
	require.Equal(t, "integration_connected:int_1:2026-11-22T10%3A00%3A00Z", told(t, connected)[0].Key)
	require.Equal(t, "integration_disconnected", told(t, lost)[0].Name)

	// Connecting the same account again is another action.
	_, again := events.Connected("usr_1", "int_1", events.IntegrationCalendar, at.Add(time.Hour))
	require.NotEqual(t, told(t, connected)[0].Key, told(t, again)[0].Key)
}

func call() events.LLMCall {
	return events.LLMCall{
		ID: "req_1", User: "usr_1", Model: "gpt-4o", PromptType: "chat_reply", Persona: events.PersonaSage, Channel: events.ChannelTelegram,
		Prompt: 1200, Cached: 200, Completion: 150, History: 10, Memories: 3, Latency: 1847 * time.Millisecond,
		Cost: events.Cost{PicoUSD: 4_500_000_000, Known: true},
	}
}

func TestLLMCalls(t *testing.T) {
	t.Parallel()
	_, happened := events.LLMCalled(call())
	require.Equal(t, waybill.Properties{
		"request_id": "req_1", "model": "gpt-4o", "status": "success", "prompt_tokens": 1200, "completion_tokens": 150,
		"cached_tokens": 200, "total_tokens": 1350, "cost_status": "known", "cost_usd": 0.0045, "latency_ms": 1847,
		"prompt_type": "chat_reply", "persona_id": "sage", "channel": "telegram",
		"conversation_history_messages": 10, "memories_included": 3,
	}, told(t, happened)[0].Properties)
}

func TestAnUnknownPriceIsNotZero(t *testing.T) {
	t.Parallel()
	unknown := call()
	unknown.Cost = events.Cost{}
	_, happened := events.LLMCalled(unknown)
	properties := told(t, happened)[0].Properties
	require.Equal(t, "unknown", properties["cost_status"])
	require.NotContains(t, properties, "cost_usd")

	free := call()
	free.Cost = events.Cost{Known: true}
	_, happened = events.LLMCalled(free)
	require.InDelta(t, 0, told(t, happened)[0].Properties["cost_usd"], 0)
}

type slow struct{}

func (slow) Error() string { return "dial +15551234567: too slow" }
func (slow) Timeout() bool { return true }

func TestErrorsAreSortedAndNotQuoted(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]events.ErrorType{
		context.DeadlineExceeded:                      events.ErrorTypeTimeout,
		fmt.Errorf("post: %w", slow{}):                events.ErrorTypeTimeout,
		context.Canceled:                              events.ErrorTypeUnavailable,
		errors.New("Jane said: call me +15551234567"): events.ErrorTypeUnknown,
	} {
		require.Equal(t, want, events.ErrorTypeOf(err), err)
		_, happened := events.DeliveryFailed("usr_1", "msg_1", 2, events.ChannelImessage, err)
		text, marshalErr := json.Marshal(told(t, happened))
		require.NoError(t, marshalErr)
		require.NotContains(t, string(text), "5551234567")
	}
	failed := call()
	failed.Err = fmt.Errorf("model: %w", context.DeadlineExceeded)
	_, happened := events.LLMCalled(failed)
	require.Equal(t, "timeout", told(t, happened)[0].Properties["status"])
	failed.Err = errors.New("overloaded")
	_, happened = events.LLMCalled(failed)
	require.Equal(t, "error", told(t, happened)[0].Properties["status"])
}
