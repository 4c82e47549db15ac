package amplitudetest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEventsWithMissingFieldsAreNamed(t *testing.T) {
	t.Parallel()
	a := post(New(Config{}), "/batch", body(t,
		track(), track(object{"event_type": nil}), track(object{"user_id": nil, "device_id": nil}), track(object{"event_type": ""}),
		object{"event_type": "$groupidentify", "groups": object{"account": "a"}, "group_properties": object{"$set": object{"a": 1}}},
	))
	require.Equal(t, 400, a.status)
	require.Equal(t, "Request missing required field", a.error())
	require.Equal(t, []int{1, 3}, a.named("events_with_missing_fields", "event_type"))
	require.Equal(t, []int{2, 4}, a.named("events_with_missing_fields", "user_id"), "a $groupidentify needs an id as well")
}

func TestEventsWithInvalidFieldsAreNamed(t *testing.T) {
	t.Parallel()
	a := post(New(Config{}), "/batch", body(t,
		track(), track(object{"time": "2026-11-22T10:00:00Z"}), track(object{"time": 1.5, "ip": 4}), track(object{"language": nil, "city": 1}),
	))
	require.Equal(t, 400, a.status)
	require.Equal(t, "Invalid field values on some events", a.error())
	require.Equal(t, []int{1, 2}, a.named("events_with_invalid_fields", "time"))
	require.Equal(t, []int{2}, a.named("events_with_invalid_fields", "ip"))
	require.Equal(t, []int{3}, a.named("events_with_invalid_fields", "city"))
}

func TestFirstIndexOnlyNamesOneOffenderOfEachKind(t *testing.T) {
	t.Parallel()
	a := post(New(Config{FirstIndexOnly: true}), "/batch", body(t,
		track(object{"event_type": nil}), track(object{"time": "x"}), track(object{"event_type": nil}), track(object{"time": "y"}),
	))
	require.Equal(t, []int{0}, a.named("events_with_missing_fields", "event_type"))
	require.Equal(t, []int{1}, a.named("events_with_invalid_fields", "time"))
}

func TestTheInvalidIDsAreRefused(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	ids := slices.Collect(maps.Keys(invalidIDs))
	require.Len(t, ids, 14)
	for _, id := range ids {
		for _, field := range []string{"user_id", "device_id"} {
			a := post(f, "/batch", body(t, track(object{field: id})))
			require.Equal(t, []int{0}, a.named("events_with_invalid_fields", field), "%s %q", field, id)
		}
	}
	batch(t, f, track(object{"user_id": "Anonymous"}))
}

func TestShortIDs(t *testing.T) {
	t.Parallel()
	short := func(options string, events ...object) string {
		return strings.Replace(body(t, events...), `"options":{"min_id_length":1}`, options, 1)
	}
	const byDefault, three = `"options":{}`, `"options":{"min_id_length":3}`
	event := track(object{"user_id": "usr4"})

	t.Run("fail on httpapi even beside a good id", func(t *testing.T) {
		t.Parallel()
		a := post(New(Config{}), "/2/httpapi", short(byDefault, track(), event))
		require.Equal(t, 400, a.status)
		require.Equal(t, "Invalid id length for user_id or device_id", a.error())
		require.Equal(t, []int{1}, a.named("events_with_invalid_id_lengths", "user_id"))
	})
	t.Run("are stripped on batch", func(t *testing.T) {
		t.Parallel()
		f := New(Config{})
		require.Equal(t, 200, post(f, "/batch", short(byDefault, event)).status)
		require.Empty(t, f.Events(Filter{})[0].UserID)
		require.Equal(t, "srv:usr_42", f.Events(Filter{})[0].DeviceID)
	})
	t.Run("fail on batch when nothing is left", func(t *testing.T) {
		t.Parallel()
		a := post(New(Config{}), "/batch", short(byDefault, track(object{"user_id": "usr4", "device_id": nil})))
		require.Equal(t, []int{0}, a.named("events_with_invalid_id_lengths", "user_id"))
	})
	t.Run("are long enough for min_id_length", func(t *testing.T) {
		t.Parallel()
		f := New(Config{})
		require.Equal(t, 200, post(f, "/2/httpapi", short(three, event)).status)
		require.Equal(t, "usr4", f.Events(Filter{})[0].UserID)
	})
	t.Run("are counted in characters", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, 400, post(New(Config{}), "/2/httpapi", short(three, track(object{"user_id": "äö"}))).status)
	})
}

