package crm_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/shop/crm"
	"example.com/shop/events"
	"example.com/shop/internal/stack"
	"waybill"
	"waybill/waybilltest"
)

func TestMain(m *testing.M) { os.Exit(stack.Run(m)) }

var (
	member = crm.Member{User: "usr_1", Account: "acc_1", Workspace: "ws_7"}
	place  = events.InAccount("acc_1").Workspace("ws_7")
	at     = time.Date(2026, time.November, 22, 10, 15, 0, 0, time.UTC)
)

// open gives the test a CRM, and a transaction that is rolled back.
func open(t *testing.T) (crm.CRM, pgx.Tx, *waybilltest.Ledger) {
	t.Helper()
	d := stack.New(t)
	d.Exec(t, crm.Schema)
	hasher, err := waybill.NewHasher("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	client, err := waybill.New(waybill.Config{Hasher: hasher})
	require.NoError(t, err)
	tx := waybilltest.Begin(t, d.Admin)
	return crm.CRM{Analytics: client}, tx, waybilltest.New(t, tx)
}

func TestWorkInTheCRMIsTracked(t *testing.T) {
	t.Parallel()
	c, tx, enqueued := open(t)
	ctx := t.Context()

	require.NoError(t, c.MarkAttendance(ctx, tx, member, "att_1", events.PresenceAway))
	require.NoError(t, c.CreateTemplate(ctx, tx, member, "tpl_1", "Dear Jane"))
	require.NoError(t, c.UseTemplate(ctx, tx, member, "use_1", "tpl_1"))
	require.NoError(t, c.ChangeRule(ctx, tx, member, "rule_1", "all to Jane"))
	require.NoError(t, c.ChangeRule(ctx, tx, member, "rule_1", "none to Jane"))
	require.NoError(t, c.ChangeField(ctx, tx, member, crm.FieldChange{ID: "chg_1", Contact: "con_1", Key: "industry", Content: "Jane's"}))

	enqueued.RequireEvent(events.AttendanceMarked(place, "att_1", events.PresenceAway))
	enqueued.RequireEvent(events.TemplateCreated(place, "tpl_1"))
	enqueued.RequireEvent(events.TemplateUsed(place, "use_1", "tpl_1"))
	enqueued.RequireEvent(events.AllocationRuleChanged(place, "rule_1", 1))
	enqueued.RequireEvent(events.AllocationRuleChanged(place, "rule_1", 2))
	changed := enqueued.RequireEvent(events.CRMFieldChanged(place, "chg_1", "industry"))
	require.Equal(t, []waybilltest.Group{{Type: "account", ID: "acc_1"}, {Type: "workspace", ID: "ws_7", Parent: "acc_1"}}, changed.Groups)
	for _, b := range enqueued.Bundles() {
		require.NotContains(t, b.String(), "Jane", "what people write stays here")
	}
}

func TestACallIsTrackedWithoutItsNumber(t *testing.T) {
	t.Parallel()
	c, tx, enqueued := open(t)
	call := crm.Call{ID: "call_1", Direction: events.DirectionOutbound, Phone: "+4930123456", At: at}

	require.NoError(t, c.StartCall(t.Context(), tx, member, call))
	require.NoError(t, c.EndCall(t.Context(), tx, member, call.ID, at.Add(90*time.Second)))
	require.NoError(t, c.EndCall(t.Context(), tx, member, call.ID, at.Add(time.Hour)), "said twice")

	started := enqueued.RequireTracked(events.CallStartedName, waybilltest.Props{
		"direction": events.DirectionOutbound, "phone": c.Analytics.Token("phone", call.Phone),
	})
	require.NotContains(t, started.String(), "123456")
	enqueued.RequireTracked(events.CallEndedName, waybilltest.Props{"call_id": "call_1", "duration_seconds": 90})
}

func TestAThousandSmallActionsAreOneEvent(t *testing.T) {
	t.Parallel()
	c, tx, enqueued := open(t)
	ctx := t.Context()
	for range 1000 {
		require.NoError(t, c.Did(ctx, tx, member, at, crm.Activity{Calls: 1, Fields: 2}))
	}
	undo := errors.New("undo")
	require.ErrorIs(t, pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		require.NoError(t, c.Did(ctx, tx, member, at, crm.Activity{Notes: 1}))
		return undo
	}), undo)
	enqueued.RequireNothing()

	n, err := c.Summarize(ctx, tx, at.Add(44*time.Minute+59*time.Second))
	require.NoError(t, err)
	require.Zero(t, n, "the hour is not over")
	for range 2 {
		_, err = c.Summarize(ctx, tx, at.Add(45*time.Minute))
		require.NoError(t, err)
	}
	enqueued.RequireTracked(events.CRMActivitySummarizedName, waybilltest.Props{
		"bucket": at.Truncate(time.Hour), "calls": 1000, "fields": 2000, "notes": 0, "tasks": 0,
	})

	// What comes late is counted in the next hour, not lost behind the event's key.
	require.NoError(t, c.Did(ctx, tx, member, at, crm.Activity{Tasks: 3}))
	n, err = c.Summarize(ctx, tx, at.Add(2*time.Hour))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	late := enqueued.RequireTracked(events.CRMActivitySummarizedName, waybilltest.Props{"tasks": 3})
	require.True(t, strings.HasPrefix(late.Key, events.CRMActivitySummarizedName+":ws_7:usr_1:"), late.Key)
}
