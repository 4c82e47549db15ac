// Package crm is a small CRM whose work is tracked. Each function is handed the
// transaction of its caller and does two things in it: the business write and the
// event. What people write, whom they call and what they search for stays here.
package crm

import (
	"context"
	_ "embed"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/shop/events"
	"waybill"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// CRM tracks what it does with a client.
type CRM struct {
	Analytics *waybill.Client[pgx.Tx]
}

// Member is who acts, and in which workspace.
type Member struct {
	User      events.UserID
	Account   events.AccountID
	Workspace events.WorkspaceID
}

func (m Member) actor() waybill.Actor { return waybill.User(string(m.User)) }

func (m Member) in() events.WorkspaceScope {
	return events.InAccount(m.Account).Workspace(m.Workspace)
}

// track is the second half of each function.
func (c CRM) track(ctx context.Context, tx pgx.Tx, by Member, event waybill.Trackable) error {
	_, err := c.Analytics.Track(ctx, tx, by.actor(), event)
	return err
}

// MarkAttendance enters that a member is present or away.
func (c CRM) MarkAttendance(ctx context.Context, tx pgx.Tx, by Member, id events.AttendanceID, presence events.Presence) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO attendance (id, user_id, presence) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO NOTHING`, id, by.User, presence.String())
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.AttendanceMarked(by.in(), id, presence))
}

// CreateTemplate stores the wording of a message that is often sent.
func (c CRM) CreateTemplate(ctx context.Context, tx pgx.Tx, by Member, id events.TemplateID, wording string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO templates (id, workspace_id, wording) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO NOTHING`, id, by.Workspace, wording)
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.TemplateCreated(by.in(), id))
}

// UseTemplate notes that something was made from a template.
func (c CRM) UseTemplate(ctx context.Context, tx pgx.Tx, by Member, use events.TemplateUseID, of events.TemplateID) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO template_uses (id, template_id) VALUES ($1, $2)
		ON CONFLICT (id) DO NOTHING`, use, of)
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.TemplateUsed(by.in(), use, of))
}

// ChangeRule stores who is given which contacts.
func (c CRM) ChangeRule(ctx context.Context, tx pgx.Tx, by Member, id events.AllocationRuleID, rule string) error {
	var revision int
	err := tx.QueryRow(ctx, `
		INSERT INTO allocation_rules AS r (id, workspace_id, rule) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET rule = excluded.rule, revision = r.revision + 1
		RETURNING revision`, id, by.Workspace, rule).Scan(&revision)
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.AllocationRuleChanged(by.in(), id, revision))
}

// FieldChange is new content of one field of a contact.
type FieldChange struct {
	ID      events.FieldChangeID
	Contact string
	Key     string // the field, such as industry
	Content string // never tracked
}

// ChangeField stores new content of a field. The event says which field.
func (c CRM) ChangeField(ctx context.Context, tx pgx.Tx, by Member, change FieldChange) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO field_changes (id, contact_id, field_key, new_content) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO NOTHING`, change.ID, change.Contact, change.Key, change.Content)
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.CRMFieldChanged(by.in(), change.ID, change.Key))
}

// Call is a telephone call with a contact.
type Call struct {
	ID        events.CallID
	Direction events.Direction
	Phone     string // leaves as a token, if the client has a hash key
	At        time.Time
}

// StartCall notes that a call began.
func (c CRM) StartCall(ctx context.Context, tx pgx.Tx, by Member, call Call) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO calls (id, phone, direction, started_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO NOTHING`, call.ID, call.Phone, call.Direction.String(), call.At)
	if err != nil {
		return err
	}
	started := events.CallStarted(by.in(), call.ID).Direction(call.Direction).At(call.At)
	if phone := c.Analytics.Token("phone", call.Phone); !phone.IsZero() {
		started = started.Phone(phone)
	}
	return c.track(ctx, tx, by, started)
}

// EndCall notes that it is over.
func (c CRM) EndCall(ctx context.Context, tx pgx.Tx, by Member, id events.CallID, at time.Time) error {
	var seconds int
	err := tx.QueryRow(ctx, `
		UPDATE calls SET ended_at = coalesce(ended_at, $2) WHERE id = $1
		RETURNING extract(epoch FROM ended_at - started_at)::int`, id, at).Scan(&seconds)
	if err != nil {
		return err
	}
	return c.track(ctx, tx, by, events.CallEnded(by.in(), id).DurationSeconds(seconds).At(at))
}
