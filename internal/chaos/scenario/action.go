package scenario

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"waybill/internal/bundle"
	"waybill/internal/chaos/checker"
)

// How the traffic looks.
const (
	users          = 40
	accounts       = 8
	visitors       = 5 // anonymous devices
	poisonShare    = 150
	poisonedShare  = 10      // while every request is to hold some
	hottest        = "u-hot" // half of all actions are this user's
	silencedDevice = "silenced-device"
	poisonProperty = "poison"
)

// author draws actions. Their keys are the producer's own.
type author struct {
	random   *rand.Rand
	producer int
	poisoned func() bool // every request is to hold a bad event; nil for never
	n        int
}

// next is an action that has not happened before.
func (a *author) next(now time.Time) checker.Action {
	a.n++
	r := a.random
	action := checker.Action{Key: fmt.Sprintf("act:%d:%d", a.producer, a.n)}
	switch {
	case r.IntN(poisonShare) == 0, a.poisoned != nil && a.poisoned() && r.IntN(poisonedShare) == 0:
		return a.poison(action)
	case r.IntN(2) == 0:
		action.User = hottest
	case r.IntN(12) == 0:
		action.Device = fmt.Sprintf("visitor-%d", r.IntN(visitors))
	default:
		action.User = fmt.Sprintf("u-%02d", r.IntN(users))
	}
	switch r.IntN(8) {
	case 0: // a late report
		action.At = now.Add(-time.Duration(r.Int64N(int64(time.Minute)))).UTC().Truncate(time.Microsecond)
	case 1: // a clock that is ahead
		action.At = now.Add(time.Hour).UTC().Truncate(time.Microsecond)
	}
	if r.IntN(10) > 0 {
		action.Event = [...]string{"Order_Completed", "Report_Opened", "Page_Viewed"}[r.IntN(3)]
	}
	a.traits(&action)
	a.groups(&action)
	if action.Event == "" && len(action.Set)+len(action.Increment)+len(action.Groups) == 0 {
		action.Event = "Page_Viewed"
	}
	return action
}

// poison is an action whose event Amplitude refuses: by its index, or without naming it.
func (a *author) poison(action checker.Action) checker.Action {
	action.Event, action.Poison = "Order_Completed", "unnamed"
	action.User = "poisoner"
	if a.random.IntN(2) == 0 {
		action.Poison, action.User, action.Device = "named", "", silencedDevice
	}
	return action
}

func (a *author) traits(action *checker.Action) {
	r := a.random
	if r.IntN(3) > 0 {
		action.Set = map[string]string{"plan": [...]string{"free", "team", "pro"}[r.IntN(3)]}
		if r.IntN(2) == 0 {
			action.Set[checker.Unique] = action.Key
		}
	}
	switch r.IntN(12) {
	case 0:
		action.Unset = []string{"trial"}
	case 1:
		if action.Set == nil {
			action.Set = map[string]string{}
		}
		action.Set["trial"] = action.Key
	case 2:
		action.SetOnce = map[string]string{"first_seen": action.Key}
	}
	if r.IntN(4) == 0 {
		action.Increment = map[string]int{"orders_total": 1 + r.IntN(3)}
	}
}

func (a *author) groups(action *checker.Action) {
	r := a.random
	if r.IntN(3) == 0 {
		return
	}
	account := checker.Group{Type: "account", ID: fmt.Sprintf("acc-%d", r.IntN(accounts))}
	if r.IntN(5) == 0 {
		account.Set = map[string]string{"name": "Acme " + action.Key}
	}
	action.Groups = []checker.Group{account}
	if r.IntN(2) == 0 {
		action.Groups = append(action.Groups, checker.Group{
			Type: "workspace", ID: "ws-" + account.ID, Parent: account.ID,
		})
	}
}

// encode is the bundle of an action, as an application would send it.
func encode(a checker.Action) ([]byte, error) {
	b := bundle.Bundle{Key: a.Key, UserID: a.User, DeviceID: a.Device, OccurredAt: a.At}
	if len(a.Set)+len(a.SetOnce)+len(a.Unset) > 0 {
		b.Identify = &bundle.Identify{Set: texts(a.Set), SetOnce: texts(a.SetOnce), Unset: a.Unset}
	}
	for name, delta := range a.Increment {
		if b.Increment == nil {
			b.Increment = map[string]json.Number{}
		}
		b.Increment[name] = json.Number(fmt.Sprint(delta))
	}
	for _, g := range a.Groups {
		b.Groups = append(b.Groups, bundle.Group{Type: g.Type, ID: g.ID, Parent: g.Parent, Set: texts(g.Set)})
	}
	if a.Event != "" {
		properties, err := json.Marshal(map[string]string{"action": a.Key, poisonProperty: a.Poison})
		if err != nil {
			return nil, err
		}
		b.Track = &bundle.Track{Event: a.Event, Properties: properties}
	}
	return b.AppendJSON(nil)
}

func texts(values map[string]string) (raw bundle.Values) {
	for name, value := range values {
		raw.Set(name, json.RawMessage(`"`+value+`"`)) // names and keys of ours need no escape
	}
	return raw
}
