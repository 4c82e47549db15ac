package jobs

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSum(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ counter, delta, want json.Number }{
		{"", "5", "5"},
		{"41", "1", "42"},
		{"1", "-3", "-2"},
		{"9007199254740992", "1", "9007199254740993"}, // beyond 2^53, where a float64 would stand still
		{"9223372036854775806", "1", "9223372036854775807"},
		{"9223372036854775807", "1", "9223372036854775808"},
		{"-9223372036854775808", "-1", "-9223372036854775808"}, // a float64, rounded
		{"10.5", "0.25", "10.75"},
		{"1.5", "1.5", "3"},
		{"0.1", "0.2", "0.30000000000000004"},
		{"1e3", "1", "1001"},
		{"1e21", "1", "1e+21"},
		{"1.7e308", "1.7e308", "1.7976931348623157e+308"},
		{"-1.7e308", "-1.7e308", "-1.7976931348623157e+308"},
	} {
		t.Run(fmt.Sprint(c.counter, " and ", c.delta), func(t *testing.T) {
			t.Parallel()
			got := sum(c.counter, c.delta)
			require.True(t, json.Valid([]byte(got)), got)
			want, err := c.want.Float64()
			require.NoError(t, err)
			have, err := got.Float64()
			require.NoError(t, err)
			require.InDelta(t, want, have, 0)
			if _, err := c.want.Int64(); err == nil && c.want != "-9223372036854775808" {
				require.Equal(t, c.want, got)
			}
		})
	}
}

func TestSumsOfWholeNumbersAreExactAndReversible(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		deltas := rapid.SliceOf(rapid.Int64Range(-(1<<53), 1<<53)).Draw(t, "deltas")
		var counter json.Number
		want := new(big.Int)
		for _, delta := range deltas {
			counter = sum(counter, json.Number(fmt.Sprint(delta)))
			want.Add(want, big.NewInt(delta))
		}
		if len(deltas) > 0 {
			require.Equal(t, want.String(), string(counter))
		}
		for _, delta := range deltas {
			counter = sum(counter, negative(json.Number(fmt.Sprint(delta))))
		}
		require.Contains(t, []string{"", "0"}, string(counter))
	})
}

func TestSumsAreAlwaysNumbers(t *testing.T) {
	t.Parallel()
	number := rapid.Custom(func(t *rapid.T) json.Number {
		f := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).Draw(t, "number")
		text, err := json.Marshal(f)
		require.NoError(t, err)
		return json.Number(text)
	})
	rapid.Check(t, func(t *rapid.T) {
		got := sum(number.Draw(t, "counter"), number.Draw(t, "delta"))
		require.True(t, json.Valid([]byte(got)), got)
		require.True(t, json.Valid([]byte(negative(got))), got)
		_, err := got.Float64()
		require.NoError(t, err)
	})
}

func TestAProfileReadsAsItWasWritten(t *testing.T) {
	t.Parallel()
	p := &profile{}
	p.traits.set("trial", trait{Value: json.RawMessage("null"), At: 5, BundleID: 7, Unset: true})
	p.traits.set("plan", trait{Value: json.RawMessage(`"<pro>"`), At: 5, BundleID: 7})
	p.traits.set("via", trait{Value: json.RawMessage(`{"a":1}`), At: 5, BundleID: 6, Once: true, FloorAt: 4, FloorID: 3})
	p.setCounter("orders", counter{Sum: "9007199254740993", Open: []int64{7, 8}})
	p.doubt("b")
	p.doubt("a")

	var columns profileColumns
	columns.add(identity{"user", "u"}, p)
	require.Equal(t, []string{"user"}, columns.kinds)
	require.Equal(t, []string{"u"}, columns.ids)
	require.Equal(t, []string{"a\x1fb"}, columns.unsure)
	require.Equal(t, []string{"plan\x1ftrial"}, columns.seen)
	require.Equal(t, [][]int64{{5}, {7}}, [][]int64{columns.seenAt, columns.seenID})
	require.JSONEq(t, `{
		"plan": {"value": "<pro>", "at": 5, "bundle_id": 7},
		"trial": {"value": null, "at": 5, "bundle_id": 7, "unset": true},
		"via": {"value": {"a": 1}, "at": 5, "bundle_id": 6, "once": true, "floor_at": 4, "floor_id": 3}
	}`, columns.traits[0])

	read, err := readProfile(columns.row(0))
	require.NoError(t, err)
	p.seen = "plan\x1ftrial"
	require.Equal(t, p, read)

	for _, broken := range []struct{ traits, counters string }{{"", "{}"}, {"{}", ""}, {"[]", "{}"}, {"{}", `{"n":"x"}`}} {
		_, err := readProfile(profileRow{traits: broken.traits, counters: broken.counters})
		require.Error(t, err)
	}
}

