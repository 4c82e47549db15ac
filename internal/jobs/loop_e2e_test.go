package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/amplitude"
	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }

func bought(key, user string) string {
	return fmt.Sprintf(`{"key": %q, "user_id": %q, "track": {"event": "Order_Completed", "properties": {"total_cents": 1299}}}`, key, user)
}

func onPlan(key, user, plan string) string {
	return fmt.Sprintf(`{"key": %q, "user_id": %q, "identify": {"set": {"plan": %q}}, "track": {"event": "Plan_Seen"}}`, key, user, plan)
}

func TestABundleReachesAmplitudeOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{APIKeys: []string{"live-key"}})
	ids := h.enqueue(t, `{
		"key": "order:8412:completed", "user_id": "usr_42", "occurred_at": "2026-01-02T03:04:05.678Z",
		"identify": {"set": {"plan": "pro"}, "set_once": {"signup_date": "2026-01-01"}},
		"increment": {"orders_total": 1},
		"groups": [
			{"type": "account", "id": "acc_1", "set": {"name": "Acme"}},
			{"type": "workspace", "id": "ws_7", "parent": "acc_1"}],
		"track": {"event": "Order_Completed", "properties": {"total_cents": 1299}, "revenue": {"amount": 12.99, "currency": "EUR"}},
		"context": {"platform": "web", "session_id": 1790000000000}}`)

	h.once(t)

	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "delivered", outcome, reason)
	events := h.fake.Events(amplitudetest.Filter{Type: "Order_Completed"})
	require.Len(t, events, 1)
	require.WithinDuration(t, time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC), events[0].Time, 0)
	require.Equal(t, "srv:usr_42", events[0].DeviceID)
	require.True(t, strings.HasSuffix(events[0].InsertID, ":order:8412:completed:track"), events[0].InsertID)
	user, ok := h.fake.User("usr_42")
	require.True(t, ok)
	require.Equal(t, map[string]any{"plan": "pro", "signup_date": "2026-01-01", "orders_total": 1.0}, user.Properties)
	workspace, ok := h.fake.Group("workspace", "ws_7")
	require.True(t, ok)
	require.Equal(t, map[string]any{"group_type": "workspace", "parent_group_id": "acc_1"}, workspace)
	require.Equal(t, "completed", ask[string](t, h, "SELECT state::text FROM waybill.river_job"))
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.request"))
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.worker"), "a worker that stopped leaves no heartbeat row")
}

func TestUnchangedTraitsStayHome(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, onPlan("a", "u1", "pro"))
	h.once(t)
	before := h.fake.Stats()

	h.enqueue(t, onPlan("b", "u1", "pro"), `{"key": "c", "user_id": "u1", "identify": {"set": {"plan": "pro"}}}`)
	meter := h.once(t)

	require.Equal(t, before.Accepted+1, h.fake.Stats().Accepted, "one event, not two or three")
	require.Equal(t, map[string]int{"delivered": 3}, h.ledger(t))
	require.Equal(t, 2, meter.outcomes["delivered"])
}

func TestALateBundleDoesNotUndoANewerOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	bundle := func(key, at, plan string) string {
		return fmt.Sprintf(`{"key": %q, "user_id": "u1", "occurred_at": %q, "identify": {"set": {"plan": %q}}, "track": {"event": %q}}`, key, at, plan, "Saw_"+plan)
	}
	h.enqueue(t, bundle("new", "2026-02-02T00:00:00Z", "pro"))
	h.once(t)
	h.enqueue(t, bundle("old", "2026-01-01T00:00:00Z", "free"))
	h.once(t)

	user, _ := h.fake.User("u1")
	require.Equal(t, map[string]any{"plan": "pro"}, user.Properties)
	late := h.fake.Events(amplitudetest.Filter{Type: "Saw_free"})
	require.Len(t, late, 1)
	require.Equal(t, "free", late[0].UserProperties["plan"], "its event shows how the user was then")
}

