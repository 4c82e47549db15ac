package waybill

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTrackStoresOneBundlePerEventInOneStatement(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	actor := User("usr_42").OnDevice("web-7f3a").
		With(Set("plan", "pro"), SetOnce("signup_date", "2026-01-01"), Unset("trial_ends"), Increment("orders_total", 1)).
		In(Account("acc_1", Set("name", "Acme")), Workspace("ws_7")).
		Via(Context{Platform: "web", AppVersion: "4.2.0", SessionID: -1, Language: "de", IP: netip.MustParseAddr("::ffff:192.0.2.7"), Source: SourceClient})

	receipt, err := client.Track(t.Context(), fakeTx{}, actor,
		Event{
			Name: "Order_Completed", Key: "order:8412:completed", Version: "1.0",
			Properties: Properties{"total_cents": 1299, "items": []string{"A-1"}},
			Revenue:    Revenue{12.99, "EUR"},
			OccurredAt: time.Date(2026, 11, 22, 11, 15, 0, 123456789, time.FixedZone("", 3600)),
		},
		Event{Name: "Cart_Emptied", Key: "cart:17:emptied"})
	require.NoError(t, err)
	require.Equal(t, Receipt{[]Item{
		{Key: "order:8412:completed", BundleID: 100, Outcome: Queued},
		{Key: "cart:17:emptied", BundleID: 101, Outcome: Queued},
	}}, receipt)
	require.Equal(t, 2, receipt.Queued())

	sent := db.sent(t)
	require.Equal(t, "enqueue", db.calls[0].function)
	require.Len(t, sent, 2)
	require.JSONEq(t, `{
		"v": 1, "key": "order:8412:completed", "user_id": "usr_42", "device_id": "web-7f3a",
		"occurred_at": "2026-11-22T10:15:00.123456Z",
		"identify": {"set": {"plan": "pro"}, "set_once": {"signup_date": "2026-01-01"}, "unset": ["trial_ends"]},
		"increment": {"orders_total": 1},
		"groups": [{"type": "account", "id": "acc_1", "set": {"name": "Acme"}}, {"type": "workspace", "id": "ws_7", "parent": "acc_1"}],
		"track": {"event": "Order_Completed", "version": "1.0",
			"properties": {"items": ["A-1"], "total_cents": 1299}, "revenue": {"amount": 12.99, "currency": "EUR"}},
		"context": {"platform": "web", "app_version": "4.2.0", "session_id": -1, "language": "de", "ip": "192.0.2.7"},
		"source": "client"
	}`, string(sent[0]))
	require.JSONEq(t, `{
		"v": 1, "key": "cart:17:emptied", "user_id": "usr_42", "device_id": "web-7f3a",
		"identify": {"set": {"plan": "pro"}, "set_once": {"signup_date": "2026-01-01"}, "unset": ["trial_ends"]},
		"groups": [{"type": "account", "id": "acc_1", "set": {"name": "Acme"}}, {"type": "workspace", "id": "ws_7", "parent": "acc_1"}],
		"track": {"event": "Cart_Emptied"},
		"context": {"platform": "web", "app_version": "4.2.0", "session_id": -1, "language": "de", "ip": "192.0.2.7"},
		"source": "client"
	}`, string(sent[1]), "traits and groups travel with every event, an increment with the first")
}

func TestTrackAddsNothingOfItsOwn(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	_, err := client.Track(t.Context(), fakeTx{}, User("42"), Event{Name: "Seen", Key: "k", Properties: Properties{}})
	require.NoError(t, err)
	require.JSONEq(t, `{"v": 1, "key": "k", "user_id": "42", "track": {"event": "Seen"}, "source": "server"}`, string(db.sent(t)[0]))
}

func TestTrackWithoutEventsDoesNothing(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.Track(t.Context(), fakeTx{}, Actor{})
	require.NoError(t, err)
	require.Empty(t, receipt.Items)
	require.Empty(t, db.calls)
}

func TestIdentifyStoresTraitsWithoutAnEvent(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.Identify(t.Context(), fakeTx{}, "user:42:signed_up", User("42").With(Set("plan", "free")))
	require.NoError(t, err)
	require.Equal(t, 1, receipt.Queued())
	require.JSONEq(t, `{"v": 1, "key": "user:42:signed_up", "user_id": "42", "identify": {"set": {"plan": "free"}}, "source": "server"}`,
		string(db.sent(t)[0]))

	_, err = client.Identify(t.Context(), fakeTx{}, "user:42:seen", User("42"))
	require.ErrorContains(t, err, "bundle: says nothing; give identify, increment, groups or track")
}