// The version that stands apart counts for the names it was written for, and only where
// it is the newer one.
func TestAVersionThatMovedOnCountsForItsNames(t *testing.T) {
	t.Parallel()
	p, err := readProfile(profileRow{
		traits:   `{"b": {"at": 9, "value": 2, "bundle_id": 4}, "aa": {"at": 5, "value": 1, "bundle_id": 7}, "c": {"at": 5, "value": 3, "bundle_id": 7}}`,
		counters: "{}",
		seen:     "aa\x1fb\x1fgone", seenAt: 8, seenID: 9,
	})
	require.NoError(t, err)
	for name, want := range map[string]version{"aa": {8, 9}, "b": {9, 4}, "c": {5, 7}} {
		got, ok := p.traits.get(name)
		require.True(t, ok)
		require.Equal(t, want, got.version(), name)
	}
	require.Len(t, p.traits, 3)
}

func TestAProfilesCopyIsItsOwn(t *testing.T) {
	t.Parallel()
	p := &profile{
		traits:   traits{{"plan", trait{At: 1}}},
		counters: map[string]counter{"orders": {Sum: "1", Open: []int64{1}}},
		unsure:   map[string]bool{"plan": true},
	}
	c := p.clone()
	c.traits.set("plan", trait{At: 2})
	c.sentAt = time.Now()
	c.open("orders", 2)
	c.close("orders", 1)
	delete(c.unsure, "plan")
	require.Equal(t, int64(1), p.traits[0].At)
	require.Equal(t, []int64{1}, p.counters["orders"].Open)
	require.Equal(t, []int64{2}, c.counters["orders"].Open)
	require.True(t, p.unsure["plan"])
	require.Zero(t, p.sentAt)

	roomy := &profile{}
	roomy.setCounter("orders", counter{Sum: "1", Open: append(make([]int64, 0, 8), 1)})
	one, other := roomy.clone(), roomy.clone()
	one.open("orders", 2)
	other.open("orders", 3)
	require.Equal(t, []int64{1, 2}, one.counters["orders"].Open)
	require.Equal(t, []int64{1, 3}, other.counters["orders"].Open)
}

func TestIdentitiesAreOrderedByKindThenId(t *testing.T) {
	t.Parallel()
	ids := []identity{{"user", "b"}, {"group:a", "z"}, {"user", "a"}, {"device", "c"}}
	slices.SortFunc(ids, compareIdentities)
	require.Equal(t, []identity{{"device", "c"}, {"group:a", "z"}, {"user", "a"}, {"user", "b"}}, ids)
	require.Zero(t, compareIdentities(ids[0], ids[0]))
}

// A worker remembers profiles for long. A value that is a part of its bundle's JSON would
// keep all of that in memory.
func TestAProfileKeepsNoBundleInMemory(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"plan":"pro"}`)
	var known traits
	known.set("plan", trait{Value: payload[8:13], At: 1})
	first := &known[0].Value[0]
	require.NotSame(t, &payload[8], first)

	known.set("plan", trait{Value: payload[8:13], At: 2})
	require.Same(t, first, &known[0].Value[0], "an equal value is kept")
	require.Equal(t, int64(2), known[0].At)

	known.set("plan", trait{Value: []byte("null"), Unset: true})
	require.Equal(t, namedTrait{"plan", trait{Value: []byte("null"), Unset: true}}, known[0])
}
