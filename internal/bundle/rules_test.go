package bundle_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

// sound returns a bundle without fault for a test to spoil.
func sound() *bundle.Bundle {
	return &bundle.Bundle{
		V: 1, Key: "order:1", UserID: "usr_42", DeviceID: "dev_1", OccurredAt: noon,
		Identify: &bundle.Identify{
			Set:     bundle.Values{{"plan", json.RawMessage(`"pro"`)}},
			SetOnce: bundle.Values{{"signup_date", json.RawMessage(`"2026-01-01"`)}},
			Unset:   []string{"trial_ends"},
		},
		Increment: map[string]json.Number{"orders": "1"},
		Groups:    []bundle.Group{{Type: "account", ID: "acc_1"}, {Type: "workspace", ID: "ws_7", Parent: "acc_1"}},
		Track:     &bundle.Track{Event: "Order_Completed", Properties: json.RawMessage(`{"total":1}`), Revenue: &bundle.Revenue{Amount: "1", Currency: "EUR"}},
		Context:   &bundle.Context{Platform: "web", SessionID: -1, IP: "192.0.2.7"},
		Source:    "client",
		Trace:     map[string]string{"traceparent": "00-1"},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", bundle.MaxText+1)
	type spoil = func(*bundle.Bundle)
	for _, tc := range []struct {
		want  string
		spoil spoil
	}{
		{"key: is missing", func(b *bundle.Bundle) { b.Key = "" }},
		{"key: is longer than 256 bytes", func(b *bundle.Bundle) { b.Key = strings.Repeat("é", 129) }},
		{"key: is not valid UTF-8", func(b *bundle.Bundle) { b.Key = "a\xff" }},
		{"key: holds a control character", func(b *bundle.Bundle) { b.Key = "a\nb" }},

		{"user_id: is missing, and so is device_id", func(b *bundle.Bundle) { b.UserID, b.DeviceID = "", "" }},
		{"user_id: is longer than 1,024 characters", func(b *bundle.Bundle) { b.UserID = long }},
		{"user_id: holds a control character", func(b *bundle.Bundle) { b.UserID = "a\x00" }},
		{"user_id: starts or ends with a space", func(b *bundle.Bundle) { b.UserID = " 42" }},
		{"device_id: starts or ends with a space", func(b *bundle.Bundle) { b.DeviceID = "42 " }},
		{"device_id: is one of the ids Amplitude refuses", func(b *bundle.Bundle) { b.DeviceID = "00000000-0000-0000-0000-000000000000" }},

		{"occurred_at: is before 1970", func(b *bundle.Bundle) { b.OccurredAt = time.Unix(0, 0) }},
		{"occurred_at: is more than a day ahead", func(b *bundle.Bundle) { b.OccurredAt = noon.Add(24*time.Hour + time.Second) }},

		{"identify.set.$plan: starts with $", func(b *bundle.Bundle) { b.Identify.Set.Set("$plan", json.RawMessage(`1`)) }},
		{"identify.set: holds an empty name", func(b *bundle.Bundle) { b.Identify.Set.Set("", json.RawMessage(`1`)) }},
		{`identify.set["a\tb"]: holds a control character`, func(b *bundle.Bundle) { b.Identify.Set.Set("a\tb", json.RawMessage(`1`)) }},
		{`identify.set["a\xff"]: is not valid UTF-8`, func(b *bundle.Bundle) { b.Identify.Set.Set("a\xff", json.RawMessage(`1`)) }},
		{"identify.set.bad: is not valid JSON", func(b *bundle.Bundle) { b.Identify.Set.Set("bad", json.RawMessage(`1 2`)) }},
		{"identify.set.bad: is not valid JSON", func(b *bundle.Bundle) { b.Identify.Set.Set("bad", nil) }},
		{"identify.set: holds more than 1,000 names", func(b *bundle.Bundle) { b.Identify.Set = many(1001) }},
		{"identify.set_once.plan: is changed in two ways", func(b *bundle.Bundle) { b.Identify.SetOnce.Set("plan", json.RawMessage(`1`)) }},
		{"identify.unset.signup_date: is changed in two ways", func(b *bundle.Bundle) { b.Identify.Unset = []string{"signup_date"} }},
		{"identify.unset.a: is changed in two ways", func(b *bundle.Bundle) {
			b.Identify, b.Increment = &bundle.Identify{Unset: []string{"a", "a"}}, nil
		}},
		{"identify.unset: holds an empty name", func(b *bundle.Bundle) { b.Identify.Unset = []string{""} }},
		{"increment.trial_ends: is changed in two ways", func(b *bundle.Bundle) { b.Increment["trial_ends"] = "1" }},
		{"increment.orders: is not a finite number", func(b *bundle.Bundle) { b.Increment["orders"] = "NaN" }},
		{"increment.orders: is not a finite number", func(b *bundle.Bundle) { b.Increment["orders"] = "9007199254740993" }},
		{"increment.orders: is not a finite number", func(b *bundle.Bundle) { b.Increment["orders"] = "" }},

		{"groups: are more than five", func(b *bundle.Bundle) { b.Groups = make([]bundle.Group, 6) }},
		{"groups[1].type: is not a group type", func(b *bundle.Bundle) { b.Groups[1].Type = "Work Space" }},
		{"groups[1].type: is not a group type", func(b *bundle.Bundle) { b.Groups[1].Type = "" }},
		{"groups[1].type: is taken", func(b *bundle.Bundle) { b.Groups[1].Type = "track" }},
		{"groups[1].type: stands twice", func(b *bundle.Bundle) { b.Groups[1].Type = "account" }},
		{"groups[1].type: is longer than", func(b *bundle.Bundle) { b.Groups[1].Type = strings.Repeat("a", 1025) }},
		{"groups[0].id: is missing", func(b *bundle.Bundle) { b.Groups[0].ID, b.Groups[1].Parent = " ", "" }},
		{"groups[1].id: is longer than", func(b *bundle.Bundle) { b.Groups[1].ID = long }},
		{"groups[1].parent: is not the id of an earlier group", func(b *bundle.Bundle) { b.Groups[1].Parent = "ws_7" }},
		{"groups[0].parent: is not the id of an earlier group", func(b *bundle.Bundle) { b.Groups[0].Parent = "ws_7" }},
		{"groups[0].set.parent_group_id: is set from the hierarchy", func(b *bundle.Bundle) { b.Groups[0].Set = set("parent_group_id") }},
		{"groups[0].set.group_type: is set from the hierarchy", func(b *bundle.Bundle) { b.Groups[0].Set = set("group_type") }},
		{"groups[0].set.$x: starts with $", func(b *bundle.Bundle) { b.Groups[0].Set = set("$x") }},
		{"groups[0].set.x[0]", func(b *bundle.Bundle) { b.Groups[0].Set = bundle.Values{{"x", json.RawMessage(nested(37))}} }},

		{"track.event: is missing", func(b *bundle.Bundle) { b.Track.Event = " \t" }},
		{"track.event: is a name Amplitude keeps", func(b *bundle.Bundle) { b.Track.Event = "$identify" }},
		{"track.event: is a name Amplitude keeps", func(b *bundle.Bundle) { b.Track.Event = "[Amplitude] Revenue" }},
		{"track.event: is a name Amplitude keeps", func(b *bundle.Bundle) { b.Track.Event = "revenue_amount" }},
		{"track.event: is longer than", func(b *bundle.Bundle) { b.Track.Event = long }},
		{"track.version: holds a control character", func(b *bundle.Bundle) { b.Track.Version = "1\n" }},
		{"track.properties: is not an object", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`[]`) }},
		{"track.properties: is not valid JSON", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{} {}`) }},
		{"track.properties: holds an empty name", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{"":1}`) }},
		{"track.properties.$total: starts with $", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{"\u0024total":1}`) }},
		{"track.properties.n: is an integer beyond", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(`{"n":9007199254740993}`) }},
		{"track.properties: holds more than 1,000 names", func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(object(1001)) }},
		{"track.revenue.amount: is not a finite number", func(b *bundle.Bundle) { b.Track.Revenue.Amount = "+Inf" }},
		{"track.revenue.currency: is not an ISO 4217 code", func(b *bundle.Bundle) { b.Track.Revenue.Currency = "eur" }},
		{"track.revenue.currency: is not an ISO 4217 code", func(b *bundle.Bundle) { b.Track.Revenue.Currency = "" }},

		{"context.platform: is longer than", func(b *bundle.Bundle) { b.Context.Platform = long }},
		{"context.session_id: is negative", func(b *bundle.Bundle) { b.Context.SessionID = -2 }},
		{"context.ip: is not an IP address", func(b *bundle.Bundle) { b.Context.IP = "192.0.2.7:443" }},
		{"context.ip: is not an IP address", func(b *bundle.Bundle) { b.Context.IP = "$remote" }},
		{"source: is neither server nor client", func(b *bundle.Bundle) { b.Source = "mobile" }},
		{"trace.baggage: is unknown", func(b *bundle.Bundle) { b.Trace["baggage"] = "x" }},
		{"trace: holds a control character", func(b *bundle.Bundle) { b.Trace["tracestate"] = "\x01" }},

		{"bundle: says nothing", func(b *bundle.Bundle) {
			b.Identify, b.Increment, b.Groups, b.Track = &bundle.Identify{}, nil, nil, nil
		}},
	} {
		b := sound()
		require.Empty(t, b.Refusals(noon))
		tc.spoil(b)
		got := b.Refusals(noon)
		require.Len(t, got, 1, "want one refusal, %q", tc.want)
		require.ErrorContains(t, got[0], tc.want)
		require.Contains(t, got[0].Problem, "; ", "a refusal says what to do")
	}
}

func TestWhatIsUnusualAndAccepted(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*bundle.Bundle){
		"a key of 256 bytes":         func(b *bundle.Bundle) { b.Key = strings.Repeat("k", 256) },
		"a short id":                 func(b *bundle.Bundle) { b.UserID, b.DeviceID = "7", "" },
		"a device alone":             func(b *bundle.Bundle) { b.UserID = "" },
		"a forbidden id, upper case": func(b *bundle.Bundle) { b.UserID = "NULL" },
		"1,024 characters":           func(b *bundle.Bundle) { b.UserID = strings.Repeat("é", 1024) },
		"no time":                    func(b *bundle.Bundle) { b.OccurredAt = time.Time{} },
		"the first ms of 1970":       func(b *bundle.Bundle) { b.OccurredAt = time.UnixMilli(1) },
		"a day ahead":                func(b *bundle.Bundle) { b.OccurredAt = noon.Add(24 * time.Hour) },
		"five groups": func(b *bundle.Bundle) {
			b.Groups = nil
			for i := range 5 {
				b.Groups = append(b.Groups, bundle.Group{Type: fmt.Sprintf("t_%d", i), ID: "g"})
			}
		},
		"a group's name":     func(b *bundle.Bundle) { b.Groups[0].Set = set("name") },
		"1,000 properties":   func(b *bundle.Bundle) { b.Track.Properties = json.RawMessage(object(1000)) },
		"a refund":           func(b *bundle.Bundle) { b.Track.Revenue.Amount = "-12.99" },
		"an increment alone": func(b *bundle.Bundle) { b.Identify, b.Groups, b.Track = nil, nil, nil },
		"groups alone":       func(b *bundle.Bundle) { b.Identify, b.Increment, b.Track = nil, nil, nil },
		"identify alone":     func(b *bundle.Bundle) { b.Increment, b.Groups, b.Track = nil, nil, nil },
		"an IPv6 address":    func(b *bundle.Bundle) { b.Context.IP = "2001:db8::1" },
	} {
		b := sound()
		spoil(b)
		require.Empty(t, b.Refusals(noon), name)
	}
}

func TestEveryForbiddenIDIsRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
		"00000000-0000-0000-0000-000000000000", "{}", "lmy47d", "0", "-1",
	} {
		b := sound()
		b.UserID = id
		require.Len(t, b.Refusals(noon), 1, id)
	}
}

func TestRefusalsAreOrderedBoundedAndSilentAboutContents(t *testing.T) {
	t.Parallel()
	b := &bundle.Bundle{
		Key: "secret\n", UserID: "secret ", Track: &bundle.Track{Event: "$secret"},
		Identify: &bundle.Identify{Set: many(40)},
		Context:  &bundle.Context{IP: "secret"}, Source: "secret", Trace: map[string]string{"traceparent": "secret\n"},
	}
	for i := range b.Identify.Set {
		b.Identify.Set[i].Value = json.RawMessage(`"secret`)
	}
	first := b.Refusals(noon)
	require.Len(t, first, 20)
	require.Equal(t, "key", first[0].Field)
	for _, r := range first {
		require.NotContains(t, r.Error(), "secret")
	}

	few := &bundle.Bundle{Key: "k", UserID: "u", Identify: &bundle.Identify{Set: many(5)}}
	for i := range few.Identify.Set {
		few.Identify.Set[i].Value = nil
	}
	want := few.Refusals(noon)
	for range 20 {
		require.Equal(t, want, few.Refusals(noon))
	}
}

func many(n int) (values bundle.Values) {
	for i := range n {
		values.Set(fmt.Sprint("n", i), json.RawMessage(`1`))
	}
	return values
}

func set(name string) bundle.Values {
	return bundle.Values{{name, json.RawMessage(`"x"`)}}
}
