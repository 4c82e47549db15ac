package diff_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan"
	"waybill/internal/plan/diff"
)

func planOf(t *testing.T, events string) *plan.Plan {
	t.Helper()
	p, problems := plan.Load(fstest.MapFS{
		"plan/plan.yaml":     {Data: []byte("name: shop\nversion: \"1.0\"\n")},
		"plan/events/a.yaml": {Data: []byte("events:\n" + events)},
	}, "plan")
	require.Empty(t, problems)
	return p
}

// stanza is one event with one property of the given limit.
func stanza(name, version, status, limit string) string {
	return "  - {name: " + name + ", version: \"" + version + "\", status: " + status +
		", description: x, category: c, owner: o, properties: {note: {type: string, max_length: " + limit + "}}}\n"
}

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		base, head    string
		kind          diff.Kind
		need, missed  string
		versions      [2]string
		nothing, miss bool
	}{
		"nothing":                         {base: stanza("a_done", "1.0", "live", "9"), head: stanza("a_done", "1.0", "live", "9"), nothing: true},
		"new event":                       {base: "  []\n", head: stanza("a_done", "1.0", "live", "9"), kind: diff.Added},
		"additive, bumped":                {base: stanza("a_done", "1.0", "live", "9"), head: stanza("a_done", "1.1", "live", "10"), kind: diff.Additive, need: "1.1"},
		"additive, not bumped":            {base: stanza("a_done", "1.0", "live", "9"), head: stanza("a_done", "1.0", "live", "10"), kind: diff.Additive, need: "1.1", miss: true, missed: "the change is additive: bump the version of a_done to 1.1"},
		"breaking, not bumped":            {base: stanza("a_done", "1.3", "live", "9"), head: stanza("a_done", "1.3", "live", "8"), kind: diff.Breaking, need: "2.0", miss: true, missed: "the change is breaking: bump the version of a_done to 2.0"},
		"breaking, bumped too little":     {base: stanza("a_done", "1.3", "live", "9"), head: stanza("a_done", "1.4", "live", "8"), kind: diff.Breaking, need: "2.0", miss: true, missed: "the change is breaking: bump the version of a_done to 2.0"},
		"breaking, bumped":                {base: stanza("a_done", "1.3", "live", "9"), head: stanza("a_done", "2.0", "live", "8") + stanza("a_done", "1.3", "deprecated", "9"), kind: diff.Breaking, need: "2.0"},
		"not published":                   {base: stanza("a_done", "1.0", "ready", "9"), head: stanza("a_done", "1.0", "ready", "8"), kind: diff.Breaking, need: "2.0"},
		"status":                          {base: stanza("a_done", "1.0", "ready", "9"), head: stanza("a_done", "1.0", "live", "9"), kind: diff.Status, need: "1.0"},
		"removed":                         {base: stanza("a_done", "1.0", "live", "9"), head: stanza("a_done", "1.0", "removed", "9"), kind: diff.Removed, need: "1.0"},
		"gone":                            {base: stanza("a_done", "1.0", "live", "9"), head: "  []\n", kind: diff.Removed, need: "1.0", miss: true, missed: "a_done 1.0 was published: keep its stanza, with status: removed"},
		"gone without the old MAJOR":      {base: stanza("a_done", "1.0", "live", "9"), head: stanza("a_done", "2.0", "live", "9"), kind: diff.Status, need: "1.0", miss: true},
		"gone before it was published":    {base: stanza("a_done", "1.0", "planned", "9"), head: "  []\n", kind: diff.Removed, need: "1.0"},
		"renumbered before publication":   {base: stanza("a_done", "1.0", "planned", "9"), head: stanza("a_done", "2.0", "planned", "9"), kind: diff.Status, need: "1.0"},
		"long gone":                       {base: stanza("a_done", "1.0", "removed", "9"), head: "  []\n", nothing: true},
		"a removed event nobody has seen": {base: "  []\n", head: stanza("a_done", "1.0", "removed", "9"), nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, head := c.base, c.head
			entries := diff.Compare(planOf(t, base), planOf(t, head))
			if c.nothing {
				require.Empty(t, entries)
				require.Equal(t, "The tracking plan is unchanged.\n", diff.Markdown(entries, nil))
				return
			}
			require.NotEmpty(t, entries)
			require.Equal(t, c.kind, entries[0].Kind)
			if c.need != "" {
				require.Equal(t, c.need, entries[0].Need.String())
			}
			missing := false
			for _, e := range entries {
				missing = missing || e.Missing
				if e.Missing && c.missed != "" {
					require.Equal(t, c.missed, e.Missed())
				}
			}
			require.Equal(t, c.miss, missing)
		})
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	entries := diff.Compare(
		planOf(t, stanza("a_done", "1.0", "live", "9")+stanza("c_done", "1.0", "live", "9")),
		planOf(t, stanza("a_done", "1.0", "live", "8")+stanza("b_done", "1.0", "planned", "9")+stanza("c_done", "1.0", "removed", "9")),
	)
	require.Equal(t, `| event | change | version | status |
|---|---|---|---|
| a_done | breaking | 1.0 | live |
| b_done | added | 1.0 | planned |
| c_done | removed | 1.0 | live → removed |

**a_done**

- breaking: note: max_length narrowed
- **the change is breaking: bump the version of a_done to 2.0**
- called from main.go:12

**c_done**

- called from main.go:14
`, diff.Markdown(entries, map[string][]string{"a_done": {"main.go:12"}, "c_done": {"main.go:14"}}))
}
