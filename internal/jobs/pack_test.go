package jobs

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// somewhere is where the rows of profiles stand that have one.
var somewhere = place{tid: pgtype.TID{Valid: true}}

// batchOf is a batch as it is loaded, with an empty profile for everybody it touches.
func batchOf(items ...*item) *sorted {
	out := &sorted{behind: map[int64][]ref{}, touched: wantedProfiles(items)}
	out.send.request, out.send.now, out.send.base = 77, epoch, map[identity]*profile{}
	for _, it := range items {
		for _, id := range it.touches() {
			out.send.base[id] = &profile{place: somewhere}
		}
	}
	return out
}

func idsOf(items []*item) []int64 {
	ids := []int64{}
	for _, it := range items {
		ids = append(ids, it.id)
	}
	return ids
}

func TestBundlesWaitForARequestThatMayBeChangingTheirTraits(t *testing.T) {
	t.Parallel()
	traits := func(id int64, user string) *item {
		return itemOf(t, id, int(id), fmt.Sprintf(`{"user_id":%q,"identify":{"set":{"a":1}},"groups":[{"type":"account","id":"acc"}]}`, user))
	}
	for name, c := range map[string]struct {
		held profile
		free []int64
	}{
		"nobody's":                    {profile{}, []int64{1, 2, 3, 4}},
		"held by one that is settled": {profile{heldBy: 7}, []int64{1, 2, 3, 4}},
		"held by one under way":       {profile{heldBy: 7, live: true}, []int64{3, 4}},
		"held by one that was cut off, and whose bundles are elsewhere": {profile{heldBy: 7, doubtful: true}, []int64{3, 4}},
		"held by one that was cut off, and whose bundle is here":        {profile{heldBy: 9, doubtful: true}, []int64{1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := itemOf(t, 3, 3, `{"user_id":"u","track":{"event":"E"}}`) // changes nothing
			cut := itemOf(t, 4, 4, `{"user_id":"w","track":{"event":"E"}}`)
			cut.doubtRequest = 9
			items := []*item{traits(1, "u"), traits(2, "u"), event, cut}
			out := batchOf(items...)
			*out.send.base[identity{"user", "u"}] = c.held
			require.Equal(t, c.free, idsOf(out.free(items)))
			if len(c.free) == 2 {
				require.Equal(t, []int64{1, 2}, bundlesOf(out.behind[7]))
			} else {
				require.Empty(t, out.behind)
			}
		})
	}
	t.Run("a group's, too", func(t *testing.T) {
		t.Parallel()
		items := []*item{traits(1, "u"), traits(2, "v")}
		out := batchOf(items...)
		out.send.base[identity{"group:account", "acc"}].live = true
		out.send.base[identity{"group:account", "acc"}].heldBy = 7
		require.Empty(t, out.free(items))
		require.Equal(t, []int64{1, 2}, bundlesOf(out.behind[7]))
	})
}

func TestBundlesBehindARequestOfOursKeepWhatWasRead(t *testing.T) {
	t.Parallel()
	items := []*item{itemOf(t, 1, 1, `{"user_id":"u","track":{"event":"E"}}`), itemOf(t, 2, 2, `{"user_id":"u","track":{"event":"E"}}`), itemOf(t, 3, 3, `{"user_id":"u","track":{"event":"E"}}`)}
	out, first := batchOf(items...), items[0]
	require.Equal(t, []int64{2}, idsOf(out.notReserved(items, []int64{7, 0, 8})))
	require.Equal(t, []int64{1}, bundlesOf(out.behind[7]))
	require.Equal(t, []int64{3}, bundlesOf(out.behind[8]))
	require.Same(t, first, out.behind[7][0].read)
}

func TestARequestHoldsWhatFits(t *testing.T) {
	t.Parallel()
	var items []*item
	for i := range int64(4) { // two events each
		items = append(items, itemOf(t, i+1, int(i), fmt.Sprintf(`{"user_id":"u%d","groups":[{"type":"account","id":"a%d"}],"track":{"event":"E"}}`, i, i)))
	}
	p := newPlanner("w", epoch, map[identity]*profile{})
	size := requestEnvelope
	for _, event := range append(p.add(items[0]), p.add(items[1])...) {
		size += len(event) + 1
	}
	for name, c := range map[string]struct {
		limits requestLimits
		packed []int64
	}{
		"all":                       {requestLimits{2000, 1 << 20}, []int64{1, 2, 3, 4}},
		"by events":                 {requestLimits{4, 1 << 20}, []int64{1, 2}},
		"never a part of a bundle":  {requestLimits{5, 1 << 20}, []int64{1, 2}},
		"by bytes":                  {requestLimits{2000, size}, []int64{1, 2}},
		"not a byte more":           {requestLimits{2000, size - 1}, []int64{1}},
		"at least one bundle":       {requestLimits{1, 1}, []int64{1}},
		"exactly as many as may be": {requestLimits{8, 1 << 20}, []int64{1, 2, 3, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := batchOf(items...)
			out.pack("w", items, c.limits)
			require.Equal(t, c.packed, idsOf(out.send.items))
			require.Equal(t, idsOf(items[len(c.packed):]), bundlesOf(out.overflow))
			require.Len(t, out.send.reserved, len(c.packed), "what goes back reserves nothing")
		})
	}
}

