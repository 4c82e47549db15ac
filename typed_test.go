package waybill

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// placedEvent is an event as the plan generates it: it knows its level and its rules.
type placedEvent struct {
	key     string
	groups  []Group
	invalid error
}

func (e placedEvent) AsEvent() Event  { return Event{Name: "Report_Created", Key: e.key} }
func (e placedEvent) Groups() []Group { return e.groups }
func (e placedEvent) Validate() error { return e.invalid }

func TestAnEventThatKnowsItsPlaceNeedsNoGroupsOfTheActor(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})
	workspace := []Group{Account("acc_1", Set("name", "Acme")), Workspace("ws_7")}

	_, err := client.Track(t.Context(), fakeTx{}, User("u").In(Account("elsewhere")),
		placedEvent{key: "a", groups: workspace}, placedEvent{key: "b"})

	require.NoError(t, err)
	sent := db.sent(t)
	require.JSONEq(t, `{"v": 1, "key": "a", "user_id": "u", "source": "server", "track": {"event": "Report_Created"},
		"groups": [{"type": "account", "id": "acc_1", "set": {"name": "Acme"}}, {"type": "workspace", "id": "ws_7", "parent": "acc_1"}]}`, string(sent[0]))
	require.Contains(t, string(sent[1]), `"elsewhere"`, "without groups of its own it has the actor's")
}

func TestWhatAnEventsDefinitionHasAgainstItIsARejection(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})

	_, err := client.Track(t.Context(), fakeTx{}, User("u"), placedEvent{key: "a", invalid: errors.New("report_id: is longer than 64 characters")})

	var rejected *RejectedError
	require.ErrorAs(t, err, &rejected)
	require.ErrorContains(t, err, "report_id: is longer than 64 characters")
	require.Empty(t, db.calls, "nothing was sent")
}

func TestABadGroupOfAnEventIsItsOwn(t *testing.T) {
	t.Parallel()
	client, db := testClient(Config{})

	receipt, err := client.BestEffort().Track(t.Context(), fakeTx{}, User("u"),
		placedEvent{key: "bad", groups: []Group{InGroup("Not A Type", "x")}}, placedEvent{key: "good"})

	require.NoError(t, err)
	require.Equal(t, Rejected, receipt.Items[0].Outcome)
	require.Equal(t, 1, receipt.Queued())
	require.Len(t, db.sent(t), 1)
}
