package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
)

// epoch is when the bundles of these tests happen, by and large.
var epoch = time.UnixMilli(1_790_000_000_000).UTC()

// itemOf is a bundle of JSON, without its version, on its way; it happened at a second
// after the epoch.
func itemOf(t *testing.T, id int64, second int, json string) *item {
	t.Helper()
	b, err := bundle.Parse(fmt.Appendf(nil, `{"v":1,"key":"k%d",%s`, id, json[1:]))
	require.NoError(t, err)
	at := epoch.Add(time.Duration(second) * time.Second)
	require.Empty(t, b.Refusals(at))
	return &item{id: id, bundle: b, at: at, enqueuedAt: at, job: &heldJob{}}
}

// doubted is the same bundle after an attempt that may have been accepted.
func doubted(it *item) *item {
	again := *it
	again.doubtSince = it.at
	return &again
}

func TestABundleSpeaksOfItsUserElseOfItsDevice(t *testing.T) {
	t.Parallel()
	both := itemOf(t, 1, 0, `{"user_id":"u","device_id":"d","identify":{"set":{"a":1}},"track":{"event":"E"}}`)
	require.Equal(t, []identity{{"user", "u"}}, both.touches())
	require.Equal(t, []identity{{"device", "d"}, {"user", "u"}}, both.limitedAs())

	device := itemOf(t, 2, 0, `{"device_id":"d","increment":{"n":1}}`)
	require.Equal(t, []identity{{"device", "d"}}, device.touches())
	require.Equal(t, []identity{{"device", "d"}}, device.limitedAs())

	user := itemOf(t, 3, 0, `{"user_id":"u","track":{"event":"E"},"groups":[{"type":"account","id":"a"},{"type":"team","id":"t","parent":"a"}]}`)
	require.Equal(t, []identity{{"group:account", "a"}, {"group:team", "t"}}, user.touches(), "an event alone touches no traits of its user")
	require.Equal(t, []identity{{"device", "srv:u"}, {"user", "u"}}, user.limitedAs(), "Amplitude limits the device it is sent as, too")
}

func TestByInstanceTheRootGroupIsTheUser(t *testing.T) {
	t.Parallel()
	grouped := itemOf(t, 1, 0, `{"user_id":"u","track":{"event":"E"},"groups":[{"type":"account","id":"a"},{"type":"team","id":"t"}]}`)
	byInstance(grouped.bundle)
	require.Equal(t, "a", grouped.bundle.UserID)

	alone := itemOf(t, 2, 0, `{"user_id":"u","track":{"event":"E"}}`)
	byInstance(alone.bundle)
	require.Equal(t, "u", alone.bundle.UserID)
}

func TestVersionsAreOrderedByTimeThenById(t *testing.T) {
	t.Parallel()
	early, late, lateToo := itemOf(t, 9, 0, `{"user_id":"u","track":{"event":"E"}}`), itemOf(t, 1, 1, `{"user_id":"u","track":{"event":"E"}}`), itemOf(t, 2, 1, `{"user_id":"u","track":{"event":"E"}}`)
	require.True(t, late.version().after(early.version()))
	require.True(t, lateToo.version().after(late.version()))
	require.False(t, late.version().after(late.version()))
	require.False(t, early.version().after(late.version()))
}