func TestABundleThatSaysNothingNewNeedsNoRequest(t *testing.T) {
	t.Parallel()
	known := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"a":1}}}`)
	out := batchOf(known)
	told(t, out.send.base, epoch, known)

	again, late := itemOf(t, 2, 2, `{"user_id":"u","identify":{"set":{"a":1}}}`), itemOf(t, 3, 0, `{"user_id":"u","identify":{"set":{"a":2}}}`)
	out.pack("w", []*item{late, again}, requestLimits{2000, 1 << 20})
	require.Empty(t, out.send.items)
	require.Empty(t, out.send.reserved)
	require.Len(t, out.settled, 2)
	require.Equal(t, "delivered", out.settled[0].outcome)
	rows, _, _ := out.profileRows()
	require.Equal(t, []string{"u"}, rows.ids)
	require.Equal(t, []*int64{nil}, rows.requests, "its version moves on, and that waits for no answer")
	require.Contains(t, rows.traits[0], `"bundle_id":2`)
}

// What a bundle repeats moves one version on, and that alone is written; whatever else
// changes in a profile is written with all of it.
func TestOnlyTheVersionThatMovesOnIsWritten(t *testing.T) {
	t.Parallel()
	id := identity{"user", "u"}
	stored := func(t *testing.T, bundles ...string) *profile {
		base := map[identity]*profile{}
		for i, text := range bundles {
			told(t, base, epoch, itemOf(t, int64(i+1), i+1, text))
		}
		var rows profileColumns
		rows.add(id, base[id])
		p, err := readProfile(rows.row(0))
		require.NoError(t, err)
		p.sentAt, p.place = epoch, somewhere
		return p
	}
	const both, one, other = `{"user_id":"u","identify":{"set":{"a":1,"b":2}}}`, `{"user_id":"u","identify":{"set":{"a":1}}}`, `{"user_id":"u","identify":{"set":{"b":2}}}`
	for name, c := range map[string]struct {
		known []string
		next  string
		only  bool
	}{
		"the same names":           {[]string{both}, both, true},
		"one of two that moved":    {[]string{both}, one, false},
		"the one that moved last":  {[]string{both, one}, one, true},
		"the one that did not":     {[]string{both, one}, other, false},
		"both, of which one moved": {[]string{both, one}, both, false},
		"a first value repeated":   {[]string{`{"user_id":"u","identify":{"set_once":{"a":1}}}`}, `{"user_id":"u","identify":{"set_once":{"a":3}}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := itemOf(t, 9, 9, c.next)
			out := batchOf(next)
			out.send.base[id] = stored(t, c.known...)
			out.pack("w", []*item{next}, requestLimits{2000, 1 << 20})
			rows, seen, _ := out.profileRows()
			if !c.only {
				require.Empty(t, seen)
				require.Len(t, rows.ids, 1)
				return
			}
			require.Empty(t, rows)
			require.Equal(t, seenColumns{wanted{[]string{"user"}, []string{"u"}}, []int64{next.at.UnixMicro()}, []int64{9}}, seen)
		})
	}
}

func TestABundleThatLeansOnAnotherOfItsRequestTravelsWithIt(t *testing.T) {
	t.Parallel()
	first, second := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"a":1}}}`), itemOf(t, 2, 2, `{"user_id":"u","identify":{"set":{"a":1}}}`)
	out := batchOf(first, second)
	out.pack("w", []*item{first, second}, requestLimits{2000, 1 << 20})
	require.Equal(t, []int64{1, 2}, idsOf(out.send.items))
	require.Empty(t, out.settled)
}

func TestWhatARequestChangesIsReservedToIt(t *testing.T) {
	t.Parallel()
	it := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"a":1}},"increment":{"n":2},"groups":[{"type":"account","id":"acc"}],"track":{"event":"E"}}`)
	out := batchOf(it)
	told(t, out.send.base, epoch, itemOf(t, 9, 0, `{"user_id":"x","groups":[{"type":"account","id":"acc"}]}`))
	out.pack("w", []*item{it}, requestLimits{2000, 1 << 20})
	require.Equal(t, []identity{{"user", "u"}}, out.send.reserved)

	rows, _, made := out.profileRows()
	require.Empty(t, made)
	require.Equal(t, []string{"group:account", "user"}, rows.kinds)
	require.Nil(t, rows.requests[0])
	require.Equal(t, int64(77), *rows.requests[1])
	require.Equal(t, []string{"", "a\x1fn"}, rows.unsure, "until the answer is there")
	require.JSONEq(t, fmt.Sprintf(`{"a":{"value":1,"at":%d,"bundle_id":1}}`, it.at.UnixMicro()), rows.traits[1], "as if it had been accepted")
	require.JSONEq(t, `{"n":{"sum":2,"open":[1]}}`, rows.counters[1])
	require.Empty(t, out.send.base[identity{"user", "u"}].traits, "while the flight still plans on what is certain")
}

func TestWhoHasNoProfileGetsOneWithTheRequest(t *testing.T) {
	t.Parallel()
	it := itemOf(t, 1, 1, `{"user_id":"u","identify":{"set":{"a":1}},"groups":[{"type":"account","id":"acc"}],"track":{"event":"E"}}`)
	known := itemOf(t, 2, 2, `{"user_id":"v","identify":{"set":{"a":1}},"track":{"event":"E"}}`)
	out := batchOf(it, known)
	out.send.base[identity{"user", "u"}] = &profile{}
	out.send.base[identity{"group:account", "acc"}] = &profile{}
	out.pack("w", []*item{it, known}, requestLimits{2000, 1 << 20})

	rows, _, made := out.profileRows()
	require.Equal(t, []string{"v"}, rows.ids)
	require.Equal(t, []string{"acc", "u"}, made.ids)
	require.Equal(t, []int64{77, 77}, []int64{*made.requests[0], *made.requests[1]})
	require.Contains(t, made.traits[1], `"a"`)
}
