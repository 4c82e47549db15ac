package checker_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

func sent(e map[string]any) json.RawMessage {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return text
}

// honest is a small run in which every promise was kept: three actions of one user in
// one account, one of them late, one sent twice, one poisoned, one rolled back.
func honest() *checker.Evidence {
	track := func(id int64, key string, from float64) map[string]any {
		return map[string]any{
			"event_type": "Done", "insert_id": "w:" + key + ":track", "user_id": "u", "device_id": "srv:u",
			"time": at(from).UnixMilli(), "event_id": id, "event_properties": map[string]any{"action": key},
			"groups": map[string]any{"account": "a"},
		}
	}
	account := map[string]any{
		"event_type": "$groupidentify", "insert_id": "w:a:1:group:account", "user_id": "u", "device_id": "srv:u",
		"time": at(1).UnixMilli(), "groups": map[string]any{"account": "a"},
		"group_properties": map[string]any{"$set": map[string]any{"name": "Acme", "group_type": "account"}},
	}
	in := []checker.Group{{Type: "account", ID: "a", Set: map[string]string{"name": "Acme"}}}
	arrive := func(request int, when float64, event map[string]any) checker.Arrival {
		return checker.Arrival{Request: request, At: at(when), InsertID: event["insert_id"].(string), Sent: sent(event)}
	}
	line := func(when float64, op history.Op, kind history.Type, key string) history.Record {
		return history.Record{Process: "producer-0", Wall: at(when), Op: op, Type: kind, Keys: []string{key}}
	}
	return &checker.Evidence{
		Install: "w",
		Actions: []checker.Action{
			{Key: "a:1", User: "u", Event: "Done", Set: map[string]string{"plan": "pro", checker.Unique: "a:1"}, Groups: in, Increment: map[string]int{"n": 2}},
			{Key: "a:2", User: "u", Event: "Done", Set: map[string]string{"plan": "old", checker.Unique: "a:2"}, At: at(0.5), Increment: map[string]int{"n": 1}},
			{Key: "a:3", User: "u", Event: "Done", Unset: []string{"trial"}, SetOnce: map[string]string{"first": "a:3"}},
			{Key: "a:4", User: "u", Event: "Done", Poison: "named"},
		},
		Ledger: []checker.Bundle{
			{ID: 1, Key: "a:1", OccurredAt: at(1), Outcome: "delivered", SettledAt: at(2), JobState: "completed", Attempts: 1},
			{ID: 2, Key: "a:2", OccurredAt: at(0.5), Outcome: "delivered", SettledAt: at(4), JobState: "completed", Attempts: 1},
			{ID: 3, Key: "a:3", OccurredAt: at(2), Outcome: "delivered", SettledAt: at(4), JobState: "completed", Attempts: 1},
			{ID: 4, Key: "a:4", OccurredAt: at(2), Outcome: "rejected", Reason: "Amplitude: silenced", SettledAt: at(4), JobState: "completed", Attempts: 1},
		},
		Arrivals: []checker.Arrival{
			arrive(1, 1.5, account), arrive(1, 1.5, track(1, "a:1", 1)),
			arrive(2, 3, track(2, "a:2", 0.5)), arrive(2, 3, track(3, "a:3", 2)), arrive(2, 3, track(4, "a:4", 2)),
			arrive(3, 3.1, track(2, "a:2", 0.5)), arrive(3, 3.1, track(3, "a:3", 2)),
			arrive(4, 3.2, track(2, "a:2", 0.5)), arrive(4, 3.2, track(3, "a:3", 2)),
		},
		Taken: []checker.Taken{
			{InsertID: "w:a:1:group:account", Type: "$groupidentify", Request: 1},
			{InsertID: "w:a:1:track", EventID: 1, Request: 1, UserProperties: map[string]any{checker.Unique: "a:1"}},
			{InsertID: "w:a:2:track", EventID: 2, Request: 3, UserProperties: map[string]any{checker.Unique: "a:2"}},
			{InsertID: "w:a:3:track", EventID: 3, Request: 3},
		},
		Users:  map[string]map[string]any{"u": {"plan": "pro", checker.Unique: "a:1", "n": 3.0, "first": "a:3"}},
		Groups: map[checker.GroupID]map[string]any{{Type: "account", ID: "a"}: {"name": "Acme", "group_type": "account"}},
		History: []history.Record{
			line(0.9, history.Commit, history.Invoke, "a:1"), line(1, history.Commit, history.OK, "a:1"),
			line(1.9, history.Commit, history.Invoke, "a:2"), line(2, history.Commit, history.Info, "a:2"),
			line(1.9, history.Commit, history.Invoke, "a:3"), line(2, history.Commit, history.OK, "a:3"),
			line(2, history.Rollback, history.OK, "a:5"),
			line(2, history.Commit, history.Invoke, "a:6"), line(2, history.Commit, history.Info, "a:6"),
		},
		Kills:   []checker.Kill{{Worker: "worker-1", At: at(1), Held: []int64{2, 3}}},
		Stops:   []checker.Stop{{Worker: "worker-2", At: at(5), Took: time.Second}},
		Healed:  at(4),
		Drained: at(5),
		Limits:  checker.DefaultLimits(),
	}
}

