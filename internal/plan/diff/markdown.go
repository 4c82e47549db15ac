package diff

import (
	"fmt"
	"strings"

	"waybill/internal/plan"
)

// Markdown is the comparison for a pull request. Sites are the calls of each
// event, by name.
func Markdown(entries []Entry, sites map[string][]string) string {
	if len(entries) == 0 {
		return "The tracking plan is unchanged.\n"
	}
	var b strings.Builder
	b.WriteString("| event | change | version | status |\n|---|---|---|---|\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", e.Name, e.Kind, e.versions(), e.statuses())
	}
	for _, e := range entries {
		if len(e.Changes) == 0 && !e.Missing && len(sites[e.Name]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n**%s**\n\n", e.Name)
		for _, c := range e.Changes {
			fmt.Fprintf(&b, "- %s: %s\n", c.Effect, c.What)
		}
		if e.Missing {
			fmt.Fprintf(&b, "- **%s**\n", e.Missed())
		}
		if e.Kind == Breaking || e.Kind == Removed {
			for _, site := range sites[e.Name] {
				fmt.Fprintf(&b, "- called from %s\n", site)
			}
		}
	}
	return b.String()
}

// Missed says what a change lacks.
func (e Entry) Missed() string {
	if e.Kind == Removed {
		return fmt.Sprintf("%s %s was published: keep its stanza, with status: removed", e.Name, e.From)
	}
	return fmt.Sprintf("the change is %s: bump the version of %s to %s", e.Kind, e.Name, e.Need)
}

func (e Entry) versions() string {
	switch {
	case e.Kind == Added:
		return e.To.String()
	case e.Kind == Removed || e.From == e.To:
		return e.From.String()
	}
	return e.From.String() + " → " + e.To.String()
}

func (e Entry) statuses() string {
	to := e.ToStatus
	if to == "" {
		to = plan.Removed
	}
	if e.FromStatus == "" || e.FromStatus == to {
		return string(to)
	}
	return string(e.FromStatus) + " → " + string(to)
}
