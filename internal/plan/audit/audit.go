// Package audit reads an application's Go source and compares it with its
// tracking plan: which events are called and where, and what goes round the
// generated code.
//
// It looks at the syntax alone, so that it needs no build and no network. What
// types could hide from it, dot imports and aliases of the guarded names, it
// reports.
package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/gen"
)

// Finding is one thing that is wrong with the source, or with the plan in its
// light.
type Finding struct {
	Pos     plan.Pos
	Message string
	Fix     string
}

// String reads orders/place.go:12: what is wrong; what to do.
func (f Finding) String() string { return f.Pos.String() + ": " + f.Message + "; " + f.Fix }

// Report is what an audit found.
type Report struct {
	Events   []Event
	Findings []Finding
}

// Event is one event of the plan and its calls.
type Event struct {
	Name    string
	Version plan.Version
	Status  plan.Status
	Sites   []Site
}

// Site is a place that makes an event.
type Site struct {
	Pos  plan.Pos
	Func string // enclosing function, "Place" or "(*Shop).Place"; empty at package level
}

// Audit compares what was found in the source with the plan.
func Audit(p *plan.Plan, source Source) Report {
	report := Report{Findings: source.Findings}
	for _, e := range p.Events {
		event := Event{Name: e.Name, Version: e.Version, Status: e.Status, Sites: source.Uses[gen.GoFunc(p, e)]}
		report.Events = append(report.Events, event)
		report.Findings = append(report.Findings, against(p, e, event.Sites)...)
	}
	slices.SortStableFunc(report.Events, func(a, b Event) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(report.Findings, func(a, b Finding) int {
		if c := strings.Compare(a.Pos.File, b.Pos.File); c != 0 {
			return c
		}
		return a.Pos.Line - b.Pos.Line
	})
	return report
}

// against compares an event's status with its calls. A recipe beside the generated
// code may compose events before anyone calls it.
func against(p *plan.Plan, e plan.Event, sites []Site) []Finding {
	if e.Status == plan.Planned || e.Status == plan.Ready {
		sites = slices.DeleteFunc(slices.Clone(sites), func(s Site) bool { return path.Dir(s.Pos.File) == p.GoPackage })
	}
	switch {
	case e.Status == plan.Live && len(sites) == 0 && e.From(plan.Server) && !e.From(plan.Client):
		return []Finding{{e.Pos, e.Name + " is live and nothing calls it", "call it, or set status: ready"}}
	case (e.Status == plan.Planned || e.Status == plan.Ready) && len(sites) > 0:
		return []Finding{{sites[0].Pos, fmt.Sprintf("%s is called and its status is %s", e.Name, e.Status), "set status: live in " + e.Pos.String()}}
	case e.Status == plan.Removed && len(sites) > 0:
		return []Finding{{sites[0].Pos, e.Name + " is removed and called", "remove the call"}}
	}
	return nil
}

// Calls are the files and functions that make each event, by its Go function, for
// the tracking sheet. They carry no lines, so that an edit elsewhere in a file does
// not make the sheet stale.
func (s Source) Calls() map[string][]string {
	calls := map[string][]string{}
	for name, sites := range s.Uses {
		for _, site := range sites {
			place := site.Pos.File
			if site.Func != "" {
				place += " " + site.Func
			}
			if !slices.Contains(calls[name], place) {
				calls[name] = append(calls[name], place)
			}
		}
		slices.Sort(calls[name])
	}
	return calls
}