func TestAnHonestRunHolds(t *testing.T) {
	t.Parallel()
	require.Empty(t, checker.Check(honest()))
}

func TestFiguresOfAnHonestRun(t *testing.T) {
	t.Parallel()
	e := honest()
	for _, key := range []string{"a:2", "a:6"} { // once more, and one of them had not happened
		e.History = append(e.History, history.Record{Op: history.Commit, Type: history.Invoke, Keys: []string{key}})
	}
	require.Equal(t, checker.Figures{
		Committed: 4, RolledBack: 1, Unknown: 2, Recovered: 1, Requests: 4, Taken: 4, Absorbed: 2, Rejected: 1,
		Repeated: 1, Identities: 2, MostAttempts: 1, Kills: 1, Orphans: 2, Recover: 3 * time.Second, Alone: 1, RecoverAny: 3 * time.Second,
		Stop: time.Second, Drain: time.Second,
	}, checker.Measure(e))
}

// resend makes another attempt of an arrival, changed.
func resend(e *checker.Evidence, of int, change func(map[string]any)) {
	again := e.Arrivals[of]
	var event map[string]any
	if err := json.Unmarshal(again.Sent, &event); err != nil {
		panic(err)
	}
	change(event)
	again.Request, again.Sent, again.InsertID = 9, sent(event), event["insert_id"].(string)
	e.Arrivals = append(e.Arrivals, again)
}

