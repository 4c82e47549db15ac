package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/shop/events"
	"example.com/shop/internal/stack"
	"example.com/shop/llmcost"
	"waybill"
)

// These tests go the whole way: a business write and a recipe's events in one
// transaction, bundles, a worker with the shop's plan, and what Amplitude then holds.

// planFile is what the worker checks bundles against.
const planFile = "plan/generated/plan.json"

// companion is a product that uses the recipes.
type companion struct {
	*stack.Database
	analytics *waybill.Client[pgx.Tx]
	amplitude *stack.Amplitude
}

func openCompanion(t *testing.T) companion {
	t.Helper()
	c := companion{Database: stack.New(t), amplitude: stack.StartAmplitude(t)}
	tables, err := os.ReadFile("testdata/companion.sql")
	require.NoError(t, err)
	c.Exec(t, string(tables))
	hasher, err := waybill.NewHasher("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	c.analytics, err = waybill.New(waybill.Config{Hasher: hasher})
	require.NoError(t, err)
	return c
}

// happen commits a business write and what a recipe makes of it.
func (c companion) happen(t *testing.T, actor waybill.Actor, happened []waybill.Trackable, write string, args ...any) waybill.Receipt {
	t.Helper()
	var receipt waybill.Receipt
	require.NoError(t, pgx.BeginFunc(t.Context(), c.Admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), write, args...); err != nil {
			return err
		}
		var err error
		receipt, err = c.analytics.Track(t.Context(), tx, actor, happened...)
		return err
	}))
	return receipt
}

func (c companion) deliver(t *testing.T) {
	t.Helper()
	c.amplitude.Deliver(t, c.Database, planFile)
}

// ago is a moment of the past hour, on a whole second.
func ago(d time.Duration) time.Time { return time.Now().Add(-d).UTC().Truncate(time.Second) }

func TestASignupArrivesWithItsAttribution(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	at := ago(time.Minute)
	const write = "INSERT INTO users VALUES ($1, $2)"
	actor, happened := events.Signup("usr_1", at, events.Attribution{Source: "newsletter", LandingPage: "/pricing"})
	c.happen(t, actor, happened, write, "usr_1", at)
	actor, happened = events.Signup("usr_2", at, events.Attribution{})
	c.happen(t, actor, happened, write, "usr_2", at)
	c.deliver(t)

	signups := c.amplitude.Events(t, events.SignupCompletedName)
	require.Len(t, signups, 2)
	require.Equal(t, map[string]any{"attribution_status": "known", "utm_source": "newsletter", "landing_page": "/pricing"}, signups[0].Properties)
	require.Equal(t, map[string]any{"attribution_status": "unknown"}, signups[1].Properties)
	require.True(t, at.Equal(signups[0].Time))
	require.Equal(t, at.Format(time.RFC3339Nano), c.amplitude.User(t, "usr_1")["signup_date"])
}

func TestALoginEstablishesTheHierarchyOnce(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	place := func(name string) events.ProjectScope {
		return events.InAccount("acc_1", events.SetAccountName("Acme")).
			Workspace("ws_7", events.SetWorkspaceName(name)).
			Project("prj_1", events.SetProjectName("Launch"))
	}
	for i := range 3 {
		session := fmt.Sprintf("ses_%d", i)
		actor, happened := events.Login("usr_1", events.SessionID(session), place("Berlin"))
		c.happen(t, actor, happened, "INSERT INTO sessions VALUES ($1, 'usr_1')", session)
		c.deliver(t)
	}
	require.Len(t, c.amplitude.Events(t, events.UserLoggedInName), 3)
	require.Len(t, c.amplitude.Events(t, "$groupidentify"), 3, "one for each level; what has not changed stays at home")
	require.Equal(t, map[string][]string{"account": {"acc_1"}, "workspace": {"ws_7"}, "project": {"prj_1"}},
		c.amplitude.Events(t, events.UserLoggedInName)[2].Groups)
	require.Equal(t, map[string]any{"name": "Acme", "group_type": "account"}, c.amplitude.Group(t, "account", "acc_1"))
	require.Equal(t, map[string]any{"name": "Launch", "group_type": "project", "parent_group_id": "ws_7"}, c.amplitude.Group(t, "project", "prj_1"))

	require.NoError(t, pgx.BeginFunc(t.Context(), c.Admin, func(tx pgx.Tx) error {
		key, who := events.Entered("usr_1", "ses_2:ws_7", place("Hamburg").Workspace())
		_, err := c.analytics.Identify(t.Context(), tx, key, who)
		return err
	}))
	c.deliver(t)
	require.Equal(t, map[string]any{"name": "Hamburg", "group_type": "workspace", "parent_group_id": "acc_1"},
		c.amplitude.Group(t, "workspace", "ws_7"))
	require.Len(t, c.amplitude.Events(t, "$groupidentify"), 4)
}

