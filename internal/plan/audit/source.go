package audit

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"waybill/internal/plan"
)

// waybillPath is the import path of the package that events are tracked with.
const waybillPath = "waybill"

// ErrNoModule says that there is no Go around the plan.
var ErrNoModule = errors.New("no go.mod here or above; run in the application's root")

// Source is what was found in the source.
type Source struct {
	Uses     map[string][]Site // by exported name of the generated package
	Findings []Finding
}

// Read reads the Go and SQL files below root that the patterns name: "./..." is all of
// them, "./orders" one folder, "./orders/..." it and those in it. Tests, generated
// files, vendor, testdata and other modules are left out. Without a module the error
// is [ErrNoModule].
func Read(root string, p *plan.Plan, patterns ...string) (Source, error) {
	module, err := modulePath(root)
	if err != nil {
		return Source{}, err
	}
	r := &reader{
		plan: p, eventsPath: path.Join(module, p.GoPackage), fset: token.NewFileSet(),
		source: Source{Uses: map[string][]Site{}}, names: namesOf(p),
	}
	system := os.DirFS(root)
	files, err := goFiles(system, patterns)
	if err != nil {
		return Source{}, err
	}
	for _, file := range files {
		if isSQL(file) {
			if err := r.sqlFile(system, file); err != nil {
				return Source{}, err
			}
			continue
		}
		text, err := fs.ReadFile(system, file)
		if err != nil {
			return Source{}, err
		}
		if err := r.file(file, text); err != nil {
			return Source{}, err
		}
	}
	return r.source, nil
}

// namesOf is every spelling of every event.
func namesOf(p *plan.Plan) map[string]plan.Event {
	names := map[string]plan.Event{}
	for _, e := range p.Events {
		for _, name := range append([]string{e.Name, e.WireName()}, e.Aliases...) {
			names[name] = e
		}
	}
	return names
}

// modulePath is the import path of root, from the go.mod there or above.
func modulePath(root string) (string, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	for dir, below := abs, ""; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // of the module one stands in
		if err == nil {
			for line := range strings.Lines(string(text)) {
				if f := strings.Fields(line); len(f) > 1 && f[0] == "module" {
					return path.Join(strings.Trim(f[1], `"`), below), nil
				}
			}
			return "", fmt.Errorf("%s names no module", filepath.Join(dir, "go.mod"))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", ErrNoModule
		}
		below = path.Join(filepath.Base(dir), below)
	}
}

func goFiles(root fs.FS, patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		folder, deep := strings.CutSuffix(pattern, "...")
		folder = path.Clean(strings.TrimSuffix(folder, "/"))
		if path.IsAbs(folder) || folder == ".." || strings.HasPrefix(folder, "../") {
			return nil, fmt.Errorf("%s is outside the application; use a folder below it, such as ./orders", pattern)
		}
		err := fs.WalkDir(root, folder, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if file != folder && (!deep || skipped(root, file, entry.Name())) {
					return fs.SkipDir
				}
				return nil
			}
			if strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go") || isSQL(file) {
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pattern, err)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func skipped(root fs.FS, folder, name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"vendor", "testdata", "node_modules"}, name) {
		return true
	}
	_, err := fs.Stat(root, path.Join(folder, "go.mod"))
	return err == nil
}

// reader goes through the files.
type reader struct {
	plan       *plan.Plan
	eventsPath string
	fset       *token.FileSet
	source     Source
	names      map[string]plan.Event
}

func (r *reader) file(name string, text []byte) error {
	tree, err := parser.ParseFile(r.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	if ast.IsGenerated(tree) {
		return nil
	}
	v := &visitor{reader: r, file: name, own: path.Dir(name) == r.plan.GoPackage, allowed: r.allowedLines(tree)}
	v.imports(tree)
	for _, declaration := range tree.Decls {
		v.declaration(declaration)
	}
	return nil
}

// allowMark in a comment, with a reason after it, lets the line be.
const allowMark = "plan:allow "

func (r *reader) allowedLines(tree *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, group := range tree.Comments {
		for _, comment := range group.List {
			if _, reason, ok := strings.Cut(comment.Text, allowMark); ok && strings.TrimSpace(reason) != "" {
				lines[r.fset.Position(comment.Pos()).Line] = true
			}
		}
	}
	return lines
}
