package contract_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan"
	"waybill/internal/plan/contract"
)

func limit(f float64) *float64 { return &f }

func base() plan.Event {
	return plan.Event{
		Name: "report_created", Version: plan.Version{Major: 1}, Status: plan.Live, GroupLevel: "workspace",
		ActionKey: []string{"report_id"},
		Properties: []plan.Property{
			{Name: "report_id", Type: plan.ID, Of: "report", Required: true, MaxLength: 64, Send: true},
			{Name: "kind", Type: plan.String, Enum: &plan.Enum{Values: []string{"b", "a"}}, Send: true},
			{Name: "pages", Type: plan.Integer, Min: limit(1), Max: limit(9), Send: true},
			{Name: "note", Type: plan.String, MaxLength: 10, Send: true},
		},
	}
}

func TestWhatAChangeDoesToReaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit   func(*plan.Event)
		effect contract.Effect
		what   string
	}{
		"nothing":              {func(*plan.Event) {}, contract.Same, ""},
		"descriptions":         {func(e *plan.Event) { e.Description, e.Owner, e.Category = "x", "y", "z" }, contract.Same, ""},
		"order of properties":  {func(e *plan.Event) { e.Properties[0], e.Properties[1] = e.Properties[1], e.Properties[0] }, contract.Same, ""},
		"order of enum values": {func(e *plan.Event) { e.Properties[1].Enum = &plan.Enum{Values: []string{"a", "b"}} }, contract.Same, ""},
		"status":               {func(e *plan.Event) { e.Status = plan.Deprecated }, contract.Same, ""},
		"optional added": {func(e *plan.Event) {
			e.Properties = append(e.Properties, plan.Property{Name: "x", Type: plan.Boolean, Send: true})
		}, contract.Additive, "x: added"},
		"required added": {func(e *plan.Event) {
			e.Properties = append(e.Properties, plan.Property{Name: "x", Type: plan.Boolean, Required: true, Send: true})
		}, contract.Breaking, "x: added, required"},
		"property removed":       {func(e *plan.Event) { e.Properties = e.Properties[:3] }, contract.Breaking, "note: removed"},
		"type":                   {func(e *plan.Event) { e.Properties[2].Type = plan.Number }, contract.Breaking, "pages: type: integer became number"},
		"identifies another":     {func(e *plan.Event) { e.Properties[0].Of = "page" }, contract.Breaking, "report_id: type: id of report became id of page"},
		"hashed":                 {func(e *plan.Event) { e.Properties[3].PII = plan.HashedID }, contract.Breaking, "note: type: string became string (hashed)"},
		"now required":           {func(e *plan.Event) { e.Properties[3].Required = true }, contract.Breaking, "note: required false became true"},
		"no longer required":     {func(e *plan.Event) { e.Properties[0].Required = false }, contract.Breaking, "report_id: required true became false"},
		"no longer sent":         {func(e *plan.Event) { e.Properties[0].Send = false }, contract.Breaking, "report_id: send true became false"},
		"enum wider":             {func(e *plan.Event) { e.Properties[1].Enum = &plan.Enum{Values: []string{"a", "b", "c"}} }, contract.Additive, `kind: value "c" added`},
		"enum narrower":          {func(e *plan.Event) { e.Properties[1].Enum = &plan.Enum{Values: []string{"a"}} }, contract.Breaking, `kind: value "b" removed`},
		"enum dropped":           {func(e *plan.Event) { e.Properties[1].Enum = nil }, contract.Additive, "kind: is no longer an enum"},
		"enum introduced":        {func(e *plan.Event) { e.Properties[3].Enum = &plan.Enum{Values: []string{"a"}} }, contract.Breaking, "note: became an enum"},
		"length wider":           {func(e *plan.Event) { e.Properties[3].MaxLength = 11 }, contract.Additive, "note: max_length widened"},
		"length narrower":        {func(e *plan.Event) { e.Properties[3].MaxLength = 9 }, contract.Breaking, "note: max_length narrowed"},
		"max wider":              {func(e *plan.Event) { e.Properties[2].Max = limit(10) }, contract.Additive, "pages: max widened"},
		"max gone":               {func(e *plan.Event) { e.Properties[2].Max = nil }, contract.Additive, "pages: max widened"},
		"max narrower":           {func(e *plan.Event) { e.Properties[2].Max = limit(8) }, contract.Breaking, "pages: max narrowed"},
		"min lower":              {func(e *plan.Event) { e.Properties[2].Min = limit(0) }, contract.Additive, "pages: min widened"},
		"min higher":             {func(e *plan.Event) { e.Properties[2].Min = limit(2) }, contract.Breaking, "pages: min narrowed"},
		"group level":            {func(e *plan.Event) { e.GroupLevel = "" }, contract.Breaking, "group_level: workspace became none"},
		"action key":             {func(e *plan.Event) { e.ActionKey = []string{"report_id", "pages"} }, contract.Breaking, "action_key: report_id became report_id, pages"},
		"name at Amplitude":      {func(e *plan.Event) { e.AmplitudeName = "Report" }, contract.Breaking, "amplitude_name: none became Report"},
		"revenue":                {func(e *plan.Event) { e.Revenue = &plan.Revenue{Amount: "a", Currency: "c"} }, contract.Breaking, "revenue: none became a, c"},
		"a wider and a narrower": {func(e *plan.Event) { e.Properties[3].MaxLength, e.Properties[2].Max = 11, limit(8) }, contract.Breaking, "note: max_length widened"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := base()
			c.edit(&after)
			list := contract.Compare(contract.Of(base()), contract.Of(after))
			require.Equal(t, c.effect, contract.Worst(list), "%v", list)
			if c.what == "" {
				require.Empty(t, list)
				return
			}
			require.Equal(t, c.what, list[0].What)
		})
	}
}

