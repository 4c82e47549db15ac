package amplitudetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func propertiesOf(t *testing.T, f *Fake, user string) object {
	t.Helper()
	u, ok := f.User(user)
	require.True(t, ok, "user %s", user)
	return u.Properties
}

func TestIdentifiesDoNotCountAsEvents(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, identify(object{"plan": "pro"}), track(object{
		"event_type": "$groupidentify", "groups": object{"account": "a"}, "group_properties": object{"$set": object{"n": 1}},
	}), track())
	require.Equal(t, 1, f.Total())
	require.Equal(t, 1, f.CountByUser("usr_42"))
	require.Equal(t, 1, f.CountByType("$identify"))
	require.Equal(t, 1, f.CountByType("$groupidentify"))
	require.Len(t, f.Events(Filter{}), 3)
}

func TestIdentifyChangesLaterEventsOnly(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"insert_id": "before"}), identify(object{"$set": object{"plan": "pro"}}), track(object{"insert_id": "after"}))
	require.Empty(t, f.Events(Filter{InsertID: "before"})[0].UserProperties)
	require.Equal(t, object{"plan": "pro"}, f.Events(Filter{InsertID: "after"})[0].UserProperties)

	batch(t, f, identify(object{"$set": object{"plan": "free"}}))
	require.Equal(t, object{"plan": "pro"}, f.Events(Filter{InsertID: "after"})[0].UserProperties, "never retroactive")
}

func TestPropertiesOfAnEventApplyToItselfAndStay(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"user_properties": object{"plan": "pro"}}), track())
	for range 2 {
		for _, event := range f.Events(Filter{}) {
			require.Equal(t, object{"plan": "pro"}, event.UserProperties)
			event.UserProperties["plan"] = "the answer is a copy"
		}
	}
	batch(t, f, track(object{"user_properties": object{"seats": 3}}))
	require.Equal(t, object{"plan": "pro", "seats": 3.0}, propertiesOf(t, f, "usr_42"))
}

func TestOperators(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ before, change, after object }{
		"$set":                   {object{"a": 1, "b": 2}, object{"$set": object{"a": "x"}}, object{"a": "x", "b": 2.0}},
		"$setOnce":               {object{"a": 1}, object{"$setOnce": object{"a": 2, "b": 3}}, object{"a": 1.0, "b": 3.0}},
		"$add":                   {object{"a": 1}, object{"$add": object{"a": 2.5, "b": -1}}, object{"a": 3.5, "b": -1.0}},
		"$append":                {object{"a": []any{"x"}, "s": "y"}, object{"$append": object{"a": []any{"x", "z"}, "s": "z", "n": "z"}}, object{"a": []any{"x", "x", "z"}, "s": []any{"y", "z"}, "n": []any{"z"}}},
		"$prepend":               {object{"a": []any{"x"}}, object{"$prepend": object{"a": []any{"y", "x"}}}, object{"a": []any{"y", "x", "x"}}},
		"$preInsert":             {object{"a": []any{"x"}}, object{"$preInsert": object{"a": []any{"y", "x"}}}, object{"a": []any{"y", "x"}}},
		"$postInsert":            {object{"a": []any{"x"}}, object{"$postInsert": object{"a": []any{"y", "x"}}}, object{"a": []any{"x", "y"}}},
		"$remove":                {object{"a": []any{"x", "y", "x"}}, object{"$remove": object{"a": "x", "b": "x"}}, object{"a": []any{"y"}}},
		"$unset":                 {object{"a": 1, "b": 2}, object{"$unset": object{"a": "-", "c": "-"}}, object{"b": 2.0}},
		"$clearAll":              {object{"a": 1, "b": 2}, object{"$clearAll": "-"}, object{}},
		"plain":                  {object{"a": 1}, object{"b": 2}, object{"a": 1.0, "b": 2.0}},
		"clear, then set":        {object{"a": 1}, object{"$set": object{"b": 2}, "$clearAll": "-"}, object{"b": 2.0}},
		"unset, set, then once":  {object{"a": 1}, object{"$setOnce": object{"a": 3}, "$set": object{"a": 2}, "$unset": object{"a": "-"}}, object{"a": 2.0}},
		"set, add, then append":  {object{}, object{"$append": object{"a": 4}, "$add": object{"a": 2}, "$set": object{"a": 1}}, object{"a": []any{3.0, 4.0}}},
		"insert, then remove":    {object{"a": []any{"x"}}, object{"$remove": object{"a": "y"}, "$postInsert": object{"a": "y"}}, object{"a": []any{"x"}}},
		"an array can grow long": {object{"a": strings.Repeat("x", 1_024)}, object{"$append": object{"a": []any{strings.Repeat("y", 1_025), "z"}}}, object{"a": []any{strings.Repeat("x", 1_024), strings.Repeat("y", 1_024), "z"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{})
			batch(t, f, track(object{"user_properties": c.before}), identify(c.change))
			require.Equal(t, c.after, propertiesOf(t, f, "usr_42"))
		})
	}
}

