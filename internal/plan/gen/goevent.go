package gen

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/ident"
)

type eventView struct {
	Func, Type, NameConst string
	Name, Wire, Version   string
	About                 string
	Facts                 string
	Deprecated            string
	Scope, ScopeLevel     string
	Required, Optional    []propertyView
	Properties            []propertyView
	Key                   []string
	BestEffort            bool
	RevenueAmount         string
	RevenueCurrency       string
}

type propertyView struct {
	Name, Field, Method, GoType, About string
	Value                              string // as it stands in Properties
	Check                              string // statement of Validate
	Assign                             string // of an optional one's setter
	Required, Send                     bool
}

type eventsView struct {
	header
	Events []eventView
}

// events are the events of one domain that the server may send. What only clients
// send has no Go, so that no server sends it.
func (g goPackage) events(domain string) eventsView {
	var list []eventView
	file := ""
	for _, e := range g.plan.Events {
		if e.Domain == domain && e.Status != plan.Removed && e.From(plan.Server) {
			list = append(list, g.event(e))
			file = e.Pos.File
		}
	}
	return eventsView{header: g.view(file, imports(list)...), Events: list}
}

// imports are the packages that the expressions of the events need.
func imports(events []eventView) []string {
	needed := []string{"time"}
	var text strings.Builder
	for _, e := range events {
		fmt.Fprintln(&text, e.Key)
		for _, p := range e.Properties {
			fmt.Fprintln(&text, p.Check, p.Assign)
			if p.Required && p.GoType == "[]string" {
				fmt.Fprintln(&text, "slices.Clone")
			}
		}
	}
	for _, name := range []string{"math", "slices", "strconv"} {
		if strings.Contains(text.String(), name+".") {
			needed = append(needed, name)
		}
	}
	slices.Sort(needed)
	return needed
}

func (g goPackage) event(e plan.Event) eventView {
	name := GoFunc(g.plan, e)
	view := eventView{
		Func: name, Type: name + "Event", NameConst: name + "Name",
		Name: e.Name, Wire: e.WireName(), Version: e.Version.String(),
		About: sentence(e.Description), Facts: facts(e), BestEffort: e.Delivery == plan.BestEffort,
	}
	if e.Status == plan.Deprecated {
		view.Deprecated = deprecation(g.plan, e)
	}
	if e.GroupLevel != "" {
		view.Scope, view.ScopeLevel = ident.Exported(e.GroupLevel)+"Scope", strings.ReplaceAll(e.GroupLevel, "_", " ")
	}
	for _, p := range e.Properties {
		property := propertyOf(e, p)
		view.Properties = append(view.Properties, property)
		if p.Required {
			view.Required = append(view.Required, property)
		} else {
			view.Optional = append(view.Optional, property)
		}
	}
	view.Key = actionKey(e)
	if e.Revenue != nil {
		view.RevenueAmount = "e." + ident.Local(e.Revenue.Amount)
		view.RevenueCurrency = "e." + ident.Local(e.Revenue.Currency)
	}
	return view
}

// facts is the line of an event's comment that says what the plan says.
func facts(e plan.Event) string {
	list := []string{
		"Category " + e.Category, "owner " + e.Owner, "status " + string(e.Status),
		"delivery " + strings.ReplaceAll(string(e.Delivery), "_", " "),
	}
	if e.GroupLevel != "" {
		list = append(list, "group level "+e.GroupLevel)
	}
	text := strings.Join(list, ", ") + "."
	if len(e.ActionKey) > 0 {
		text += " Counted once for each " + join(e.ActionKey, "and") + "."
	}
	return text
}

func deprecation(p *plan.Plan, e plan.Event) string {
	switch {
	case e.ReplacedBy != "":
		return "use " + ident.Exported(e.ReplacedBy) + "."
	case !p.Latest(e):
		return "use " + ident.Exported(e.Name) + "."
	}
	return "it will be removed."
}

func propertyOf(e plan.Event, p plan.Property) propertyView {
	field := "e." + ident.Local(p.Name)
	view := propertyView{
		Name: p.Name, Field: ident.Local(p.Name), Method: ident.Exported(p.Name), GoType: goType(p),
		About: sentence(p.Description), Required: p.Required, Send: p.Send, Assign: "&" + ident.Local(p.Name),
	}
	if !p.Required {
		field = "*" + field
	}
	if p.Type == plan.List && !p.Required {
		view.Assign = "ptr(slices.Clone(" + ident.Local(p.Name) + "))"
	}
	view.Value = goValue(p, field)
	view.Check = goCheck(p, field, slices.Contains(e.ActionKey, p.Name))
	return view
}

