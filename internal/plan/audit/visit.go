package audit

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/plan"
)

// providers are client libraries that send past the queue.
var providers = []string{
	"github.com/amplitude/", "github.com/segmentio/analytics-go", "gopkg.in/segmentio/analytics-go",
	"github.com/posthog/posthog-go", "github.com/mixpanel/", "github.com/dukex/mixpanel", "github.com/rudderlabs/analytics-go",
}

// around are names of package waybill that the generated code stands in for.
var around = map[string]string{
	"Event":     "make it with the generated package",
	"Set":       "use the generated traits",
	"SetOnce":   "use the generated traits",
	"Unset":     "use the generated traits",
	"Increment": "use the generated traits",
	"InGroup":   "use the generated groups",
	"Account":   "use the generated groups",
	"Workspace": "use the generated groups",
	"Project":   "use the generated groups",
}

// doors are what reaches Amplitude or the queue without the client.
var doors = []string{"waybill.enqueue", "waybill.try_enqueue", "api2.amplitude.com", "api.eu.amplitude.com"}

// visitor goes through one file.
type visitor struct {
	*reader
	file     string
	own      bool // it stands in the generated package, as recipes do
	allowed  map[int]bool
	events   string // local name of the generated package
	waybill  string
	function string // the declaration it is in
}

func (v *visitor) pos(n ast.Node) plan.Pos {
	return plan.Pos{File: v.file, Line: v.fset.Position(n.Pos()).Line}
}

func (v *visitor) report(n ast.Node, fix, format string, args ...any) {
	pos := v.pos(n)
	if !v.allowed[pos.Line] && !v.allowed[pos.Line-1] {
		v.source.Findings = append(v.source.Findings, Finding{pos, fmt.Sprintf(format, args...), fix})
	}
}

func (v *visitor) imports(tree *ast.File) {
	for _, spec := range tree.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		local := path.Base(target)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if slices.ContainsFunc(providers, func(p string) bool { return strings.HasPrefix(target, p) }) {
			v.report(spec, "track with the generated package", "imports %s, which sends past the transaction", target)
		}
		if target != v.eventsPath && target != waybillPath {
			continue
		}
		if local == "." {
			v.report(spec, "import it by name", "imports %s with a dot, which hides its calls", target)
		}
		if target == waybillPath {
			v.waybill = local
		} else {
			v.events = local
		}
	}
}

func (v *visitor) declaration(d ast.Decl) {
	v.function = ""
	if f, ok := d.(*ast.FuncDecl); ok {
		v.function = functionName(f)
		if f.Recv != nil && f.Name.Name == "AsEvent" {
			v.report(f, "make the event with the generated package", "%s makes a trackable type by hand", v.function)
		}
	}
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			v.selector(n)
		case *ast.Ident:
			if v.own {
				v.use(n, n.Name)
			}
		case *ast.CompositeLit:
			v.literal(n, n.Type)
		case *ast.StructType:
			v.embedded(n)
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "new" && len(n.Args) == 1 {
				v.literal(n, n.Args[0])
			}
		case *ast.AssignStmt:
			v.assignment(n)
		case *ast.BasicLit:
			v.text(n)
		}
		return true
	})
}

// embedded finds a type of one's own around a generated event, whose methods could stand
// in for the plan's.
func (v *visitor) embedded(s *ast.StructType) {
	for _, field := range s.Fields.List {
		inner := field.Type
		if star, ok := inner.(*ast.StarExpr); ok {
			inner = star.X
		}
		selected, ok := inner.(*ast.SelectorExpr)
		if !ok || len(field.Names) > 0 || !strings.HasSuffix(selected.Sel.Name, "Event") {
			continue
		}
		if of, ok := selected.X.(*ast.Ident); ok && of.Name == v.events {
			v.report(field, "track the event itself", "embeds %s, which goes round its rules", types.ExprString(selected))
		}
	}
}

// functionName reads Place, Shop.Place or (*Shop).Place.
func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	receiver := types.ExprString(f.Recv.List[0].Type)
	if strings.HasPrefix(receiver, "*") {
		receiver = "(" + receiver + ")"
	}
	return receiver + "." + f.Name.Name
}

// from reports the name that an expression takes from a package.
func from(e ast.Expr, local string) (string, bool) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || local == "" {
		return "", false
	}
	x, ok := s.X.(*ast.Ident)
	if !ok || x.Name != local {
		return "", false
	}
	return s.Sel.Name, true
}

func (v *visitor) selector(s *ast.SelectorExpr) {
	if name, ok := from(s, v.events); ok {
		v.use(s, name)
	}
	if name, ok := from(s, v.waybill); ok {
		if fix, guarded := around[name]; guarded {
			v.report(s, fix, "waybill.%s goes round the plan", name)
		}
	}
}

func (v *visitor) use(n ast.Node, name string) {
	v.source.Uses[name] = append(v.source.Uses[name], Site{Pos: v.pos(n), Func: v.function})
}

// literal reports values of generated types that no constructor made.
func (v *visitor) literal(n ast.Node, of ast.Expr) {
	name, ok := from(of, v.events)
	if x, isIdent := of.(*ast.Ident); isIdent && v.own {
		name, ok = x.Name, true
	}
	if ok && (strings.HasSuffix(name, "Event") || strings.HasSuffix(name, "Scope")) {
		v.report(n, "call the constructor", "%s{} is empty and will be refused", name)
	}
}

// assignment reports enum values that are given another meaning.
func (v *visitor) assignment(a *ast.AssignStmt) {
	if a.Tok == token.DEFINE {
		return
	}
	for _, left := range a.Lhs {
		if name, ok := from(left, v.events); ok {
			v.report(a, "leave it alone", "changes events.%s for the whole program", name)
		}
	}
}

const useGenerated = "use the generated package, or allow the line: // " + allowMark + "REASON"

func (v *visitor) text(l *ast.BasicLit) {
	if l.Kind != token.STRING {
		return
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil {
		return
	}
	if e, ok := v.names[s]; ok {
		v.report(l, useGenerated, "%q is the name of the event %s", s, e.Name)
	}
	for _, door := range doors {
		if strings.Contains(s, door) {
			v.report(l, useGenerated, "%s goes round the plan", door)
		}
	}
}