func TestAPackIsDeliveredInFewRequests(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	var bundles []string
	for i := range 2500 {
		bundles = append(bundles, onPlan(fmt.Sprintf("k%d", i), fmt.Sprintf("u%d", i), "pro"))
	}
	h.enqueue(t, bundles...)

	h.once(t)

	require.Equal(t, map[string]int{"delivered": 2500}, h.ledger(t))
	stats := h.fake.Stats()
	require.Equal(t, 2500, stats.Counted)
	require.LessOrEqual(t, stats.Requests, 4)
	require.Equal(t, 2500, stats.Accepted, "the trait rides on the event")
}

func TestABadEventHurtsOnlyItself(t *testing.T) {
	t.Parallel()
	poison := `{"key": "bad", "user_id": "victim", "track": {"event": "Order_Completed", "properties": {"poison": true}}}`
	for name, test := range map[string]struct {
		fault       amplitudetest.Kind
		first       bool
		mayRequests int
	}{
		"when Amplitude names it":      {amplitudetest.FirstIndex, false, 2},
		"when Amplitude names nothing": {amplitudetest.BadRequest, false, 13},
		"when a firewall dislikes it":  {amplitudetest.Forbidden, false, 13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			if test.fault != amplitudetest.FirstIndex {
				h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: test.fault}, Property: "poison"})
			} else {
				h.fake.Silence("srv:victim")
			}
			bundles := make([]string, 1000)
			for i := range bundles {
				bundles[i] = bought(fmt.Sprintf("k%d", i), fmt.Sprintf("u%d", i))
			}
			bundles[617] = poison
			ids := h.enqueue(t, bundles...)

			h.once(t)

			require.Equal(t, map[string]int{"delivered": 999, "rejected": 1}, h.ledger(t))
			outcome, reason := h.outcome(t, ids[617])
			require.Equal(t, "rejected", outcome)
			require.Contains(t, reason, "Amplitude")
			require.Equal(t, 999, h.fake.Stats().Counted)
			require.LessOrEqual(t, h.fake.Stats().Requests, test.mayRequests)
		})
	}
}

func TestARefusalOfEverythingRejectsNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]amplitudetest.Kind{
		"a firewall":    amplitudetest.Forbidden,
		"a wrong key":   amplitudetest.InvalidKey,
		"a proxy":       amplitudetest.OtherShape,
		"a redirect":    amplitudetest.Redirect,
		"a bad gateway": amplitudetest.BadGateway,
		"an outage":     amplitudetest.Unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: fault}})
			bundles := make([]string, 100)
			for i := range bundles {
				bundles[i] = bought(fmt.Sprintf("k%d", i), fmt.Sprintf("u%d", i))
			}
			h.enqueue(t, bundles...)

			r, meter, _ := h.start(t)
			meter.until(t, "a closed lane", func(*tally) bool { return !r.State().Lane.Open })
			require.Empty(t, meter.outcomes)
			require.NotEmpty(t, r.State().Lane.Reason)
			require.Equal(t, map[string]int{"waiting": 100}, h.ledger(t))

			h.fake.Heal()
			meter.untilOutcomes(t, 100)
			require.Equal(t, map[string]int{"delivered": 100}, h.ledger(t))
			require.Equal(t, 100, h.fake.Stats().Counted)
			require.Equal(t, 1, ask[int](t, h, "SELECT max(attempt)::int FROM waybill.river_job"), "waiting costs no attempt")
		})
	}
}

func TestASinglePoisonDoesNotHoldTheLaneShut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Forbidden}, Property: "poison"})
	h.enqueue(t, `{"key": "bad", "user_id": "u", "track": {"event": "X", "properties": {"poison": true}}}`)
	r, meter, _ := h.start(t)
	meter.until(t, "a closed lane", func(*tally) bool { return !r.State().Lane.Open })

	h.enqueue(t, bought("good", "u2"))

	meter.untilOutcomes(t, 2)
	require.Equal(t, map[string]int{"delivered": 1, "rejected": 1}, h.ledger(t))
}