func TestAMessageTellsOfTheFirstContactOnce(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	const wording = "What’s on my calendar?"
	for i, persona := range []events.Persona{events.PersonaSage, events.PersonaSage, events.PersonaVex} {
		id := fmt.Sprintf("msg_%d", i)
		actor, happened := events.MessageSent(events.Message{
			ID: events.MessageID(id), User: "usr_1", Channel: events.ChannelImessage, Persona: persona, Mode: events.ChatModeDirect,
			Text: wording, Phone: c.analytics.Token("phone", "+15551234567"), Chat: c.analytics.Token("chat_guid", "imessage:chat123"),
		})
		receipt := c.happen(t, actor, happened, "INSERT INTO messages VALUES ($1, 'usr_1', $2)", id, wording)
		require.Equal(t, []int{3, 1, 2}[i], receipt.Queued(), "the first contact and each first choice of a companion are new once")
	}
	c.deliver(t)

	sent := c.amplitude.Events(t, events.MessageSentUserName)
	require.Len(t, sent, 3)
	require.Equal(t, map[string]any{
		"channel": "imessage", "persona_id": "sage", "mode": "direct", "text_length": 22.0, "participants_count": 1.0,
		"phone": c.analytics.Token("phone", "+15551234567").String(), "chat_guid": c.analytics.Token("chat_guid", "imessage:chat123").String(),
	}, sent[0].Properties)
	c.amplitude.Event(t, events.UserDiscoveredName)
	require.Len(t, c.amplitude.Events(t, events.PersonaSelectedName), 2)
	user := c.amplitude.User(t, "usr_1")
	require.Equal(t, 3.0, user["total_messages_sent"])
	require.Equal(t, "vex", user["primary_persona"], "the newest one")
	require.Equal(t, "imessage", user["primary_channel"])
}

func TestASessionStartsAndEnds(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	first, last := ago(50*time.Minute), ago(45*time.Minute)
	require.True(t, events.SessionOver(last, time.Now()))

	actor, happened := events.SessionStarted("usr_1", "con_1", events.ChannelTelegram, first)
	c.happen(t, actor, happened, "INSERT INTO conversations VALUES ('con_1', $1)", first)
	actor, happened = events.SessionEnded("usr_1", "con_1", first, last, 7)
	const end = "UPDATE conversations SET ended_at = $1 WHERE id = 'con_1'"
	c.happen(t, actor, happened, end, last)
	c.happen(t, actor, happened, end, last) // two processes noticed
	c.deliver(t)

	started := c.amplitude.Event(t, events.ConversationStartedName)
	require.Equal(t, map[string]any{"conversation_id": "con_1", "channel": "telegram"}, started.Properties)
	require.True(t, first.Equal(started.Time))
	ended := c.amplitude.Event(t, events.ConversationEndedName)
	require.Equal(t, map[string]any{"conversation_id": "con_1", "duration_seconds": 300.0, "messages_count": 7.0}, ended.Properties)
	require.True(t, last.Equal(ended.Time))
}

func TestAnIntegrationIsConnectedAndLost(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	const write = "INSERT INTO integrations VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET connected = $2"
	connected := func(id events.IntegrationID, kind events.Integration, at time.Time) {
		actor, happened := events.Connected("usr_1", id, kind, at)
		c.happen(t, actor, happened, write, id, true)
	}
	connected("int_1", events.IntegrationCalendar, ago(4*time.Minute))
	connected("int_2", events.IntegrationGmail, ago(3*time.Minute))
	actor, happened := events.Disconnected("usr_1", "int_1", events.IntegrationCalendar, ago(2*time.Minute))
	c.happen(t, actor, happened, write, "int_1", false)
	c.deliver(t)
	user := c.amplitude.User(t, "usr_1")
	require.Equal(t, false, user["calendar_connected"])
	require.Equal(t, true, user["gmail_connected"])

	connected("int_1", events.IntegrationCalendar, ago(time.Minute)) // again, another action
	c.deliver(t)
	require.Equal(t, true, c.amplitude.User(t, "usr_1")["calendar_connected"])
	require.Len(t, c.amplitude.Events(t, events.IntegrationConnectedName), 3)
	lost := c.amplitude.Event(t, events.IntegrationDisconnectedName)
	require.Equal(t, "calendar", lost.Properties["integration"])
}

