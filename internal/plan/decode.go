package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader collects what is wrong with one file.
type reader struct {
	file     string
	problems Problems
}

func (r *reader) pos(n *yaml.Node) Pos { return Pos{File: r.file, Line: n.Line} }

func (r *reader) report(n *yaml.Node, message, fix string) {
	r.problems = append(r.problems, Problem{Pos: r.pos(n), Message: message, Fix: fix})
}

// member is one name and value of a mapping.
type member struct {
	key   *yaml.Node
	value *yaml.Node
}

// object is a mapping that is taken apart field by field; done reports the fields
// nobody took.
type object struct {
	*reader
	node    *yaml.Node
	what    string // "an event", for messages
	members []member
	known   []string
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// object starts on a mapping. Anything else is a problem and reads as empty.
func (r *reader) object(n *yaml.Node, what string) *object {
	n = resolve(n)
	o := &object{reader: r, node: n, what: what}
	if n.Kind != yaml.MappingNode {
		r.report(n, what+" is not a mapping", "write it as name: value lines")
		return o
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		if at := o.find(key.Value); at != nil {
			r.report(key, fmt.Sprintf("%q stands here twice, first in line %d", key.Value, at.key.Line), "keep one")
			continue
		}
		o.members = append(o.members, member{key, value})
	}
	return o
}

func (o *object) find(name string) *member {
	for i := range o.members {
		if o.members[i].key.Value == name {
			return &o.members[i]
		}
	}
	return nil
}

// take finds a field that is given and not null.
func (o *object) take(name string) *yaml.Node {
	o.known = append(o.known, name)
	m := o.find(name)
	if m == nil || m.value.Tag == "!!null" {
		return nil
	}
	return m.value
}

// pos is where a field stands, or else its object.
func (o *object) pos(name string) Pos {
	if m := o.find(name); m != nil {
		return o.reader.pos(m.key)
	}
	return o.reader.pos(o.node)
}

// scalar is the text of a value whose YAML type is one of tags.
func (r *reader) scalar(n *yaml.Node, what, kind string, tags ...string) (string, bool) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.Tag) {
		r.report(n, what+" is not "+kind, "write "+kind)
		return "", false
	}
	return n.Value, true
}

func (o *object) text(name string) string {
	n := o.take(name)
	if n == nil {
		return ""
	}
	s, _ := o.scalar(n, name, "text", "!!str", "!!timestamp")
	return strings.TrimSpace(s)
}

// required is text that must be there.
func (o *object) required(name string) string {
	s := o.text(name)
	if s == "" && !o.broken(name) {
		o.report(o.node, fmt.Sprintf("%s has no %s", o.what, name), "add "+name+":")
	}
	return s
}

// broken reports a field whose absence is no news: it is there and was no text, or
// the whole object is no mapping.
func (o *object) broken(name string) bool {
	if o.node.Kind != yaml.MappingNode {
		return true
	}
	m := o.find(name)
	return m != nil && m.value.Tag != "!!null" && (m.value.Kind != yaml.ScalarNode || m.value.Value != "")
}

// choice is text out of a closed set. Absent is the zero value.
func choice[T ~string](o *object, name string, among ...T) T {
	s := T(o.text(name))
	if s == "" || slices.Contains(among, s) {
		return s
	}
	o.report(o.find(name).value, fmt.Sprintf("%s %q is unknown", name, s), "use "+oneOf(among))
	return ""
}

func (o *object) flag(name string, otherwise bool) bool {
	n := o.take(name)
	if n == nil {
		return otherwise
	}
	s, ok := o.scalar(n, name, "true or false", "!!bool")
	if !ok {
		return otherwise
	}
	return strings.EqualFold(s, "true")
}

func (o *object) number(name string) *float64 {
	n := o.take(name)
	if n == nil {
		return nil
	}
	s, ok := o.scalar(n, name, "a number", "!!int", "!!float")
	if !ok {
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || f-f != 0 {
		o.report(n, name+" is not a number", "write a number")
		return nil
	}
	return &f
}

// count is a whole number from 1. Absent is 0.
func (o *object) count(name string) int {
	f := o.number(name)
	if f == nil {
		return 0
	}
	if *f < 1 || *f > 1<<31 || *f != float64(int(*f)) {
		o.report(o.find(name).value, name+" is not a whole number from 1", "write one, such as 64")
		return 0
	}
	return int(*f)
}

// texts is a list of texts; a single text is a list of one.
func (o *object) texts(name string) []Named {
	n := o.take(name)
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		n = &yaml.Node{Kind: yaml.SequenceNode, Line: n.Line, Content: []*yaml.Node{n}}
	}
	if n.Kind != yaml.SequenceNode {
		o.report(n, name+" is not a list", "write "+name+": [a, b]")
		return nil
	}
	var list []Named
	for _, item := range n.Content {
		if s, ok := o.scalar(item, "an entry of "+name, "text", "!!str"); ok {
			list = append(list, Named{o.reader.pos(item), s})
		}
	}
	return list
}

func (o *object) strings(name string) []string {
	var list []string
	for _, n := range o.texts(name) {
		list = append(list, n.Name)
	}
	return list
}

// each is the members of a mapping inside this one, in order.
func (o *object) each(name string) []member {
	n := o.take(name)
	if n == nil {
		return nil
	}
	return o.object(n, name).members
}

// items is the entries of a list.
func (o *object) items(name string) []*yaml.Node {
	n := o.take(name)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.report(n, name+" is not a list", "begin each entry with a dash")
		return nil
	}
	return n.Content
}

// done reports the fields that were not asked for.
func (o *object) done() {
	for _, m := range o.members {
		if slices.Contains(o.known, m.key.Value) {
			continue
		}
		fix := "remove it; known are " + strings.Join(o.known, ", ")
		if near := nearest(m.key.Value, o.known); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		o.report(m.key, fmt.Sprintf("%s has no field %q", o.what, m.key.Value), fix)
	}
}

func oneOf[T ~string](among []T) string {
	words := make([]string, len(among))
	for i, s := range among {
		words[i] = string(s)
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// nearest is the candidate at most two edits away, or nothing.
func nearest(word string, among []string) string {
	best, at := "", 3
	for _, candidate := range among {
		if d := Distance(word, candidate); d < at {
			best, at = candidate, d
		}
	}
	return best
}

// Distance is the number of single-letter edits between two words.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(corner+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
