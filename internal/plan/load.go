package plan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds what is read of one file.
const maxFileBytes = 4 << 20

// Load reads the plan in the folder dir of an application's root: plan.yaml,
// events/*.yaml and traits/*.yaml. Problems is empty if it could be read; it does
// not say whether the plan is a good one. The plan holds what could be read in
// any case.
func Load(root fs.FS, dir string) (*Plan, Problems) {
	l := loader{root: root, dir: dir, plan: &Plan{}}
	l.file(path.Join(dir, "plan.yaml"), readPlan)
	for _, file := range l.list("events") {
		l.file(file, readEvents)
	}
	for _, file := range l.list("traits") {
		l.file(file, readTraits)
	}
	l.problems.Sort()
	return l.plan, l.problems
}

type loader struct {
	root     fs.FS
	dir      string
	plan     *Plan
	problems Problems
}

// list is the YAML files of a folder, in order. A file with another ending is a
// problem, so that none is overlooked.
func (l *loader) list(folder string) []string {
	folder = path.Join(l.dir, folder)
	entries, err := fs.ReadDir(l.root, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		l.cannotRead(folder, err)
		return nil
	}
	var files []string
	for _, entry := range entries {
		file := path.Join(folder, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.IsDir() || path.Ext(file) != ".yaml":
			l.problems = append(l.problems, Problem{
				Pos: Pos{File: file}, Message: "is not read", Fix: "name it *.yaml, in no folder of its own, or move it elsewhere",
			})
		default:
			files = append(files, file)
		}
	}
	return files
}

func (l *loader) cannotRead(file string, err error) {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	l.problems = append(l.problems, Problem{
		Pos: Pos{File: file}, Message: "cannot be read: " + err.Error(),
		Fix: "run in the application's root, or say where the plan is with --plan",
	})
}

func (l *loader) file(file string, read func(*Plan, *reader, *yaml.Node)) {
	f, err := l.root.Open(file)
	if err != nil {
		l.cannotRead(file, err)
		return
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		l.cannotRead(file, err)
		return
	}
	r := &reader{file: file}
	if len(text) > maxFileBytes {
		r.problems = append(r.problems, Problem{Pos: Pos{File: file}, Message: "is larger than 4 MB", Fix: "split it"})
	} else if node := parse(r, text); node != nil {
		read(l.plan, r, node)
	}
	l.problems = append(l.problems, r.problems...)
}

// parse reads the one document of a file.
func parse(r *reader, text []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		r.problems = append(r.problems, Problem{Pos: Pos{File: r.file}, Message: "is empty", Fix: "fill or delete it"})
		return nil
	} else if err != nil {
		r.problems = append(r.problems, malformed(r.file, err))
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		r.report(&second, "is a second document", "keep one a file")
	} else if !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, malformed(r.file, err))
		return nil
	}
	return document.Content[0]
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func malformed(file string, err error) Problem {
	text := err.Error()
	pos := Pos{File: file}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return Problem{Pos: pos, Message: "is no YAML: " + text, Fix: "mind indentation, colons and quotes"}
}

// defaultNaming is snake_case of at least two words.
const defaultNaming = `^[a-z][a-z0-9]*(_[a-z0-9]+)+$`

func readPlan(p *Plan, r *reader, n *yaml.Node) {
	o := r.object(n, "the plan")
	p.Pos = Pos{File: r.file, Line: n.Line}
	p.Name = o.required("name")
	p.Version = o.required("version")
	p.GoPackage = path.Clean(cmp.Or(o.text("go_package"), "events"))
	if strings.HasPrefix(p.GoPackage, "..") || path.IsAbs(p.GoPackage) || p.GoPackage == "." {
		r.report(n, "go_package leads out of the application", "name a folder inside it, such as events")
		p.GoPackage = "events"
	}
	p.Naming = readNaming(o)
	p.Owners = o.texts("owners")
	p.Environments = o.strings("environments")
	p.PIIPolicy = cmp.Or(choice(o, "pii_policy", PIINone, PIITraitsOnly), PIINone)
	p.Deny = o.strings("deny")
	for _, m := range o.each("categories") {
		c := r.object(m.value, "a category")
		p.Categories = append(p.Categories, Category{
			Pos: r.pos(m.key), Name: m.key.Value,
			Description: c.required("description"), ServerOnly: c.flag("server_only", false),
		})
		c.done()
	}
	for _, m := range o.each("groups") {
		g := r.object(m.value, "a group")
		p.Groups = append(p.Groups, Group{
			Pos: r.pos(m.key), Type: m.key.Value, Parent: g.text("parent"), Description: g.required("description"),
		})
		g.done()
	}
	for _, m := range o.each("enums") {
		p.Enums = append(p.Enums, readEnum(r, m))
	}
	o.done()
}

func readNaming(o *object) *regexp.Regexp {
	naming, err := regexp.Compile(cmp.Or(o.text("naming"), defaultNaming))
	if err != nil {
		o.report(o.find("naming").value, fmt.Sprintf("naming is no regular expression: %v", err), "write one, such as "+defaultNaming)
		return regexp.MustCompile(defaultNaming)
	}
	return naming
}

// readEnum reads a list, or one value.
func readEnum(r *reader, m member) Enum {
	list := object{reader: r, node: m.value, members: []member{{&yaml.Node{Value: "values", Line: m.key.Line}, m.value}}}
	return Enum{Pos: r.pos(m.key), Name: m.key.Value, Values: list.strings("values")}
}