func TestWrongTypesAreRefused(t *testing.T) {
	t.Parallel()
	var tooDeep, deepEnough any = "leaf", "leaf"
	for range maxDepth {
		tooDeep = object{"p": tooDeep}
	}
	for range maxDepth - 1 {
		deepEnough = object{"p": deepEnough}
	}
	null := json.RawMessage("null")
	nested := func(value any) object { return object{"p": value} }
	wrong := map[string][]any{
		"user_id":                    {42, null, true, []string{"u"}, "a\x00b"},
		"device_id":                  {42},
		"event_type":                 {1, "[Amplitude] Revenue", "a\x00"},
		"insert_id":                  {1, ""},
		"time":                       {"1", 1.5, json.RawMessage("1e12"), 1_790_000_000, int64(1_790_000_000_000_000), -1, 0, json.RawMessage("99999999999999999999")},
		"event_id":                   {"1", 1.5, json.RawMessage("1.0")},
		"session_id":                 {"1", -2},
		"event_properties":           {"p", []string{"p"}, 1, nested("a\x00b"), nested(tooDeep)},
		"user_properties":            {"p", []object{}, nested(tooDeep)},
		"groups":                     {"g", object{"account": 1}, object{"account": []any{"a", 1}}, object{"account": []any{}}, object{"account": ""}, object{"": "a"}, object{"account": nil}},
		"$skip_user_properties_sync": {"true", 1},
		"ip":                         {1, null},
		"location_lat":               {"52.5"},
		"price":                      {"1.5"},
		"quantity":                   {1.5, "1"},
		"revenue":                    {"12.99"},
		"currency":                   {"eur", "EURO", 1},
		"plan":                       {"p", object{"branch": 1}, object{"name": "x"}},
		"ingestion_metadata":         {object{"source": "x"}},
	}
	for field, values := range wrong {
		for _, value := range values {
			a := post(New(Config{}), "/batch", body(t, track(object{"revenue": 1, field: value})))
			require.Equal(t, 400, a.status, "%s: %v", field, value)
			require.Equal(t, []int{0}, a.named("events_with_invalid_fields", field), "%s: %v", field, value)
		}
	}
	batch(t, New(Config{}), track(object{"event_properties": deepEnough, "user_properties": deepEnough}))
}

func TestDepthCountsObjectsAndArraysOutsideOfStrings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`{}`: 1, `{"a":[]}`: 2, `{"a":{},"b":{}}`: 2, `{"a":"{[{"}`: 1, `{"a":"\"{[{","b":[{}]}`: 3, `{"{[{":1}`: 1, `{"a":"\\","b":[]}`: 2,
	} {
		require.Equal(t, want, depth(text), text)
	}
}

func TestEveryDocumentedFieldIsAccepted(t *testing.T) {
	t.Parallel()
	event := track(object{
		"insert_id": "i", "event_id": 1, "session_id": -1, "event_properties": object{"a": []any{1, "b", nil, object{}}},
		"user_properties": object{"plan": "pro"}, "groups": object{"account": "a", "team": []string{"x", "y"}},
		"$skip_user_properties_sync": false, "location_lat": 52.5, "location_lng": -13, "price": -1.5, "revenue": 3, "quantity": 2,
		"currency": "EUR", "plan": object{"branch": "b", "source": "s", "version": "1", "versionId": "v"},
		"ingestion_metadata": object{"source_name": "s", "source_version": "1"},
	})
	for field := range fields {
		if _, given := event[field]; !given && field != "group_properties" {
			event[field] = "text"
		}
	}
	batch(t, New(Config{}), event)
}

func TestUndocumentedFieldsAreRefused(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"event_name", "Event_type", "userId", "timestamp", "properties", "$insert_id"} {
		a := post(New(Config{}), "/batch", body(t, track(object{field: "x"})))
		require.Equal(t, []int{0}, a.named("events_with_invalid_fields", field))
	}
}

func TestRepeatedFieldsAreRefused(t *testing.T) {
	t.Parallel()
	text := strings.Replace(body(t, track()), `"event_type"`, `"user_id":"usr_1","event_type"`, 1)
	require.Equal(t, []int{0}, post(New(Config{}), "/batch", text).named("events_with_invalid_fields", "user_id"))
}