func TestGrownArraysEndAt10000Characters(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	for range 12 {
		batch(t, f, identify(object{"$append": object{"a": strings.Repeat("x", 1_000)}}))
	}
	require.Len(t, propertiesOf(t, f, "usr_42")["a"], 10)
}

// TestIdentifyWithoutDeviceMayRaceOnHTTP is the documented race: only /batch, or a device_id, keeps the order.
func TestIdentifyWithoutDeviceMayRaceOnHTTP(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		path   string
		device any
		want   object
	}{
		"httpapi without device": {"/2/httpapi", nil, object(nil)},
		"httpapi with device":    {"/2/httpapi", "d", object{"plan": "pro"}},
		"batch without device":   {"/batch", nil, object{"plan": "pro"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := New(Config{ReorderIdentify: true})
			device := object{"device_id": c.device}
			a := post(f, c.path, body(t, identify(object{"plan": "pro"}, device), track(device)))
			require.Equal(t, 200, a.status)
			require.Equal(t, c.want, f.Events(Filter{Type: "Order_Completed"})[0].UserProperties)
			require.Equal(t, object{"plan": "pro"}, propertiesOf(t, f, "usr_42"))
		})
	}
}

func TestSkipUserPropertiesSyncNeitherReadsNorWrites(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, identify(object{"plan": "pro"}),
		track(object{"$skip_user_properties_sync": true, "user_properties": object{"plan": "old"}, "insert_id": "history"}),
		track(object{"$skip_user_properties_sync": true, "insert_id": "bare"}))
	require.Equal(t, object{"plan": "old"}, f.Events(Filter{InsertID: "history"})[0].UserProperties)
	require.Empty(t, f.Events(Filter{InsertID: "bare"})[0].UserProperties)
	require.Equal(t, object{"plan": "pro"}, propertiesOf(t, f, "usr_42"))
}

func TestPropertyUpdatesBeyond1800AnHourVanishSilently(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	batch(t, f, many(1_800, func(i int) object { return identify(object{"i": i}) })...)
	batch(t, f, identify(object{"i": "one too many"}))
	require.EqualValues(t, 1_799, propertiesOf(t, f, "usr_42")["i"])
	require.Equal(t, 1, f.Stats().PropertyUpdatesDropped)

	batch(t, f, identify(object{"i": "another user"}, object{"user_id": "usr_43", "device_id": "d"}))
	require.Equal(t, object{"i": "another user"}, propertiesOf(t, f, "usr_43"))

	clock.advance(time.Hour)
	batch(t, f, identify(object{"i": "an hour later"}))
	require.Equal(t, object{"i": "an hour later"}, propertiesOf(t, f, "usr_42"))
}

func TestGroupsOfAnEventAreItsOwn(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, track(object{"groups": object{"account": "a"}}), track())
	events := f.Events(Filter{})
	require.Equal(t, map[string][]string{"account": {"a"}}, events[0].Groups)
	require.Empty(t, events[1].Groups)
	u, _ := f.User("usr_42")
	require.Empty(t, u.Groups)
}

func TestGroupsOfAnIdentifyLastAndCannotBeRemoved(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	batch(t, f, identify(object{"$set": object{"account": "a"}}, object{"groups": object{"account": "a"}}),
		track(object{"insert_id": "1", "groups": object{"team": []string{"x", "y"}}}),
		identify(object{"$unset": object{"account": "-"}}, object{"groups": object{}}), track(object{"insert_id": "2"}),
		identify(nil, object{"groups": object{"account": "b"}}), track(object{"insert_id": "3"}))

	groups := func(id string) map[string][]string { return f.Events(Filter{InsertID: id})[0].Groups }
	require.Equal(t, map[string][]string{"account": {"a"}, "team": {"x", "y"}}, groups("1"))
	require.Equal(t, map[string][]string{"account": {"a"}}, groups("2"))
	require.Equal(t, map[string][]string{"account": {"b"}}, groups("3"), "they can be overwritten")
}