// Every lie is found, under the name of the promise that it breaks.
func TestTheCheckerFindsEveryLie(t *testing.T) {
	t.Parallel()
	lies := []struct {
		lie  string
		rule checker.Rule
		what string // a part of the violation: the row
		tell func(*checker.Evidence)
	}{
		{"a bundle is missing", checker.NoLoss, "a:1", func(e *checker.Evidence) { e.Ledger = e.Ledger[1:] }},
		{"an event is missing", checker.NoLoss, "a:3", func(e *checker.Evidence) { e.Taken = e.Taken[:3] }},
		{"innocent bundles are rejected for nothing", checker.NoLoss, "a:1", func(e *checker.Evidence) { e.Innocent = []string{"a:1"} }},
		{"many innocent bundles are rejected with everything", checker.NoLoss, "9 bundles", func(e *checker.Evidence) {
			e.Innocent, e.Refusals = make([]string, 9), 1
		}},
		{"a bundle without its action", checker.NoPhantom, "a:2", func(e *checker.Evidence) { e.Actions = append(e.Actions[:1], e.Actions[2:]...) }},
		{"an event of a rolled back action", checker.NoPhantom, "a:5", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["insert_id"] = "w:a:5:track" })
		}},
		{"an event before its commit", checker.NoPhantom, "before its COMMIT", func(e *checker.Evidence) { e.Arrivals[2].At = at(1.5) }},
		{"an insert_id of nobody", checker.NoPhantom, "v:a:1:track", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["insert_id"] = "v:a:1:track" })
		}},
		{"a trait of nobody", checker.NoPhantom, "colour", func(e *checker.Evidence) { e.Users["u"]["colour"] = "red" }},
		{"a confirmed action is gone", checker.Commits, "a:3", func(e *checker.Evidence) { e.Actions[2].Key = "a:9" }},
		{"a rolled back action is there", checker.Commits, "a:5", func(e *checker.Evidence) { e.Actions[2].Key = "a:5" }},
		{"an event taken twice", checker.CountedOnce, "w:a:1:track", func(e *checker.Evidence) { e.Taken = append(e.Taken, e.Taken[1]) }},
		{"a bundle counted under two ids", checker.CountedOnce, "bundle 1", func(e *checker.Evidence) {
			e.Taken = append(e.Taken, checker.Taken{InsertID: "w:a:1:track#2", EventID: 1, Request: 4})
		}},
		{"a retry with another time", checker.RetriesEqual, "time of w:a:1:track", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["time"] = 1 })
		}},
		{"a retry of another type", checker.RetriesEqual, "event_type", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["event_type"] = "Undone" })
		}},
		{"a retry of another user", checker.RetriesEqual, "user_id", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["user_id"] = "v" })
		}},
		{"a retry of another device", checker.RetriesEqual, "device_id", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["device_id"] = "d" })
		}},
		{"a retry with other properties", checker.RetriesEqual, "event_properties", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["event_properties"] = nil })
		}},
		{"a retry with other groups", checker.RetriesEqual, "groups", func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["groups"] = map[string]any{"account": "b"} })
		}},
		{"an unreadable event", checker.RetriesEqual, "does not read", func(e *checker.Evidence) { e.Arrivals[0].Sent = json.RawMessage("{") }},
		{"an older trait won", checker.NewestTraits, "plan = old", func(e *checker.Evidence) { e.Users["u"]["plan"] = "old" }},
		{"a removed trait is back", checker.NewestTraits, "trial", func(e *checker.Evidence) { e.Users["u"]["trial"] = "x" }},
		{"a trait never arrived", checker.NewestTraits, "plan", func(e *checker.Evidence) { delete(e.Users["u"], "plan") }},
		{"a first value of nobody", checker.NewestTraits, "first", func(e *checker.Evidence) { e.Users["u"]["first"] = "a:1" }},
		{"an older name of a group", checker.NewestTraits, "group account a", func(e *checker.Evidence) {
			e.Groups[checker.GroupID{Type: "account", ID: "a"}]["name"] = "Old"
		}},
		{"an event shows the past", checker.NewestTraits, "a:1", func(e *checker.Evidence) { e.Taken[1].UserProperties[checker.Unique] = "a:2" }},
		{"a counter counted twice", checker.ExactCounters, "n = 4", func(e *checker.Evidence) { e.Users["u"]["n"] = 4.0 }},
		{"a group event travels alone", checker.AtomicBundle, "group:account of a:1", func(e *checker.Evidence) { e.Arrivals[0].Request = 9 }},
		{"delivered and not completed", checker.StatusTruth, "bundle 1", func(e *checker.Evidence) { e.Ledger[0].JobState = "discarded" }},
		{"delivered and in doubt", checker.StatusTruth, "bundle 1", func(e *checker.Evidence) { e.Ledger[0].InDoubt = true }},
		{"rejected and taken", checker.StatusTruth, "bundle 1", func(e *checker.Evidence) { e.Ledger[0].Outcome = "rejected" }},
		{"no outcome", checker.StatusTruth, "bundle 3", func(e *checker.Evidence) { e.Ledger[2].Outcome = "" }},
		{"poison delivered", checker.StatusTruth, "bundle 4", func(e *checker.Evidence) { e.Ledger[3].Outcome = "delivered" }},
		{"poison rejected by ourselves", checker.StatusTruth, "bundle 4", func(e *checker.Evidence) { e.Ledger[3].Reason = "too long" }},
		{"poison taken", checker.StatusTruth, "bundle 4", func(e *checker.Evidence) {
			e.Taken = append(e.Taken, checker.Taken{InsertID: "w:a:4:track", EventID: 4, Request: 4})
		}},
		{"a request is left over", checker.StatusTruth, "1 requests", func(e *checker.Evidence) { e.Requests = 1 }},
		{"an orphan is late", checker.Recovery, "bundle 3", func(e *checker.Evidence) { e.Ledger[2].SettledAt = at(17) }},
		{"a shutdown fails", checker.Recovery, "exit code 1", func(e *checker.Evidence) { e.Stops[0].Code = 1 }},
		{"a shutdown is slow", checker.Recovery, "26.0 s", func(e *checker.Evidence) { e.Stops[0].Took = 26 * time.Second }},
		{"the queue does not drain", checker.Liveness, "not empty", func(e *checker.Evidence) { e.Drained = time.Time{} }},
		{"the queue drains slowly", checker.Liveness, "200 s", func(e *checker.Evidence) { e.Drained = at(204) }},
		{"a worker ends by itself", checker.Liveness, "nemesis", func(e *checker.Evidence) {
			e.History = append(e.History, history.Record{Process: "nemesis", Op: history.Exit, Type: history.Fail})
		}},
		{"sent again when delivered", checker.Waste, "a:1", func(e *checker.Evidence) {
			resend(e, 1, func(map[string]any) {})
			e.Arrivals[len(e.Arrivals)-1].At = at(3.5)
		}},
		{"sent again when rejected", checker.Waste, "a:4", func(e *checker.Evidence) {
			resend(e, 4, func(map[string]any) {})
			e.Arrivals[len(e.Arrivals)-1].At = at(6)
		}},
		{"a job is cleaned away too early", checker.StatusTruth, "bundle 1", func(e *checker.Evidence) { e.Ledger[0].JobState = "" }},
		{"another application's jobs are gone", checker.Neighbours, "2 jobs left of 3", func(e *checker.Evidence) {
			e.Neighbour = checker.Neighbour{Inserted: 3, Left: 2, Worked: 2}
		}},
		{"another application's jobs are given up", checker.Neighbours, "1 jobs", func(e *checker.Evidence) {
			e.Neighbour = checker.Neighbour{Inserted: 3, Left: 3, Worked: 2, GivenUp: 1}
		}},
		{"another application cannot work", checker.Neighbours, "none of 3", func(e *checker.Evidence) {
			e.Neighbour = checker.Neighbour{Inserted: 3, Left: 3}
		}},
		{"an attempt is spent", checker.Waste, "bundle 1", func(e *checker.Evidence) { e.Ledger[0].Attempts = 2 }},
		{"everything sent many times", checker.Waste, "came again", func(e *checker.Evidence) {
			for range 11 {
				resend(e, 1, func(map[string]any) {})
			}
		}},
	}
	for _, l := range lies {
		t.Run(l.lie, func(t *testing.T) {
			t.Parallel()
			e := honest()
			l.tell(e)
			var found []string
			for _, v := range checker.Check(e) {
				if v.Rule == l.rule {
					found = append(found, v.What)
				}
			}
			require.NotEmpty(t, found, "nothing under %q: %v", l.rule, checker.Check(e))
			require.Contains(t, fmt.Sprint(found), l.what)
		})
	}
}

