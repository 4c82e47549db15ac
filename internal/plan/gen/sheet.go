package gen

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"waybill/internal/plan"
)

// sheet is the tracking plan for people, as Markdown.
func sheet(in Input) []byte {
	s := sheetWriter{in: in}
	s.line("<!-- %s -->\n", generatedFrom(in.Dir))
	s.line("# Tracking plan of %s, version %s\n", in.Plan.Name, in.Plan.Version)
	if len(in.Plan.Environments) > 0 {
		s.line("Environments: %s.", strings.Join(in.Plan.Environments, ", "))
	}
	s.line("Personal data: %s.\n", map[plan.PIIPolicy]string{plan.PIINone: "none", plan.PIITraitsOnly: "as traits only"}[in.Plan.PIIPolicy])
	s.counts()
	s.hierarchy()
	for _, kind := range []plan.Kind{plan.SingleAction, plan.Summary} {
		s.kind(kind)
	}
	s.traits()
	s.removed()
	return s.b.Bytes()
}

type sheetWriter struct {
	in Input
	b  bytes.Buffer
}

func (s *sheetWriter) line(format string, args ...any) { fmt.Fprintf(&s.b, format+"\n", args...) }

func (s *sheetWriter) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(strings.Join(strings.Fields(c), " "), "|", `\|`)
	}
	s.line("| %s |", strings.Join(cells, " | "))
}

func (s *sheetWriter) table(columns ...string) {
	s.row(columns...)
	s.line("|%s", strings.Repeat("---|", len(columns)))
}

func (s *sheetWriter) counts() {
	s.table("status", "events", "called")
	for _, status := range plan.Statuses {
		n, called := 0, 0
		for _, e := range s.in.Plan.Events {
			if e.Status != status {
				continue
			}
			n++
			if e.Published() && len(s.in.Calls[GoFunc(s.in.Plan, e)]) > 0 {
				called++
			}
		}
		s.row(string(status), fmt.Sprint(n), fmt.Sprint(called))
	}
	s.line("")
}

func (s *sheetWriter) hierarchy() {
	if len(s.in.Plan.Groups) == 0 {
		return
	}
	s.line("## Groups\n")
	s.table("type", "in", "what it is")
	for _, g := range s.in.Plan.Groups {
		s.row("`"+g.Type+"`", code(g.Parent), sentence(g.Description))
	}
	s.line("")
}

func (s *sheetWriter) kind(kind plan.Kind) {
	title := map[plan.Kind]string{plan.SingleAction: "Events", plan.Summary: "Summaries"}[kind]
	events := slices.DeleteFunc(current(s.in.Plan), func(e plan.Event) bool { return e.Kind != kind })
	if len(events) == 0 {
		return
	}
	s.line("## %s\n", title)
	for _, category := range s.in.Plan.Categories {
		list := slices.DeleteFunc(slices.Clone(events), func(e plan.Event) bool { return e.Category != category.Name })
		if len(list) == 0 {
			continue
		}
		s.line("### %s\n\n%s\n", category.Name, sentence(category.Description))
		s.table("event", "version", "status", "in", "from", "owner", "called from")
		for _, e := range list {
			s.row("["+e.Name+"](#"+anchor(e)+")", e.Version.String(), string(e.Status), code(e.GroupLevel), sources(e), e.Owner, s.calls(e))
		}
		s.line("")
		for _, e := range list {
			s.event(e)
		}
	}
}

// anchor is the one GitHub makes of an event's heading.
func anchor(e plan.Event) string {
	return strings.NewReplacer(" ", "-", ".", "").Replace(e.Name + " " + e.Version.String())
}

func sources(e plan.Event) string {
	var list []string
	for _, source := range e.Sources {
		list = append(list, string(source))
	}
	if len(e.Platforms) > 0 {
		return strings.Join(list, ", ") + " (" + strings.Join(e.Platforms, ", ") + ")"
	}
	return strings.Join(list, ", ")
}

func (s *sheetWriter) calls(e plan.Event) string {
	switch list := s.in.Calls[GoFunc(s.in.Plan, e)]; {
	case !e.Published() && e.WireAt != "":
		return "not yet: " + e.WireAt
	case e.Published() && len(list) > 0:
		return strings.Join(list, ", ")
	}
	return "–"
}

func (s *sheetWriter) event(e plan.Event) {
	s.line("#### %s %s\n\n%s\n", e.Name, e.Version, sentence(e.Description))
	key := "given by the sender"
	if len(e.ActionKey) > 0 {
		key = "`" + e.Name + ":" + strings.Join(e.ActionKey, ":") + "`"
	}
	s.line("- Action key: %s", key)
	s.line("- Delivery: %s, mode %s", strings.ReplaceAll(string(e.Delivery), "_", " "), e.Mode)
	s.optional("At Amplitude: `%s`", e.AmplitudeName)
	s.optional("Also known as: %s", strings.Join(e.Aliases, ", "))
	s.optional("Expires: %s", e.Expires)
	s.optional("Replaced by: %s", e.ReplacedBy)
	if e.SampleRate < 1 {
		s.line("- Sampled: %v", e.SampleRate)
	}
	if e.Reconcile {
		s.line("- Compared with business rows every day")
	}
	if e.Revenue != nil {
		s.line("- Revenue: `%s` in `%s`", e.Revenue.Amount, e.Revenue.Currency)
	}
	s.line("")
	if len(e.Properties) == 0 {
		return
	}
	s.table("property", "type", "required", "PII", "what it is")
	for _, p := range e.Properties {
		required := ""
		if p.Required {
			required = "yes"
		}
		about := sentence(p.Description)
		if !p.Send {
			about += " Not sent."
		}
		s.row("`"+p.Name+"`", typeText(p), required, string(p.PII), about)
	}
	s.line("")
}

func (s *sheetWriter) optional(format, value string) {
	if value != "" {
		s.line("- "+format, value)
	}
}

func (s *sheetWriter) traits() {
	for _, subject := range s.in.Plan.Subjects() {
		list := s.in.Plan.TraitsOf(subject)
		if len(list) == 0 {
			continue
		}
		s.line("## Traits of the %s\n", subject)
		s.table("trait", "type", "update", "PII", "what it is")
		for _, t := range list {
			s.row("`"+t.Name+"`", typeText(t.Property), strings.ReplaceAll(string(t.Update), "_", " "), string(t.PII), sentence(t.Description))
		}
		s.line("")
	}
}

func (s *sheetWriter) removed() {
	var list []plan.Event
	for _, e := range s.in.Plan.Events {
		if e.Status == plan.Removed {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return
	}
	s.line("## No longer sent\n")
	sortEvents(list)
	for _, e := range list {
		s.line("- %s %s", e.Name, e.Version)
	}
	s.line("")
}

func typeText(p plan.Property) string {
	text := string(p.Type)
	switch {
	case p.PII == plan.HashedID:
		return "token"
	case p.Enum != nil:
		return strings.Join(p.Enum.Values, ", ")
	case p.Type == plan.ID:
		return "id of " + strings.ReplaceAll(p.Of, "_", " ")
	case p.Type == plan.List:
		text = fmt.Sprintf("list of %d strings of %d", p.MaxItems, p.MaxLength)
	case p.MaxLength > 0 && p.MaxLength != plan.DefaultMaxLength:
		text += fmt.Sprintf(", at most %d", p.MaxLength)
	}
	if p.Min != nil {
		text += fmt.Sprintf(", from %v", *p.Min)
	}
	if p.Max != nil {
		text += fmt.Sprintf(", to %v", *p.Max)
	}
	return text
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
