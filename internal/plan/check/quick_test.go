package check

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"waybill/internal/bundle"
	"waybill/internal/plan/compiled"
)

// anyJSON stays close to what the reference plan's schemas are about, on both sides.
func anyJSON() *rapid.Generator[string] {
	encoded := func(v any) string { text, _ := json.Marshal(v); return string(text) }
	names := rapid.SampledFrom([]string{
		"report_id", "report_type", "template_used", "assignee_ref", "pages", "score", "weight", "due_at", "tags",
		"note_kind", "channel", "search_id", "results", "amount", "currency", "page", "strange", "a\"b",
	})
	scalar := rapid.OneOf(
		rapid.Map(rapid.StringN(0, 15, -1), func(s string) string { return encoded(s) }),
		rapid.SampledFrom([]string{
			`"custom"`, `"web_app"`, `"Custom"`, `"r_1"`, `""`, `"\u0061"`, "true", "false", "null", "0", "-0", "1", "3", "500", "501",
			"1.5", "1.5000000000000000001", "1.4999999999999999999", "1.0", "1e2", "-1", "9007199254740991", "9007199254740992",
			"123456789012345678901234567890", "1e300", "1e400", `[]`, `["a"]`, `["a", 1]`, `{}`, `"2026-11-22T10:00:00Z"`,
		}),
	)
	object := rapid.Custom(func(t *rapid.T) string {
		var b bytes.Buffer
		b.WriteString("{")
		for i, n := 0, rapid.IntRange(0, 5).Draw(t, "members"); i < n; i++ {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(encoded(names.Draw(t, "name")) + ": " + scalar.Draw(t, "value"))
		}
		b.WriteString("}")
		return b.String()
	})
	near := rapid.Custom(func(t *rapid.T) string {
		return `{"report_id": ` + scalar.Draw(t, "id") + `, "report_type": ` + scalar.Draw(t, "type") + `, "pages": ` + scalar.Draw(t, "pages") + `}`
	})
	return rapid.OneOf(scalar, object, near)
}

// TestTheShortCutTakesNothingThatTheSchemaRefuses: whatever the short cut takes, the
// library takes too.
func TestTheShortCutTakesNothingThatTheSchemaRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../gen/testdata/reference/plan/generated/plan.json")
	require.NoError(t, err)
	p, err := compiled.Read(text)
	require.NoError(t, err)
	var forms []form
	add := func(schema json.RawMessage) {
		f, err := compile(schema)
		require.NoError(t, err)
		forms = append(forms, f)
	}
	for _, e := range p.Events {
		add(e.Schema)
		var parts struct{ Properties map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(e.Schema, &parts))
		for _, property := range parts.Properties {
			add(property)
		}
	}
	for _, trait := range p.Traits {
		add(trait.Schema)
	}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		raw := json.RawMessage(anyJSON().Draw(t, "document"))
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		for _, f := range forms {
			if f.takes(raw) {
				taken++
				require.NoErrorf(t, f.schema.Validate(document), "%s", raw)
			}
		}
	})
	require.NotZero(t, taken, "nothing took the short cut: the test shows nothing")
}

// TestASchemaThatSaysMoreHasNoShortCut: a keyword the short cut does not know may not be
// ignored.
func TestASchemaThatSaysMoreHasNoShortCut(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{"type": "string", "pattern": "^a"}`, `{"type": "string", "format": "date-time"}`, `{"type": "integer", "multipleOf": 2}`,
		`{"type": "array", "items": {}}`, `{"type": ["string", "null"]}`, `{"enum": [1]}`, `true`,
	} {
		f := form{quick: newQuick(json.RawMessage(schema))}
		for _, raw := range []string{`"a"`, `"b"`, `3`, `[]`, `null`, `true`} {
			require.False(t, f.takes(json.RawMessage(raw)), schema)
		}
	}
}

// TestTheShortCutAtTheLimits: a float64 is rounded, and the library is not.
func TestTheShortCutAtTheLimits(t *testing.T) {
	t.Parallel()
	number := form{quick: newQuick(json.RawMessage(`{"type": "number", "minimum": 0, "maximum": 1.5}`))}
	integer := form{quick: newQuick(json.RawMessage(`{"type": "integer", "minimum": 0, "maximum": 5}`))}
	for raw, taken := range map[string]bool{"0.1": true, "1.4": true, "1.5": false, "1.5000000000000000001": false, "0": false, "-1e-400": false, "1.6": false} {
		require.Equal(t, taken, number.takes(json.RawMessage(raw)), raw)
	}
	for raw, taken := range map[string]bool{"0": true, "5": true, "6": false, "-1": false, "5.0": false, "1e0": false, "5000000000000000000000": false} {
		require.Equal(t, taken, integer.takes(json.RawMessage(raw)), raw)
	}
}

// FuzzPlan: whatever file a worker is given and whatever bundle comes, there is an answer.
func FuzzPlan(f *testing.F) {
	plan, err := os.ReadFile("../gen/testdata/reference/plan/generated/plan.json")
	require.NoError(f, err)
	for _, b := range []string{
		`{"key": "k", "user_id": "u", "track": {"event": "report_created", "properties": {"pages": 1}}}`,
		`{"key": "k", "user_id": "u", "groups": [{"type": "account", "id": "a"}], "increment": {"reports_total": 1}}`,
	} {
		f.Add(plan, []byte(b))
	}
	f.Add([]byte(`{"format": 1, "events": [{"name": "a", "amplitude_name": "a", "version": "1.0", "mode": "observe", "schema": {"type": "object"}}]}`), []byte(`{"key": "k", "user_id": "u", "track": {"event": "a"}}`))
	f.Fuzz(func(t *testing.T, file, text []byte) {
		p, err := compiled.Read(file)
		if err != nil {
			return
		}
		ready, err := New(p, "plan.json")
		if err != nil {
			return
		}
		if b, err := bundle.Parse(text); err == nil {
			v := ready.Check(b)
			require.Equal(t, v.Held(), v.Reason() != "")
			require.LessOrEqual(t, len(v.Violations), maxViolations)
		}
	})
}