// orderCompleted is a typed event as an application or a generator writes it.
type orderCompleted struct {
	OrderID string
	Total   int
}

func (o orderCompleted) AsEvent() Event {
	return Event{Name: "Order_Completed", Key: "order:" + o.OrderID + ":completed", Properties: Properties{"total": o.Total}}
}

func TestTypedEventsAreTracked(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	_, err := client.Track(t.Context(), fakeTx{}, System("billing-run"), orderCompleted{OrderID: "7", Total: 3})
	require.NoError(t, err)
	require.JSONEq(t, `{"v": 1, "key": "order:7:completed", "user_id": "sys:billing-run", "source": "server",
		"track": {"event": "Order_Completed", "properties": {"total": 3}}}`, string(db.sent(t)[0]))
}

func TestSkipsReachNoDatabaseAndAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config Config
		actor  Actor
		reason string
	}{
		"switched off":            {Config{Disabled: true}, User("42"), ReasonDisabled},
		"switched off, bad actor": {Config{Disabled: true}, Actor{}, ReasonDisabled},
		"no user":                 {Config{}, User(""), ReasonNotLoggedIn},
		"no user on a device":     {Config{}, User("").OnDevice("d"), ReasonNotLoggedIn},
		"no device":               {Config{}, Device(""), ReasonNotLoggedIn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			tc.config.Logger = logTo(&log)
			client, db := testClient(tc.config)
			receipt, err := client.Track(t.Context(), fakeTx{}, tc.actor, Event{Name: "A", Key: "k1"}, Event{Name: "", Key: "k2"})
			require.NoError(t, err)
			require.Equal(t, []Item{
				{Key: "k1", Outcome: Skipped, Reason: tc.reason}, {Key: "k2", Outcome: Skipped, Reason: tc.reason},
			}, receipt.Items)
			require.Empty(t, db.calls)
			require.EqualValues(t, 2, count(client, Skipped, tc.reason))
			require.Contains(t, log.String(), `level=INFO msg="waybill: skipped" reason=`+tc.reason+" events=2")
		})
	}
}

func TestActorMustBeSomebody(t *testing.T) {
	t.Parallel()
	for _, actor := range []Actor{{}, System(""), Actor{}.OnDevice("d").With(Set("a", 1))} {
		client, db := testClient(Config{})
		receipt, err := client.Track(t.Context(), fakeTx{}, actor, Event{Name: "A", Key: "k"})
		require.EqualError(t, err, `waybill: 1 of 1 events rejected, nothing was sent: event 0 "k": `+
			`actor: is nobody; start with waybill.User, Device or System`)
		require.Equal(t, 1, receipt.Count(Rejected))
		require.Empty(t, db.calls)
	}
}

func TestStrictSendsNothingIfOneEventIsBad(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.Track(t.Context(), fakeTx{}, User("42"),
		Event{Name: "Good", Key: "good"},
		Event{Name: "$bad", Key: "bad", Properties: Properties{"b": math.NaN(), "a": make(chan int), "ok": 1}},
		Event{Name: "Good", Key: ""})

	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.False(t, rejected.Recorded)
	require.Equal(t, []Rejection{
		{1, "bad", "track.properties.a", "holds a Go chan int, which has no JSON; send a plain value"},
		{1, "bad", "track.properties.b", "holds NaN, an infinity or a cycle, which JSON cannot; leave it out"},
		{1, "bad", "track.event", "is a name Amplitude keeps for itself; choose another"},
		{2, "", "key", "is missing; name the business action, e.g. order:8412:completed"},
	}, rejected.Rejections)
	require.EqualError(t, err, `waybill: 2 of 3 events rejected, nothing was sent: `+
		`event 1 "bad": track.properties.a: holds a Go chan int, which has no JSON; send a plain value | `+
		`event 1 "bad": track.properties.b: holds NaN, an infinity or a cycle, which JSON cannot; leave it out | `+
		`event 1 "bad": track.event: is a name Amplitude keeps for itself; choose another (and 1 more)`)

	require.Equal(t, []Item{
		{Key: "good", Outcome: Skipped, Reason: ReasonNotSent},
		{Key: "bad", Outcome: Rejected, Reason: "track.properties.a: holds a Go chan int, which has no JSON; send a plain value"},
		{Key: "", Outcome: Rejected, Reason: "key: is missing; name the business action, e.g. order:8412:completed"},
	}, receipt.Items)
	require.Empty(t, db.calls)
	require.EqualValues(t, 2, count(client, Rejected, "before_sql"))
	require.EqualValues(t, 1, count(client, Skipped, ReasonNotSent))
}

