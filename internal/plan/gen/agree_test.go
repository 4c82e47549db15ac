package gen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill"
	"waybill/internal/bundle"
	"waybill/internal/plan/check"
	"waybill/internal/plan/gen/testdata/reference/events"
)

// validated is what every generated event is.
type validated interface {
	waybill.Trackable
	Validate() error
}

func schemaOf(t *testing.T, event, version string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join(reference, "plan", "generated", "schemas", event, version+".json"))
	require.NoError(t, err)
	return schema
}

// accepts reports whether the schema takes the event's properties. What JSON cannot
// say is not accepted.
func accepts(schema *jsonschema.Schema, e waybill.Trackable) error {
	text, err := json.Marshal(e.AsEvent().Properties)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(document)
}

func place() events.ProjectScope {
	return events.InAccount("acc_1").Workspace("ws_1").Project("p_1")
}

// The generators stay close to the limits of the reference plan, on both sides.
var (
	anyText  = rapid.StringN(0, 70, -1)
	anyInt   = rapid.OneOf(rapid.IntRange(-2, 503), rapid.SampledFrom([]int{0, 1, 500, 501, 1<<53 - 1, 1 << 53, -(1 << 53), -(1<<53 - 1), math.MaxInt, math.MinInt}))
	anyFloat = rapid.OneOf(rapid.Float64Range(-0.5, 2), rapid.SampledFrom([]float64{0, 1.5, math.Nextafter(1.5, 2), math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}))
	anyTime  = rapid.Map(rapid.SampledFrom([]int{-1, 0, 1, 999, 1000, 1970, 2026, 2999, 3000, 9999, 10000}), func(year int) time.Time {
		return time.Date(year, time.June, 1, 12, 30, 0, 123456789, time.FixedZone("", 3600))
	})
	anyList    = rapid.SliceOfN(rapid.StringN(0, 12, -1), 0, 4)
	anyType    = rapid.SampledFrom([]events.ReportType{{}, events.ReportTypeCustom, events.ReportTypeStandard})
	anyChannel = rapid.SampledFrom([]events.Channel{{}, events.ChannelWebApp, events.ChannelMobileApp})
)

func anyToken(t require.TestingT) *rapid.Generator[waybill.Token] {
	hasher, err := waybill.NewHasher("0123456789abcdef0123456789abcdef")
	require.NoError(t, err)
	return rapid.Map(rapid.SampledFrom([]string{"", "+49301", "+49302"}), func(s string) waybill.Token { return hasher.Token("phone", s) })
}

func maybe[T any, E any](t *rapid.T, label string, e E, set func(E, T) E, values *rapid.Generator[T]) E {
	if rapid.Bool().Draw(t, "with "+label) {
		return set(e, values.Draw(t, label))
	}
	return e
}

