package gen

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"go/format"
	"path"
	"slices"
	"strings"
	"text/template"

	"waybill/internal/plan"
	"waybill/internal/plan/ident"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"comment": func(text string) string { return wrap("//", "//", text) },
	"item":    func(text string) string { return wrap("//   -", "//    ", text) },
	"inc":     func(i int) int { return i + 1 },
	"a":       article,
}).ParseFS(templateFiles, "templates/*.tmpl"))

// goFiles is the package of typed events: one file a domain, and what they share.
func goFiles(in Input) ([]File, error) {
	g := goPackage{plan: in.Plan, dir: in.Dir, name: path.Base(in.Plan.GoPackage)}
	views := []struct {
		file, template string
		view           any
	}{
		{"check.gen.go", "check.go.tmpl", g.view(in.Dir)},
		{"enum.gen.go", "enum.go.tmpl", g.enums()},
		{"group.gen.go", "group.go.tmpl", g.groups()},
		{"trait.gen.go", "trait.go.tmpl", g.traits()},
	}
	var files []File
	for _, v := range views {
		file, err := g.render(v.file, v.template, v.view)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	for _, domain := range in.Plan.Domains() {
		view := g.events(domain)
		if len(view.Events) == 0 {
			continue
		}
		file, err := g.render("event_"+domain+".gen.go", "event.go.tmpl", view)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// goPackage is the generated package in the making.
type goPackage struct {
	plan *plan.Plan
	dir  string
	name string
}

func (g goPackage) render(file, name string, view any) (File, error) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, view); err != nil {
		return File{}, fmt.Errorf("%s: %w", file, err)
	}
	text, err := format.Source(b.Bytes())
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", file, err)
	}
	return File{path.Join(g.plan.GoPackage, file), text}, nil
}

// header is what every view begins with.
type header struct {
	Generated string
	Package   string
	Plan      string
	Imports   []string
}

func (g goPackage) view(from string, imports ...string) header {
	return header{Generated: generatedFrom(cmp.Or(from, g.dir)), Package: g.name, Plan: g.plan.Name, Imports: imports}
}

// wrap makes a Go comment of at most 80 columns.
func wrap(first, rest, text string) string {
	var b strings.Builder
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 80 && !empty {
			b.WriteString(line + "\n")
			line = rest
		}
		line, empty = line+" "+word, false
	}
	b.WriteString(line)
	return b.String()
}

// article reads "an account".
func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

type enumView struct {
	Type    string
	Plan    string
	About   string
	Values  []enumValue
	Example string
}

type enumValue struct{ Name, Value string }

// enums are every enum in use, by name.
func (g goPackage) enums() any {
	byName := map[string]*plan.Enum{}
	g.everyProperty(func(p plan.Property) {
		if p.Enum != nil {
			byName[p.Enum.Name] = p.Enum
		}
	})
	var list []enumView
	for _, e := range byName {
		view := enumView{Type: ident.Exported(e.Name), Plan: e.Name, About: join(e.Values, "or")}
		for _, v := range e.Values {
			view.Values = append(view.Values, enumValue{view.Type + ident.Exported(v), v})
		}
		list = append(list, view)
	}
	slices.SortFunc(list, func(a, b enumView) int { return cmp.Compare(a.Type, b.Type) })
	return struct {
		header
		Enums []enumView
	}{g.view(""), list}
}

// everyProperty visits what the generated package has a Go type for.
func (g goPackage) everyProperty(f func(plan.Property)) {
	for _, e := range current(g.plan) {
		if e.From(plan.Server) {
			for _, p := range e.Properties {
				f(p)
			}
		}
	}
	for _, t := range g.plan.Traits {
		f(t.Property)
	}
}

type groupView struct {
	Type, Description     string
	Scope, ID, Trait      string
	Constructor, Receiver string // InAccount, or AccountScope and Workspace
	Levels                []levelView
	ParentField           string
}

// levelView is a level a scope knows the id of.
type levelView struct{ Type, Field, ID, Scope, Method string }

// groups are the levels of the hierarchy and every other type of id.
func (g goPackage) groups() any {
	var groups []groupView
	ids := map[string]string{}
	for _, group := range g.plan.Groups {
		name := ident.Exported(group.Type)
		view := groupView{
			Type: group.Type, Description: sentence(group.Description),
			Scope: name + "Scope", ID: name + "ID", Trait: name + "Trait", Constructor: "In" + name,
		}
		if group.Parent != "" {
			view.Constructor, view.Receiver = name, ident.Exported(group.Parent)+"Scope"
			view.ParentField = ident.Local(group.Parent + "_id")
		}
		for _, level := range g.plan.Chain(group.Type) {
			n := ident.Exported(level.Type)
			view.Levels = append(view.Levels, levelView{level.Type, ident.Local(level.Type + "_id"), n + "ID", n + "Scope", n})
		}
		groups = append(groups, view)
		ids[view.ID] = group.Type
	}
	g.everyProperty(func(p plan.Property) {
		if p.Type == plan.ID && p.PII != plan.HashedID {
			ids[idType(p)] = p.Of
		}
	})
	var idViews []enumValue
	for name, of := range ids {
		idViews = append(idViews, enumValue{name, strings.ReplaceAll(of, "_", " ")})
	}
	slices.SortFunc(idViews, func(a, b enumValue) int { return cmp.Compare(a.Name, b.Name) })
	return struct {
		header
		IDs    []enumValue
		Groups []groupView
	}{g.view(""), idViews, groups}
}

func idType(p plan.Property) string { return ident.Exported(p.Of + "_id") }

type traitView struct {
	Func, Unset, Name, GoType, Param, Value, About string
	Wrapper                                        string // AccountTrait; empty for the user
	Update                                         string
}

func (g goPackage) traits() any {
	var list []traitView
	imports := map[string]bool{}
	for _, subject := range g.plan.Subjects() {
		for _, t := range g.plan.TraitsOf(subject) {
			name := ident.Exported(subject + "_" + t.Name)
			view := traitView{
				Name: t.Name, GoType: goType(t.Property), Param: ident.Local(t.Name), Update: string(t.Update),
				About: sentence(t.Description), Func: "Set" + name,
			}
			view.Value = goValue(t.Property, view.Param)
			switch {
			case t.Update == plan.Increment:
				view.Func = "Add" + name
			case subject != plan.UserSubject:
				view.Wrapper = ident.Exported(subject) + "Trait"
			case t.Update == plan.Set:
				view.Unset = "Unset" + name
			}
			if t.Type == plan.Timestamp {
				imports["time"] = true
			}
			list = append(list, view)
		}
	}
	return struct {
		header
		Time   bool
		Traits []traitView
	}{g.view(""), imports["time"], list}
}