// goType is the Go type of a property or trait.
func goType(p plan.Property) string {
	switch {
	case p.PII == plan.HashedID:
		return "waybill.Token"
	case p.Enum != nil:
		return ident.Exported(p.Enum.Name)
	}
	switch p.Type {
	case plan.Integer:
		return "int"
	case plan.Number:
		return "float64"
	case plan.Boolean:
		return "bool"
	case plan.ID:
		return idType(p)
	case plan.Timestamp:
		return "time.Time"
	case plan.List:
		return "[]string"
	default:
		return "string"
	}
}

// goValue is the expression for x as a JSON value.
func goValue(p plan.Property, x string) string {
	plain := strings.TrimPrefix(x, "*") // selectors follow pointers
	switch {
	case p.PII == plan.HashedID:
		return x
	case p.Enum != nil:
		return plain + ".value"
	case p.Type == plan.ID:
		return "string(" + x + ")"
	case p.Type == plan.Timestamp:
		return "stamp(" + x + ")"
	case p.Type == plan.List:
		return "texts(" + x + ")"
	}
	return x
}

// goCheck is the statement that checks x as the JSON Schema does.
func goCheck(p plan.Property, x string, inKey bool) string {
	name := strconv.Quote(p.Name)
	value := goValue(p, x)
	least := 0
	if inKey || p.Type == plan.ID {
		least = 1
	}
	switch {
	case p.PII == plan.HashedID:
		return fmt.Sprintf("c.token(%s, %s)", name, x)
	case p.Enum != nil:
		return fmt.Sprintf("c.enum(%s, %s)", name, value)
	}
	switch p.Type {
	case plan.Integer:
		lo, hi := bounds(p)
		return fmt.Sprintf("c.number(%s, float64(%s), %s, %s)", name, x, number(lo), number(hi))
	case plan.Number:
		lo, hi := bounds(p)
		return fmt.Sprintf("c.number(%s, %s, %s, %s)", name, x, number(lo), number(hi))
	case plan.Timestamp:
		return fmt.Sprintf("c.time(%s, %s)", name, x)
	case plan.List:
		return fmt.Sprintf("c.list(%s, %s, %d, %d)", name, x, p.MaxItems, p.MaxLength)
	case plan.String, plan.ID:
		return fmt.Sprintf("c.text(%s, %s, %d, %d)", name, value, least, p.MaxLength)
	default:
		return ""
	}
}

// bounds of an integer are those every JSON reader holds exactly.
func bounds(p plan.Property) (lo, hi float64) {
	lo, hi = -math.MaxFloat64, math.MaxFloat64
	if p.Type == plan.Integer {
		lo, hi = -plan.MaxSafeInteger, plan.MaxSafeInteger
	}
	if p.Min != nil {
		lo = max(lo, *p.Min)
	}
	if p.Max != nil {
		hi = min(hi, *p.Max)
	}
	return lo, hi
}

func number(f float64) string {
	switch f {
	case math.MaxFloat64:
		return "math.MaxFloat64"
	case -math.MaxFloat64:
		return "-math.MaxFloat64"
	case plan.MaxSafeInteger:
		return "maxSafeInteger"
	case -plan.MaxSafeInteger:
		return "-maxSafeInteger"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// actionKey is the expressions for the parts of the key.
func actionKey(e plan.Event) []string {
	var parts []string
	for _, part := range e.ActionKey {
		p, ok := e.Property(part)
		field := "e." + ident.Local(part)
		switch {
		case !ok:
			parts = append(parts, "string(e.scope."+ident.Local(part+"_id")+")")
		case p.PII == plan.HashedID:
			parts = append(parts, field+".String()")
		case p.Type == plan.Integer && p.Enum == nil:
			parts = append(parts, "strconv.Itoa("+field+")")
		default:
			parts = append(parts, goValue(p, field))
		}
	}
	return parts
}

// GoFunc is the name of the function that makes the event.
func GoFunc(p *plan.Plan, e plan.Event) string {
	name := ident.Exported(e.Name)
	if !p.Latest(e) {
		name += fmt.Sprintf("V%d", e.Version.Major)
	}
	return name
}