func TestOperatorsOutsideOfIdentifyAreRefused(t *testing.T) {
	t.Parallel()
	for _, properties := range []object{{"$set": object{"a": 1}}, {"a": 1, "$unset": object{"b": "-"}}} {
		a := post(New(Config{}), "/batch", body(t, track(object{"user_properties": properties})))
		require.Equal(t, []int{0}, a.named("events_with_invalid_fields", "user_properties"))
	}
}

func TestIdentifyAcceptsOperatorsOrPlainPropertiesOnly(t *testing.T) {
	t.Parallel()
	refused := []object{
		{"$set": object{"a": 1}, "b": 2}, {"$set": 1}, {"$set": []any{}}, {"$increment": object{"a": 1}},
		{"$add": object{"a": "1"}}, {"$add": object{"a": 1, "b": nil}},
	}
	for _, properties := range refused {
		a := post(New(Config{}), "/batch", body(t, identify(properties)))
		require.Equal(t, []int{0}, a.named("events_with_invalid_fields", "user_properties"), "%v", properties)
	}
	batch(t, New(Config{}), identify(object{"a": 1}), identify(object{"$clearAll": "-"}), identify(object{"$add": object{"a": -1.5}}))

	a := post(New(Config{}), "/batch", body(t, identify(nil)))
	require.Equal(t, []int{0}, a.named("events_with_missing_fields", "user_properties"))
}

func TestGroupIdentifyNeedsOneGroupAndOperators(t *testing.T) {
	t.Parallel()
	group := func(changes object) object {
		return track(object{
			"event_type": "$groupidentify", "groups": object{"account": "a"}, "group_properties": object{"$set": object{"n": 1}},
		}, changes)
	}
	invalid := map[string]object{
		"groups":           {"groups": object{"account": "a", "team": "b"}},
		"group_properties": {"group_properties": object{"n": 1}},
		"user_properties":  {"user_properties": object{"a": 1}},
	}
	for field, changes := range invalid {
		a := post(New(Config{}), "/batch", body(t, group(changes)))
		require.Equal(t, []int{0}, a.named("events_with_invalid_fields", field), a.text)
	}
	for _, changes := range []object{
		{"groups": object{"account": []string{"a"}}}, {"group_properties": object{"$remove": object{"n": 1}}}, {"group_properties": object{}},
	} {
		require.Equal(t, 400, post(New(Config{}), "/batch", body(t, group(changes))).status, "%v", changes)
	}
	for _, field := range []string{"groups", "group_properties"} {
		a := post(New(Config{}), "/batch", body(t, group(object{field: nil})))
		require.Equal(t, []int{0}, a.named("events_with_missing_fields", field))
	}
	batch(t, New(Config{}), group(nil))
}

func TestGroupPropertiesOutsideOfGroupIdentifyAreRefused(t *testing.T) {
	t.Parallel()
	properties := object{"group_properties": object{"$set": object{"a": 1}}}
	a := post(New(Config{}), "/batch", body(t, track(properties), identify(object{"a": 1}, properties)))
	require.Equal(t, []int{0, 1}, a.named("events_with_invalid_fields", "group_properties"))
}

func TestPurchaseFieldsNeedAPriceOrRevenue(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"productId", "revenueType", "currency"} {
		a := post(New(Config{}), "/batch", body(t, track(object{field: "EUR"})))
		require.Equal(t, []int{0}, a.named("events_with_invalid_fields", field))
		batch(t, New(Config{}), track(object{field: "EUR", "price": 1}), track(object{field: "EUR", "revenue": 1}))
	}
}

func TestLongStringsAreCutNotRefused(t *testing.T) {
	t.Parallel()
	f := New(Config{})
	long, kept := strings.Repeat("ä", 1_025), strings.Repeat("ä", 1_024)
	batch(t, f, track(object{
		"user_id": long, "insert_id": long, "event_type": long, "event_properties": object{"p": long, "l": []any{object{"q": long}}},
		"user_properties": object{"u": long}, "groups": object{"account": long},
	}))
	event := f.Events(Filter{})[0]
	require.Equal(t, kept, event.UserID)
	require.Equal(t, kept, event.InsertID)
	require.Equal(t, kept, event.Type)
	require.Equal(t, object{"p": kept, "l": []any{object{"q": kept}}}, event.EventProperties)
	require.Equal(t, object{"u": kept}, event.UserProperties)
	require.Equal(t, map[string][]string{"account": {kept}}, event.Groups)
	require.Equal(t, 1, f.Arrivals(kept).Accepted)
}