func TestACallOfALanguageModelArrivesWithItsCost(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	c.Exec(t, llmcost.Schema)
	c.Exec(t, llmcost.Prices)
	at := ago(time.Minute)
	called := func(id events.LLMRequestID, model string, err error) {
		require.NoError(t, pgx.BeginFunc(t.Context(), c.Admin, func(tx pgx.Tx) error {
			call, failed := llmcost.Record(t.Context(), tx, events.LLMCall{
				ID: id, User: "usr_1", At: at, Model: model, PromptType: "chat_reply", Persona: events.PersonaSage,
				Channel: events.ChannelTelegram, Prompt: 1200, Cached: 200, Completion: 150, History: 10, Memories: 3,
				Latency: 1847 * time.Millisecond, Err: err,
			})
			if failed != nil {
				return failed
			}
			actor, happened := events.LLMCalled(call)
			_, failed = c.analytics.Track(t.Context(), tx, actor, happened...)
			return failed
		}))
	}
	called("req_1", "gpt-4o", nil)
	called("req_2", "gpt-99", fmt.Errorf("model: %w", context.DeadlineExceeded))
	called("req_1", "gpt-4o", nil) // a retried request
	c.deliver(t)

	calls := c.amplitude.Events(t, events.LLMRequestCompletedName)
	require.Len(t, calls, 2)
	require.Equal(t, map[string]any{
		"request_id": "req_1", "model": "gpt-4o", "status": "success", "prompt_tokens": 1200.0, "cached_tokens": 200.0,
		"completion_tokens": 150.0, "total_tokens": 1350.0, "cost_status": "known", "cost_usd": 0.00425, "latency_ms": 1847.0,
		"prompt_type": "chat_reply", "persona_id": "sage", "channel": "telegram", "conversation_history_messages": 10.0, "memories_included": 3.0,
	}, calls[0].Properties)
	require.Equal(t, "unknown", calls[1].Properties["cost_status"])
	require.NotContains(t, calls[1].Properties, "cost_usd", "not known is not free")
	require.Equal(t, "timeout", calls[1].Properties["status"])
	require.Equal(t, 1, c.Count(t, "SELECT calls FROM llm_unpriced WHERE model = 'gpt-99'"))
}

func TestFailuresArriveSortedAndWithoutTheirWords(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	const write = "INSERT INTO failures VALUES ($1, $2)"
	said := errors.New("Jane said: call me on +15551234567")
	actor, happened := events.DeliveryFailed("usr_1", "msg_1", 2, events.ChannelImessage, context.DeadlineExceeded)
	c.happen(t, actor, happened, write, "a", context.DeadlineExceeded.Error())
	actor, happened = events.RefreshFailed("usr_1", "int_1", events.IntegrationGmail, ago(time.Minute), said)
	c.happen(t, actor, happened, write, "b", said.Error())
	actor, happened = events.SuperpowerFailed("usr_1", "run_1", "morning_briefing", said)
	c.happen(t, actor, happened, write, "c", said.Error())
	c.deliver(t)

	require.Equal(t, map[string]any{"attempt": 2.0, "channel": "imessage", "error_type": "timeout"},
		c.amplitude.Event(t, events.MessageDeliveryFailedName).Properties)
	require.Equal(t, "unknown", c.amplitude.Event(t, events.OAuthRefreshFailedName).Properties["error_type"])
	require.Equal(t, map[string]any{"run_id": "run_1", "superpower": "morning_briefing", "error_type": "unknown"},
		c.amplitude.Event(t, events.SuperpowerErrorName).Properties)
	require.Zero(t, c.Count(t, "SELECT count(*) FROM waybill.bundle WHERE payload::text LIKE '%Jane%' OR payload::text LIKE '%5551234567%'"))
}
