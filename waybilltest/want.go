package waybilltest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"waybill"
)

// Props are properties by name. Values are as the application has them: ids, enums,
// tokens and times of the generated package too.
type Props map[string]any

// Absent as a value of [Props] demands that there is no such property.
var Absent = absent{}

type absent struct{}

// want is what a bundle has to be. The zero want takes any.
type want struct {
	event      string
	properties Props
	exact      *Bundle // no other properties, and its key, version, revenue and groups
}

// String names what is wanted.
func (w want) String() string {
	if w.exact != nil {
		return w.exact.String()
	}
	if len(w.properties) == 0 {
		return w.event
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w.properties)) {
		parts = append(parts, name+" "+shown(normal(w.properties[name])))
	}
	return w.event + " with " + strings.Join(parts, ", ")
}

// against tells what is different about a bundle, nothing if it is as wanted.
func (w want) against(b Bundle) []string {
	if w.event != b.Event {
		return []string{"is another event"}
	}
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(w.properties)) {
		if p := differs(name, w.properties[name], b.Properties); p != "" {
			problems = append(problems, p)
		}
	}
	if w.exact != nil {
		problems = append(problems, w.againstExact(b)...)
	}
	return problems
}

func (w want) againstExact(b Bundle) []string {
	var problems []string
	add := func(what string, is, wanted any) {
		if !reflect.DeepEqual(is, wanted) {
			problems = append(problems, fmt.Sprintf("%s is %v, not %v", what, is, wanted))
		}
	}
	add("key", b.Key, w.exact.Key)
	add("version", b.Version, w.exact.Version)
	add("revenue", b.Revenue, w.exact.Revenue)
	if w.exact.Groups != nil {
		add("groups", places(b.Groups), places(w.exact.Groups))
	}
	for _, name := range slices.Sorted(maps.Keys(b.Properties)) {
		if _, wanted := w.properties[name]; !wanted {
			problems = append(problems, name+" was not wanted")
		}
	}
	return problems
}

// places are groups without what is known about them.
func places(groups []Group) []string {
	list := make([]string, 0, len(groups))
	for _, g := range groups {
		list = append(list, g.Type+" "+g.ID)
	}
	return list
}

// differs tells how one property is not as wanted.
func differs(name string, wanted any, properties map[string]any) string {
	is, there := properties[name]
	switch {
	case wanted == Absent && there:
		return fmt.Sprintf("%s is %s, not absent", name, shown(is))
	case wanted == Absent:
		return ""
	case !there:
		return fmt.Sprintf("%s is absent, not %s", name, shown(normal(wanted)))
	case !reflect.DeepEqual(is, normal(wanted)):
		return fmt.Sprintf("%s is %s, not %s", name, shown(is), shown(normal(wanted)))
	}
	return ""
}

// normal is a value as it comes back from the database: through JSON, with generated
// enums as their text and times as the plan writes them.
func normal(value any) any {
	switch v := value.(type) {
	case absent:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case json.Marshaler, encoding.TextMarshaler:
	case fmt.Stringer:
		return v.String()
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err // equal to nothing that comes from JSON
	}
	var back any
	if err := json.Unmarshal(text, &back); err != nil {
		return err
	}
	return back
}

func shown(value any) string {
	if value == Absent {
		return "absent"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// listed is what was enqueued instead, for people. Bundles of the wanted event say
// what is different about them.
func listed(bundles []Bundle, w want) string {
	if len(bundles) == 0 {
		return "This transaction has enqueued nothing. Nor would it have for a duplicate (its action\n" +
			"key was enqueued before), an actor with an empty id, or a client that is disabled:\n" +
			"look at the receipt of the call."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "This transaction has enqueued %d:\n", len(bundles))
	for _, bundle := range bundles {
		b.WriteString("  " + bundle.String() + "\n")
		if w.event != "" && w.event == bundle.Event {
			for _, problem := range w.against(bundle) {
				b.WriteString("    here " + problem + "\n")
			}
		}
	}
	return b.String()
}

// String is the bundle for people, on one line.
func (b Bundle) String() string {
	parts := []string{"traits and groups"}
	if b.Event != "" {
		parts[0] = strings.TrimSpace(b.Event + " " + b.Version)
	}
	parts = append(parts, "key "+b.Key)
	if b.UserID != "" {
		parts = append(parts, "user "+b.UserID)
	}
	if b.UserID == "" && b.DeviceID != "" {
		parts = append(parts, "device "+b.DeviceID)
	}
	if len(b.Properties) > 0 {
		parts = append(parts, shown(b.Properties))
	}
	for _, traits := range []struct {
		how    string
		values any
		n      int
	}{
		{"set", b.Set, len(b.Set)}, {"set once", b.SetOnce, len(b.SetOnce)},
		{"unset", b.Unset, len(b.Unset)}, {"increment", b.Increment, len(b.Increment)},
	} {
		if traits.n > 0 {
			parts = append(parts, traits.how+" "+shown(traits.values))
		}
	}
	for _, g := range b.Groups {
		parts = append(parts, g.Type+" "+g.ID)
	}
	if b.Outcome != waybill.Queued {
		parts = append(parts, string(b.Outcome)+": "+b.Reason)
	}
	return strings.Join(parts, ", ")
}

// items are a receipt for people.
func items(receipt waybill.Receipt) string {
	var b strings.Builder
	for _, item := range receipt.Items {
		fmt.Fprintf(&b, "  %s %s %s\n", item.Key, item.Outcome, item.Reason)
	}
	return b.String()
}
