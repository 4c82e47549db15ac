package gen_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill"
	"waybill/internal/plan/gen/testdata/reference/events"
)

var at = time.Date(2026, time.November, 22, 10, 0, 0, 0, time.UTC)

func TestAnEventIsWhatThePlanSays(t *testing.T) {
	t.Parallel()
	e := events.ReportCreated(place().Workspace(), "r:1", events.ReportTypeCustom).TemplateUsed(false).At(at)
	require.NoError(t, e.Validate())
	require.Equal(t, waybill.Event{
		Name: "report_created", Version: "2.1", Key: "report_created:r%3A1", OccurredAt: at,
		Properties: waybill.Properties{"report_id": "r:1", "report_type": "custom", "template_used": false},
	}, e.AsEvent())
}

func TestAnEventIsAValue(t *testing.T) {
	t.Parallel()
	tags := []string{"a"}
	plain := events.ReportCreated(place().Workspace(), "r_1", events.ReportTypeCustom)
	tagged := plain.Tags(tags).Pages(3)
	tags[0] = "changed"
	more := tagged.Pages(4)
	require.NotContains(t, plain.AsEvent().Properties, "tags")
	require.Equal(t, []string{"a"}, tagged.AsEvent().Properties["tags"])
	require.Equal(t, 3, tagged.AsEvent().Properties["pages"])
	require.Equal(t, 4, more.AsEvent().Properties["pages"])
}

func TestActionKeys(t *testing.T) {
	t.Parallel()
	hasher, err := waybill.NewHasher("k2:0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	phone := hasher.Token("phone", "+49301")
	task := func(kind string, phone waybill.Token) string {
		return events.TaskCompleted(place(), phone, 7, at, kind, nil).AsEvent().Key
	}
	require.Equal(t, "task_completed:p_1:"+phone.String()+":7:2026-11-22T10%3A00%3A00Z:a%25b", task("a%b", phone))
	require.NotEqual(t, task("a:b", phone), task("a%3Ab", phone), "two kinds share a key")

	// A key with a hole in it would make strangers duplicates of each other.
	require.Empty(t, task("", phone))
	require.Empty(t, task("call", waybill.Token{}))
	require.Empty(t, events.ReportCreatedEvent{}.AsEvent().Key)

	// The versions of an event name the same actions.
	v1 := events.ReportCreatedV1(place().Account(), "r_1").AsEvent()
	v2 := events.ReportCreated(place().Workspace(), "r_1", events.ReportTypeCustom).AsEvent()
	require.Equal(t, v1.Key, v2.Key)
}

func TestWhatStaysHomeIsNotInTheEvent(t *testing.T) {
	t.Parallel()
	e := events.PaymentSucceeded(place().Account(), "pay_1", 12.99, "EUR").AsEvent()
	require.Equal(t, waybill.Properties{"amount": 12.99, "currency": "EUR"}, e.Properties)
	require.Equal(t, "payment_succeeded:pay_1", e.Key)
	require.Equal(t, waybill.Revenue{Amount: 12.99, Currency: "EUR"}, e.Revenue)
}

func TestScopesCarryTheirAncestors(t *testing.T) {
	t.Parallel()
	account := events.InAccount("acc_1", events.SetAccountSeats(5))
	project := account.Workspace("ws_1").Project("p_1")
	acc := waybill.InGroup("account", "acc_1", waybill.Set("seats", 5))
	ws := waybill.InGroup("workspace", "ws_1").Under("acc_1")
	require.Equal(t, []waybill.Group{acc, ws, waybill.InGroup("project", "p_1").Under("ws_1")}, project.Groups())
	require.Equal(t, []waybill.Group{acc, ws}, project.Workspace().Groups())
	require.Equal(t, []waybill.Group{acc}, project.Account().Groups())
	require.Equal(t, project.Groups(), events.TaskCompleted(project, waybill.Token{}, 0, at, "", nil).Groups())

	// Siblings must not share their parent's memory.
	one, two := project.Workspace().Project("p_2"), project.Workspace().Project("p_3")
	require.NotEqual(t, one.Groups(), two.Groups())
}

func TestZeroValuesAreRefused(t *testing.T) {
	t.Parallel()
	err := events.ReportCreatedEvent{}.Validate()
	require.EqualError(t, err, "report_created: it is in no workspace; report_id is empty; report_type is none of its values")
	var ws events.WorkspaceScope
	require.Empty(t, ws.Account().Groups())
	require.ErrorContains(t, events.ReportCreated(ws, "r", events.ReportTypeCustom).Validate(), "in no workspace")
}

func TestProblemsHoldNoValues(t *testing.T) {
	t.Parallel()
	const secret = "a very long note about someone"
	err := events.ReportCreated(place().Workspace(), "r", events.ReportTypeCustom).NoteKind(secret).Validate()
	require.EqualError(t, err, "report_created: note_kind has 30 characters, more than 12")
}

func TestEnumsAreReadBack(t *testing.T) {
	t.Parallel()
	channel, err := events.ParseChannel("web_app")
	require.NoError(t, err)
	require.Equal(t, events.ChannelWebApp, channel)
	require.Equal(t, "web_app", channel.String())
	_, err = events.ParseChannel("Web_App")
	require.Error(t, err)
	_, err = events.ParseChannel("")
	require.Error(t, err)
}

func TestTheAmplitudeNameIsSent(t *testing.T) {
	t.Parallel()
	require.Equal(t, "search_performed", events.SearchPerformed("s_1").AsEvent().Name)
	require.Equal(t, events.SearchPerformedName, events.SearchPerformed("s_1").AsEvent().Name)
}