// TestGoAndSchemaAgree: whatever an event is made of, its Validate refuses it if and
// only if its schema does.
func TestGoAndSchemaAgree(t *testing.T) {
	t.Parallel()
	tokens := anyToken(t)
	cases := []struct {
		event, version string
		draw           func(*rapid.T) validated
	}{
		{"report_created", "2.1", func(t *rapid.T) validated {
			e := events.ReportCreated(place().Workspace(), events.ReportID(rapid.OneOf(rapid.Just("r_1"), anyText).Draw(t, "report_id")), anyType.Draw(t, "type"))
			e = maybe(t, "template_used", e, events.ReportCreatedEvent.TemplateUsed, rapid.Bool())
			e = maybe(t, "assignee_ref", e, events.ReportCreatedEvent.AssigneeRef, tokens)
			e = maybe(t, "pages", e, events.ReportCreatedEvent.Pages, anyInt)
			e = maybe(t, "score", e, events.ReportCreatedEvent.Score, anyFloat)
			e = maybe(t, "weight", e, events.ReportCreatedEvent.Weight, anyFloat)
			e = maybe(t, "due_at", e, events.ReportCreatedEvent.DueAt, anyTime)
			e = maybe(t, "tags", e, events.ReportCreatedEvent.Tags, anyList)
			e = maybe(t, "note_kind", e, events.ReportCreatedEvent.NoteKind, anyText)
			return maybe(t, "channel", e, events.ReportCreatedEvent.Channel, anyChannel)
		}},
		{"task_completed", "1.0", func(t *rapid.T) validated {
			return events.TaskCompleted(place(), tokens.Draw(t, "phone"), anyInt.Draw(t, "attempt"), anyTime.Draw(t, "done_at"),
				anyText.Draw(t, "kind"), anyList.Draw(t, "labels"))
		}},
		{"payment_succeeded", "1.0", func(t *rapid.T) validated {
			return events.PaymentSucceeded(place().Account(), "pay_1", anyFloat.Draw(t, "amount"), rapid.OneOf(rapid.Just("EUR"), anyText).Draw(t, "currency"))
		}},
		{"search_performed", "1.0", func(t *rapid.T) validated {
			e := events.SearchPerformed(events.SearchID(rapid.OneOf(rapid.Just("s_1"), anyText).Draw(t, "search_id")))
			return maybe(t, "results", e, events.SearchPerformedEvent.Results, anyInt)
		}},
	}
	for _, c := range cases {
		t.Run(c.event, func(t *testing.T) {
			t.Parallel()
			schema, worker := schemaOf(t, c.event, c.version), workersPlan(t)
			seen := map[bool]int{}
			taken := 0
			rapid.Check(t, func(t *rapid.T) {
				e := c.draw(t)
				inGo, inSchema := e.Validate(), accepts(schema, e)
				require.Equalf(t, inGo == nil, inSchema == nil, "Go: %v\nschema: %v\n%v", inGo, inSchema, e.AsEvent().Properties)
				seen[inGo == nil]++
				if stored := storedForm(t, e); stored != nil {
					taken++
					require.Emptyf(t, worker.Check(stored).Violations, "%v", e.AsEvent())
				}
			})
			require.NotZero(t, taken, "no event reached the worker: the test shows nothing")
			require.NotZero(t, seen[true], "no event was valid: the test shows nothing")
			require.NotZero(t, seen[false], "no event was invalid: the test shows nothing")
		})
	}
}

// workersPlan is the plan as a worker holds bundles against it.
func workersPlan(t *testing.T) *check.Plan {
	t.Helper()
	p, err := check.Load(filepath.Join(reference, "plan", "generated", "plan.json"))
	require.NoError(t, err)
	return p
}

// storedForm is the bundle that tracking an event stores, or nil if it is refused before.
func storedForm(t require.TestingT, e validated) *bundle.Bundle {
	client, err := waybill.New(waybill.Config{})
	require.NoError(t, err)
	tx := &notebook{}
	_, _ = client.Track(context.Background(), tx, waybill.User("u_1"), strictly{e})
	if tx.bundle == "" {
		return nil
	}
	b, err := bundle.Parse([]byte(tx.bundle))
	require.NoError(t, err)
	return b
}

// notebook is a transaction that writes down what a statement is given, and fails.
type notebook struct {
	pgx.Tx
	bundle string
}

func (n *notebook) Query(_ context.Context, _ string, args ...any) (pgx.Rows, error) {
	n.bundle, _ = args[0].(string)
	return nil, errors.New("this is no database")
}

// strictly is an event without its delivery class, so that it takes the plain door.
type strictly struct{ validated }

func (s strictly) Groups() []waybill.Group {
	if placed, ok := s.validated.(interface{ Groups() []waybill.Group }); ok {
		return placed.Groups()
	}
	return nil
}

// TestSchemaTakesNothingElse checks what Go cannot even say.
func TestSchemaTakesNothingElse(t *testing.T) {
	t.Parallel()
	schema := schemaOf(t, "report_created", "2.1")
	const fine = `"report_id": "r", "report_type": "custom"`
	for text, ok := range map[string]bool{
		`{` + fine + `}`:                                        true,
		`{` + fine + `, "template": true}`:                      false,
		`{"report_id": "r"}`:                                    false,
		`{"report_id": 1, "report_type": "custom"}`:             false,
		`{"report_id": null, "report_type": "custom"}`:          false,
		`{"report_id": "r", "report_type": "Custom"}`:           false,
		`{` + fine + `, "pages": 1.5}`:                          false,
		`{` + fine + `, "pages": "1"}`:                          false,
		`{` + fine + `, "tags": "a"}`:                           false,
		`{` + fine + `, "tags": [1]}`:                           false,
		`{` + fine + `, "assignee_ref": "+4930123456"}`:         false,
		`{` + fine + `, "due_at": "tomorrow"}`:                  false,
		`{` + fine + `, "due_at": "2026-11-22T10:00:00+01:00"}`: true,
		`[]`: false,
	} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(text)))
		require.NoError(t, err)
		err = schema.Validate(document)
		require.Equal(t, ok, err == nil, fmt.Sprint(text, " ", err))
	}
}