// What looks like a violation and is none.
func TestTheCheckerIsFair(t *testing.T) {
	t.Parallel()
	excuses := map[string]func(*checker.Evidence){
		"an orphan that waits for Postgres": func(e *checker.Evidence) {
			e.Ledger[2].SettledAt = at(17)
			e.Faults = []checker.Interval{{From: at(2), To: at(3)}}
		},
		"a frozen worker ends what it was sending": func(e *checker.Evidence) {
			resend(e, 1, func(map[string]any) {})
			e.Arrivals[len(e.Arrivals)-1].At = at(3.5)
			e.Pauses = []checker.Interval{{From: at(1), To: at(4)}}
		},
		"a job of a clock that went ahead of its retention": func(e *checker.Evidence) {
			e.Ledger[0].JobState, e.ClockStepped = "", true
		},
		"a job that a foreign leader discarded": func(e *checker.Evidence) {
			e.Ledger[0].JobState, e.Usurped = "discarded", true
		},
		"a neighbour whose River waits for the database's clock": func(e *checker.Evidence) {
			e.Neighbour, e.ClockStepped = checker.Neighbour{Inserted: 3, Left: 3}, true
		},
		"a neighbour that lost its connection at the end": func(e *checker.Evidence) {
			e.Neighbour = checker.Neighbour{Inserted: 3, Left: 4, Worked: 2}
		},
		"a newer trait of a request in flight": func(e *checker.Evidence) {
			e.Taken[2].UserProperties[checker.Unique] = "a:1"
		},
		"an action retried after it was rolled back": func(e *checker.Evidence) {
			e.History = append(e.History, history.Record{Op: history.Rollback, Type: history.OK, Keys: []string{"a:1"}})
		},
		"a few bundles that were rejected with everything, and retried": func(e *checker.Evidence) {
			e.Innocent, e.Refusals = make([]string, 16), 2
		},
		"all kept traits in other properties of a retry": func(e *checker.Evidence) {
			resend(e, 1, func(m map[string]any) { m["user_properties"] = map[string]any{"plan": "pro"} })
			e.Arrivals[len(e.Arrivals)-1].At = at(1.6)
		},
	}
	for excuse, change := range excuses {
		t.Run(excuse, func(t *testing.T) {
			t.Parallel()
			e := honest()
			change(e)
			require.Empty(t, checker.Check(e))
		})
	}
}

func TestEveryRuleIsListed(t *testing.T) {
	t.Parallel()
	require.Len(t, checker.Rules(), 13)
	require.Equal(t, "waste: x", checker.Violation{Rule: "waste", What: "x"}.String())
}