func TestMoreThanFiveGroupTypesOrTenValuesAreCutSilently(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	sixTypes, elevenValues := object{}, []string{}
	for i := range 6 {
		sixTypes[fmt.Sprint("type", i)] = "v"
	}
	for i := range 11 {
		elevenValues = append(elevenValues, fmt.Sprint("v", i))
	}
	batch(t, f, track(object{"groups": sixTypes}), track(object{"groups": object{"a": elevenValues, "b": "late"}}))
	events := f.Events(Filter{})
	require.Len(t, events[0].Groups, 5)
	require.NotContains(t, events[0].Groups, "type5")
	require.Equal(t, map[string][]string{"a": elevenValues[:10]}, events[1].Groups)
}

func TestGroupIdentifySetsGroupProperties(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	group := func(change object) object {
		return track(object{"event_type": "$groupidentify", "groups": object{"account": "a"}, "group_properties": change})
	}
	batch(t, f, group(object{"$set": object{"name": "Acme", "seats": 1}}), group(object{"$add": object{"seats": 2}}))
	properties, ok := f.Group("account", "a")
	require.True(t, ok)
	require.Equal(t, object{"name": "Acme", "seats": 3.0}, properties)

	_, ok = f.Group("account", "b")
	require.False(t, ok)
	u, _ := f.User("usr_42")
	require.Empty(t, u.Groups, "it makes nobody a member")
}

func TestAnonymousEventsBelongToTheLastUserOfTheirDevice(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	anonymous := track(object{"user_id": nil, "device_id": "phone"})
	batch(t, f, anonymous)
	batch(t, f, track(object{"user_id": "usr_42", "device_id": "phone"}), anonymous)
	batch(t, f, track(object{"user_id": "usr_43", "device_id": "phone"}), anonymous)
	require.Equal(t, 2, f.CountByUser("usr_42"))
	require.Equal(t, 2, f.CountByUser("usr_43"))
	require.Equal(t, 5, f.Total())
}

func TestTimeAbsentIsTheServersTime(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	batch(t, f, track(object{"time": nil}), track(object{"time": clock.now().Add(-time.Hour).UnixMilli()}))
	events := f.Events(Filter{})
	require.Equal(t, clock.now(), events[0].Time)
	require.Equal(t, clock.now().Add(-time.Hour), events[1].Time)
	require.Equal(t, clock.now(), events[1].ReceivedAt)
}

func TestTimeIsAdjustedOnlyByAnUploadTimeThatIsFarOff(t *testing.T) {
	t.Parallel()
	clock := newClock()
	f := New(Config{Now: clock.now})
	upload := func(at time.Time, id string) string {
		return `{"client_upload_time":"` + at.Format(time.RFC3339Nano) + `",` + body(t, track(object{"insert_id": id}))[1:]
	}
	require.Equal(t, 200, post(f, "/batch", upload(clock.now().Add(-time.Minute), "near")).status)
	require.Equal(t, 200, post(f, "/batch", upload(clock.now().Add(-time.Hour), "far")).status)
	require.Equal(t, clock.now(), f.Events(Filter{InsertID: "near"})[0].Time)
	require.Equal(t, clock.now().Add(time.Hour), f.Events(Filter{InsertID: "far"})[0].Time)
	require.Equal(t, 400, post(f, "/batch", `{"client_upload_time":"today",`+body(t, track())[1:]).status)
}

func TestPriceTimesQuantityWinsOverRevenue(t *testing.T) {
	t.Parallel()
	cases := []struct {
		sent object
		want float64
	}{
		{object{"price": 2.5, "quantity": 3, "revenue": 100}, 7.5},
		{object{"price": 2.5, "revenue": 100}, 2.5},
		{object{"price": 2.5}, 2.5},
		{object{"revenue": -12.99}, -12.99},
		{object{"quantity": 3}, 0},
	}
	for _, c := range cases {
		f := New(Config{})
		batch(t, f, track(c.sent))
		require.InDelta(t, c.want, f.Events(Filter{})[0].Revenue, 1e-9)
	}
}