func TestALostAnswerIsCountedOnce(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]amplitudetest.Fault{
		"stored, then the connection is cut": {Kind: amplitudetest.StoredLost},
		"stored late, behind a 504":          {Kind: amplitudetest.StoredLate, AfterRequests: 1},
		"a reset before it was stored":       {Kind: amplitudetest.Reset},
		"stored behind a 500":                {Kind: amplitudetest.InternalError, Stored: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.fake.Inject(amplitudetest.Rule{Fault: fault, Times: 2})
			h.enqueue(t, onPlan("a", "u1", "free"), bought("b", "u2"), onPlan("c", "u1", "pro"))

			h.once(t)

			h.fake.Settle()
			require.Equal(t, map[string]int{"delivered": 3}, h.ledger(t))
			stats := h.fake.Stats()
			require.Equal(t, 3, stats.Counted)
			require.Zero(t, stats.StoredTwice)
			user, _ := h.fake.User("u1")
			require.Equal(t, "pro", user.Properties["plan"])
		})
	}
}

func TestAThrottledUserWaitsAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Throttle, Users: []string{"hot"}}, User: "hot"})
	bundles := []string{bought("h1", "hot"), bought("h2", "hot")}
	for i := range 50 {
		bundles = append(bundles, bought(fmt.Sprintf("k%d", i), fmt.Sprintf("u%d", i)))
	}
	h.enqueue(t, bundles...)

	_, meter, stop := h.start(t, func(cfg *Config) { cfg.Sender = shortPause{cfg.Sender} })
	meter.untilOutcomes(t, 50)
	require.Equal(t, 50, h.ledger(t)["delivered"])
	require.Equal(t, 1, ask[int](t, h, "SELECT count(*) FROM waybill.profile WHERE kind = 'user' AND id = 'hot' AND parked_until > now() - interval '1 minute'"))

	h.fake.Heal()
	meter.untilOutcomes(t, 52)
	stop()
	require.Equal(t, 52, h.fake.Stats().Counted)
	require.LessOrEqual(t, ask[int](t, h, "SELECT max(attempt)::int FROM waybill.river_job"), 1, "waiting costs no attempt")
}

// shortPause is Amplitude with a throttle that tests can wait out.
type shortPause struct{ Sender }

func (s shortPause) Limits() amplitude.Limits {
	limits := s.Sender.Limits()
	limits.ThrottlePause = 2 * time.Second
	return limits
}

func TestWhatTheValidatorRefusesIsRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t,
		`{"key": "reserved", "user_id": "u", "track": {"event": "$identify"}}`,
		`{"key": "forbidden", "user_id": "anonymous", "track": {"event": "X"}}`,
		`{"key": "types", "user_id": "u", "track": {"event": 7}}`,
		`{"key": "six groups", "user_id": "u", "groups": [{"type":"a","id":"1"},{"type":"b","id":"1"},{"type":"c","id":"1"},{"type":"d","id":"1"},{"type":"e","id":"1"},{"type":"f","id":"1"}]}`,
		bought("long", strings.Repeat("u", 1025)),
		bought("fine", "u"))

	h.once(t)

	for _, id := range ids[:5] {
		outcome, reason := h.outcome(t, id)
		require.Equal(t, "rejected", outcome)
		require.NotEmpty(t, reason)
	}
	require.Equal(t, 1, h.fake.Stats().Counted)
}

func TestABundleOfANewerVersionWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t, `{"v": 2, "key": "new", "user_id": "u", "track": {"event": "X"}, "whatever": 1}`)

	meter := h.once(t)

	require.Equal(t, 1, meter.waiting["newer_version"])
	require.Equal(t, map[string]int{"waiting": 1}, h.ledger(t))
	require.Equal(t, "scheduled", ask[string](t, h, "SELECT state::text FROM waybill.river_job"))
}