func lockWith(events ...plan.Event) contract.Lock {
	return contract.Lock{}.With(&plan.Plan{Events: events})
}

func TestTheLockIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	second := base()
	second.Version = plan.Version{Major: 1, Minor: 10}
	lock := lockWith(second, base())
	read, problems := contract.ReadLock("plan.lock", lock.Bytes())
	require.Empty(t, problems)
	require.Equal(t, string(lock.Bytes()), string(read.Bytes()))
	require.Empty(t, read.Edited(base()), "what was read back seems edited")
	require.Equal(t, 0, read.Entries[0].Version.Minor, "versions are in order")
	require.Equal(t, 3, read.Entries[0].Line)
}

func TestOnlyPublishedEventsAreLocked(t *testing.T) {
	t.Parallel()
	for status, locked := range map[plan.Status]int{plan.Planned: 0, plan.Ready: 0, plan.Live: 1, plan.Deprecated: 1, plan.Removed: 0} {
		e := base()
		e.Status = status
		require.Len(t, lockWith(e).Entries, locked, status)
	}
}

func TestALockedContractIsNeverRewritten(t *testing.T) {
	t.Parallel()
	lock := lockWith(base())
	edited := base()
	edited.Properties[3].MaxLength = 11
	require.Equal(t, string(lock.Bytes()), string(lock.With(&plan.Plan{Events: []plan.Event{edited}}).Bytes()))
	require.Equal(t, []contract.Change{{Effect: contract.Additive, What: "note: max_length widened"}}, lock.Edited(edited))

	// Gone from the plan, it stays in the lock.
	require.Len(t, lock.With(&plan.Plan{}).Entries, 1)
}

func TestAPrunedVersion(t *testing.T) {
	t.Parallel()
	lock := lockWith(base())
	published, ok := lock.Unpruned("report_created", 1)
	require.True(t, ok)
	require.Equal(t, "1.0", published.Version.String())
	_, ok = lock.Unpruned("report_created", 2)
	require.False(t, ok, "what was never published has nothing waiting")

	pruned := lock.WithPruned("report_created", plan.Version{Major: 1})
	_, ok = pruned.Unpruned("report_created", 1)
	require.False(t, ok)
	read, problems := contract.ReadLock("plan.lock", pruned.Bytes())
	require.Empty(t, problems)
	require.Equal(t, string(pruned.Bytes()), string(read.Bytes()))
	require.Contains(t, string(pruned.Bytes()), "report_created 1.0 pruned\n")
	require.Len(t, read.Entries, 1, "the contract stays")

	removed := base()
	removed.Status = plan.Removed
	require.Len(t, pruned.With(&plan.Plan{Events: []plan.Event{removed}}).Pruned, 1)
	require.Empty(t, pruned.With(&plan.Plan{Events: []plan.Event{base()}}).Pruned, "sent again, it has to be asked for again")
}

func TestThePreviousVersionIsTheNewestOfTheMajor(t *testing.T) {
	t.Parallel()
	var events []plan.Event
	for _, v := range []plan.Version{{Major: 1}, {Major: 1, Minor: 2}, {Major: 2}, {Major: 1, Minor: 10}} {
		e := base()
		e.Version = v
		events = append(events, e)
	}
	lock := lockWith(events...)
	previous, ok := lock.Previous("report_created", plan.Version{Major: 1, Minor: 11})
	require.True(t, ok)
	require.Equal(t, "1.10", previous.Version.String())
	_, ok = lock.Previous("report_created", plan.Version{Major: 3})
	require.False(t, ok, "a new MAJOR owes the old one nothing")
	_, ok = lock.Previous("report_created", plan.Version{Major: 1})
	require.False(t, ok)
}

func TestBrokenLocks(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"report_created":                      "is not: name version contract",
		"report_created 1.0":                  "is not: name version contract",
		"report_created one {}":               "is not: name version contract",
		"<<<<<<< HEAD of something":           "is not: name version contract",
		"report_created 1.0 {":                "the contract of report_created 1.0 cannot be read",
		`report_created 1.0 {"colour":"red"}`: "the contract of report_created 1.0 cannot be read",
		"a_done 1.0 {}\na_done 1.0 {}":        "a_done 1.0 stands here twice",
	} {
		_, problems := contract.ReadLock("plan.lock", []byte("# header\n"+text))
		require.Len(t, problems, 1, text)
		require.Contains(t, problems[0].String(), want)
		require.Contains(t, problems[0].String(), "restore the file from version control")
		require.True(t, strings.HasPrefix(problems[0].String(), "plan.lock:"))
	}
}

func FuzzReadLock(f *testing.F) {
	f.Add("report_created 1.0 {}")
	f.Add("a 1.0 {\"properties\":{\"x\":{\"type\":\"id\"}}}\n\n# x")
	f.Fuzz(func(t *testing.T, text string) {
		lock, problems := contract.ReadLock("plan.lock", []byte(text))
		if len(problems) > 0 {
			return
		}
		again, problems := contract.ReadLock("plan.lock", lock.Bytes())
		require.Empty(t, problems)
		require.Equal(t, string(lock.Bytes()), string(again.Bytes()))
	})
}
