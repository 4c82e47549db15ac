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
	p := newProfile()
	p.traits["plan"] = trait{Value: json.RawMessage(`"<pro>"`), At: 5, BundleID: 7}
	p.traits["trial"] = trait{Value: json.RawMessage("null"), At: 5, BundleID: 7, Unset: true}
	p.traits["via"] = trait{Value: json.RawMessage(`{"a": 1}`), At: 5, BundleID: 7, Once: true, FloorAt: 4, FloorID: 3}
	p.counters["orders"] = counter{Sum: "9007199254740993", Open: []int64{7, 8}}
	p.unsure["b"], p.unsure["a"] = true, true

	var columns profileColumns
	columns.add(identity{"user", "u"}, p)
	require.Equal(t, []string{"user"}, columns.kinds)
	require.Equal(t, []string{"u"}, columns.ids)
	require.Equal(t, []string{"a\x1fb"}, columns.unsure)

	read, err := readProfile([]byte(columns.traits[0]), []byte(columns.counters[0]), []string{"a", "b"})
	require.NoError(t, err)
	require.JSONEq(t, `"<pro>"`, string(read.traits["plan"].Value))
	read.traits["plan"], p.traits["plan"] = trait{}, trait{}
	require.JSONEq(t, `{"a":1}`, string(read.traits["via"].Value))
	read.traits["via"], p.traits["via"] = trait{}, trait{}
	require.Equal(t, p, read)

	for _, broken := range []struct{ traits, counters string }{{"", "{}"}, {"{}", ""}, {"[]", "{}"}, {"{}", `{"n":"x"}`}} {
		_, err := readProfile([]byte(broken.traits), []byte(broken.counters), nil)
		require.Error(t, err)
	}
}

func TestAProfilesCopyIsItsOwn(t *testing.T) {
	t.Parallel()
	p := newProfile()
	p.traits["plan"], p.counters["orders"], p.unsure["plan"] = trait{At: 1}, counter{Sum: "1", Open: []int64{1}}, true
	c := p.clone()
	c.traits["plan"], c.sentAt = trait{At: 2}, time.Now()
	c.open("orders", 2)
	c.close("orders", 1)
	delete(c.unsure, "plan")
	require.Equal(t, int64(1), p.traits["plan"].At)
	require.Equal(t, []int64{1}, p.counters["orders"].Open)
	require.Equal(t, []int64{2}, c.counters["orders"].Open)
	require.True(t, p.unsure["plan"])
	require.Zero(t, p.sentAt)

	roomy := newProfile()
	roomy.counters["orders"] = counter{Sum: "1", Open: append(make([]int64, 0, 8), 1)}
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