func TestBestEffortLeavesOutWhatIsBad(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	client, db := testClient(Config{Logger: logTo(&log)})
	db.answer = func([]json.RawMessage) ([]answer, error) {
		return []answer{{n: 1, bundleID: 7, outcome: Duplicate}, {n: 2, bundleID: 9, outcome: Queued}}, nil
	}
	receipt, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("secret-user").With(Increment("n", 1)),
		Event{Name: "Bad_One", Key: "secret-key", Properties: Properties{"p": []any{"secret-value", math.Inf(1)}}},
		Event{Name: "Good", Key: "g1"},
		Event{Name: "$secret", Key: "secret-key"},
		Event{Name: "Good", Key: "g2"})
	require.NoError(t, err)
	require.Equal(t, []Outcome{Rejected, Duplicate, Rejected, Queued}, outcomes(receipt))
	require.EqualValues(t, 7, receipt.Items[1].BundleID)
	require.EqualValues(t, 9, receipt.Items[3].BundleID)

	require.Equal(t, "try_enqueue", db.calls[0].function)
	require.Len(t, db.sent(t), 2)
	for _, sent := range db.sent(t) {
		require.NotContains(t, string(sent), "increment", "it belonged to an event that was left out")
	}
	require.Contains(t, log.String(), `level=WARN msg="waybill: rejected" event=Bad_One field=track.properties.p problem="holds NaN`)
	require.Contains(t, log.String(), `event="" field=track.event`)
	require.NotContains(t, log.String(), "secret")
	require.EqualValues(t, 2, count(client, Rejected, "before_sql"), "a view counts with its client")
}

func TestBestEffortWithNothingGoodReachesNoDatabase(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), Event{Key: "k"})
	require.NoError(t, err)
	require.Equal(t, []Outcome{Rejected}, outcomes(receipt))
	require.Empty(t, db.calls)
}

func TestFailuresOfTheDatabase(t *testing.T) {
	t.Parallel()
	fails := func(err error) func([]json.RawMessage) ([]answer, error) {
		return func([]json.RawMessage) ([]answer, error) { return nil, err }
	}
	for name, tc := range map[string]struct {
		answer    func([]json.RawMessage) ([]answer, error)
		want, log string
	}{
		"connection lost":  {fails(errors.New("EOF")), "waybill: enqueue: EOF", `error="waybill: enqueue: EOF"`},
		"not migrated":     {fails(pgError("3F000")), "run: worker migrate: secret", `sqlstate=3F000 fix="this database has no`},
		"old schema":       {fails(pgError("42883")), "run: worker migrate: secret", "sqlstate=42883"},
		"no right":         {fails(pgError("42501")), "grant it the role waybill_producer: secret", "sqlstate=42501"},
		"aborted before":   {fails(pgError("25P02")), "roll it back: secret", "sqlstate=25P02"},
		"something else":   {fails(pgError("53100")), "waybill: enqueue: secret", "sqlstate=53100"},
		"caught inside":    {caught("enqueue failed, SQLSTATE 23514"), "waybill: enqueue: enqueue failed, SQLSTATE 23514", "sqlstate=23514"},
		"too few answers":  {caught(), "1 of 1 bundles were not answered", "error="},
		"too many answers": {func([]json.RawMessage) ([]answer, error) { return []answer{{n: 2}}, nil }, "bundle 2 of 1", "error="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			client, db := testClient(Config{Logger: logTo(&log)})
			db.answer = tc.answer
			want := []Item{{Key: "k", Outcome: Skipped, Reason: ReasonEnqueueFailed}}

			receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), Event{Name: "A", Key: "k"})
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, want, receipt.Items)
			require.Empty(t, log.String(), "a strict error is the caller's to log")

			receipt, err = client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), Event{Name: "A", Key: "k"})
			require.NoError(t, err)
			require.Equal(t, want, receipt.Items)
			require.Contains(t, log.String(), tc.log)
			require.NotContains(t, log.String(), "secret")
			require.Contains(t, log.String(), `level=WARN msg="waybill: enqueue failed" events=1`)
			require.EqualValues(t, 2, count(client, Skipped, ReasonEnqueueFailed))
		})
	}
}