func TestDoubtEndsAfterSixDays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("old", "u1"), bought("young", "u2"))
	for i, age := range []string{"6 days 1 second", "5 days 23 hours"} {
		h.exec(t, `INSERT INTO waybill.delivery (bundle_id, outcome, doubt_since, request_id) VALUES ($1, 'in_doubt', clock_timestamp() - $2::text::interval, 99)`, ids[i], age)
	}

	h.once(t)

	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "uncertain", outcome)
	require.Contains(t, reason, "6 days")
	outcome, _ = h.outcome(t, ids[1])
	require.Equal(t, "delivered", outcome)
	require.Equal(t, 1, h.fake.Stats().Counted)
	require.True(t, ask[bool](t, h, "SELECT doubt_since IS NULL FROM waybill.delivery WHERE bundle_id = $1", ids[1]))
}

func TestDebugPrintsWhatWouldBeSentAndKeepsIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, onPlan("a", "u1", "pro"), onPlan("b", "u1", "pro"))
	var out lockedBuffer

	h.once(t, func(cfg *Config) {
		cfg.Mode, cfg.Reason, cfg.DebugWriter = Debug, "sandbox: no sandbox key", &out
	})

	require.Zero(t, h.fake.Stats().Requests)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	for _, line := range lines {
		var event map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		require.Equal(t, "Plan_Seen", event["event_type"])
		require.Equal(t, map[string]any{"plan": "pro"}, event["user_properties"])
	}
	outcome, reason := h.outcome(t, ids[0])
	require.Equal(t, "skipped", outcome)
	require.Equal(t, "sandbox: no sandbox key", reason)
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.profile"))
	require.Zero(t, ask[int](t, h, "SELECT count(*) FROM waybill.bundle WHERE payload IS NULL"))
}

func TestInstanceLevelCountsInstances(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.enqueue(t,
		`{"key": "a", "user_id": "u1", "groups": [{"type": "account", "id": "acc_1"}], "track": {"event": "X"}}`,
		`{"key": "b", "user_id": "u2", "groups": [{"type": "account", "id": "acc_1"}], "track": {"event": "X"}}`,
		bought("c", "u3"))

	h.once(t, func(cfg *Config) { cfg.InstanceLevel = true })

	require.Equal(t, 2, h.fake.CountByUser("acc_1"))
	require.Equal(t, 1, h.fake.CountByUser("u3"))
}

func TestTheSweepFindsABundleWhoseJobIsGone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	ids := h.enqueue(t, bought("deleted", "u1"), bought("discarded", "u2"), bought("cancelled", "u3"))
	h.exec(t, "UPDATE waybill.bundle SET enqueued_at = now() - interval '1 hour'")
	h.exec(t, "DELETE FROM waybill.river_job")
	for i, state := range []string{"discarded", "cancelled"} {
		h.exec(t, `WITH j AS (
			INSERT INTO waybill.river_job (kind, queue, args, state, finalized_at)
			VALUES ('bundle', 'analytics', '{}', $2::text::waybill.river_job_state, now()) RETURNING id)
			UPDATE waybill.bundle SET job_id = j.id FROM j WHERE bundle.id = $1`, ids[i+1], state)
	}

	_, meter, stop := h.start(t)
	meter.until(t, "the sweep", func(m *tally) bool { return m.rescued > 0 })
	meter.untilOutcomes(t, 2)
	stop()

	require.Equal(t, map[string]int{"delivered": 2, "skipped": 1}, h.ledger(t))
	_, reason := h.outcome(t, ids[2])
	require.Contains(t, reason, "cancelled")
}

func TestThroughATransactionPooler(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheDescribe} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, amplitudetest.Config{})
			h.enqueue(t, onPlan("a", "u1", "pro"), onPlan("b", "u2", "it's \\ odd"), `{"key": "c", "user_id": "u1", "increment": {"n": 1.5}, "groups": [{"type": "account", "id": "a"}]}`)
			h.once(t, func(cfg *Config) {
				cfg.Pool = h.db.Pool(t, func(cfg *pgxpool.Config) { cfg.ConnConfig.DefaultQueryExecMode = mode })
			})
			require.Equal(t, map[string]int{"delivered": 3}, h.ledger(t))
			user, _ := h.fake.User("u2")
			require.Equal(t, "it's \\ odd", user.Properties["plan"])
		})
	}
}