// pgError is what a driver returns: a state, and a message that may hold values.
type pgError string

func (e pgError) Error() string    { return "secret" }
func (e pgError) SQLState() string { return string(e) }

func caught(reasons ...string) func([]json.RawMessage) ([]answer, error) {
	return func([]json.RawMessage) (answers []answer, _ error) {
		for i, reason := range reasons {
			answers = append(answers, answer{n: i + 1, outcome: Skipped, reason: reason})
		}
		return answers, nil
	}
}

func TestWhatTheDatabaseRejectsIsAnErrorAndOnRecord(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	db.answer = func([]json.RawMessage) ([]answer, error) {
		return []answer{
			{n: 1, bundleID: 5, outcome: Queued},
			{n: 2, bundleID: 6, outcome: Rejected, reason: "bundle: is nested deeper than 40 levels"},
		}, nil
	}
	receipt, err := client.Track(t.Context(), fakeTx{}, User("42"), Event{Name: "A", Key: "k1"}, Event{Name: "A", Key: "k2"})
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.True(t, rejected.Recorded)
	require.Equal(t, []Rejection{{1, "k2", "bundle", "is nested deeper than 40 levels"}}, rejected.Rejections)
	require.EqualError(t, err, `waybill: 1 of 2 events rejected, the others are recorded: event 1 "k2": bundle: is nested deeper than 40 levels`)
	require.Equal(t, []Outcome{Queued, Rejected}, outcomes(receipt))
	require.EqualValues(t, 1, count(client, Rejected, "by_database"))

	_, err = client.BestEffort().Track(t.Context(), fakeTx{}, User("42"), Event{Name: "A", Key: "k1"}, Event{Name: "A", Key: "k2"})
	require.NoError(t, err)
}

func TestMendedValuesAreCountedPerEvent(t *testing.T) {
	t.Parallel()
	client, _ := testClient(Config{})
	long := strings.Repeat("x", 10<<20)
	receipt, err := client.Track(t.Context(), fakeTx{},
		User("42").With(Set("bio", long)).In(Account("a", Set("name", "\x00"))).Via(Context{Language: "de\xff"}),
		Event{Name: "A", Key: "k1", Properties: Properties{"text": long, "raw\x00name": "a\x00\xff"}},
		Event{Name: "A", Key: "k2"})
	require.NoError(t, err)
	require.Equal(t, []Item{
		{Key: "k1", BundleID: 100, Outcome: Queued, Cut: 2, Replaced: 5},
		{Key: "k2", BundleID: 101, Outcome: Queued, Cut: 1, Replaced: 2},
	}, receipt.Items)
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("secret") }
func (explosive) AsEvent() Event               { panic("secret") }

func TestPanicsOfTheCallerAreRejections(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	receipt, err := client.Track(t.Context(), fakeTx{},
		User("42").With(nil, Set("a", explosive{})),
		explosive{}, nil, Event{Name: "A", Key: "k", Properties: Properties{"p": explosive{}}})
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, []Rejection{
		{0, "", "event", "panics in a method of a waybill.explosive; mend it"},
		{1, "", "event", "is nil; pass an Event"},
		{2, "k", "identify", "holds a nil trait; use Set, SetOnce, Unset or Increment"},
		{2, "k", "identify.set.a", "panics while a waybill.explosive is turned into JSON; mend its MarshalJSON"},
		{2, "k", "track.properties.p", "panics while a waybill.explosive is turned into JSON; mend its MarshalJSON"},
	}, rejected.Rejections)
	require.Equal(t, 3, receipt.Count(Rejected))
	require.Empty(t, db.calls)
}

func TestRejectionsOfSeveralEventsDoNotMix(t *testing.T) {
	t.Parallel()
	client, _ := testClient(Config{})
	_, err := client.Track(t.Context(), fakeTx{}, User("42").With(nil, nil, nil),
		Event{Name: "$a", Key: "k1"}, Event{Name: "A", Key: ""})
	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Len(t, rejected.Rejections, 8)
	require.Equal(t, "track.event", rejected.Rejections[3].Field)
	require.Equal(t, "key", rejected.Rejections[7].Field)
}

func outcomes(r Receipt) (all []Outcome) {
	for _, item := range r.Items {
		all = append(all, item.Outcome)
	}
	return all
}

func repeat(e Event, n int) []Trackable {
	all := make([]Trackable, n)
	for i := range all {
		all[i] = e
	}
	return all
}
