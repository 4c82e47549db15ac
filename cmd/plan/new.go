package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"waybill/internal/plan"
)

//go:embed stanza.yaml.tmpl
var stanzaSource string

var stanzaTemplate = template.Must(template.New("stanza").Parse(stanzaSource))

// stanza is what a new event is told; the rest is filled in by hand.
type stanza struct {
	Name, Description, Category, Owner, GroupLevel, Key string
	domain                                              string
}

func (p *program) newCommand() *cobra.Command {
	var s stanza
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Add an event to the plan",
		Long: `Add an event to the plan, with status planned. What no flag says is
asked on a terminal.`,
		Example: "  plan new report_created --domain reports --key report_id",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError("new takes one name, such as report_created")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s.Name = args[0]
			return p.add(s, cmd)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.domain, "domain", "", "`file` in the plan's events folder, without .yaml")
	f.StringVar(&s.Description, "description", "", "who did what, in a sentence")
	f.StringVar(&s.Category, "category", "", "one of the plan's categories")
	f.StringVar(&s.Owner, "owner", "", "one of the plan's owners")
	f.StringVar(&s.GroupLevel, "group-level", "", "group type it happens in, if any")
	f.StringVar(&s.Key, "key", "", "required id property that names one action")
	return cmd
}

func (p *program) add(s stanza, cmd *cobra.Command) error {
	l, err := p.load()
	if err != nil {
		return err
	}
	if err := p.ask(&s, l.plan, cmd); err != nil {
		return err
	}
	if err := refuse(s, l.plan); err != nil {
		return err
	}
	file := path.Join(p.dir, "events", s.domain+".yaml")
	if err := p.write(file, s); err != nil {
		return err
	}
	p.say("added %s to %s; describe its properties there, then run\n  plan lint\n  plan gen\n", s.Name, file)
	return nil
}

// refuse finds what the plan would not take.
func refuse(s stanza, into *plan.Plan) error {
	categories, owners := names(into)
	groups := into.Subjects()[1:]
	switch {
	case !into.Naming.MatchString(s.Name):
		return usageError(fmt.Sprintf("%q does not match the plan's naming %s", s.Name, into.Naming))
	case slices.ContainsFunc(into.Events, func(e plan.Event) bool { return e.Name == s.Name }):
		return usageError(s.Name + " is in the plan already")
	case s.domain == "" || s.domain != path.Base(s.domain) || strings.HasPrefix(s.domain, "."):
		return usageError("--domain names a file, such as reports")
	case !slices.Contains(categories, s.Category):
		return usageError("--category is one of " + strings.Join(categories, ", "))
	case !slices.Contains(owners, s.Owner):
		return usageError("--owner is one of " + strings.Join(owners, ", "))
	case s.GroupLevel != "" && !slices.Contains(groups, s.GroupLevel):
		return usageError("--group-level is one of " + strings.Join(groups, ", ") + ", or nothing")
	case s.Description == "":
		return usageError("--description says who did what, in a sentence")
	case s.Key == "":
		return usageError("--key names the property that tells two actions apart, such as report_id")
	}
	return nil
}

func names(p *plan.Plan) (categories, owners []string) {
	for _, c := range p.Categories {
		categories = append(categories, c.Name)
	}
	for _, o := range p.Owners {
		owners = append(owners, o.Name)
	}
	return categories, owners
}

// write appends the stanza, so that nothing of the file is reformatted.
func (p *program) write(file string, s stanza) error {
	var b bytes.Buffer
	name := filepath.Join(p.root, filepath.FromSlash(file))
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.WriteString("events:\n")
	case err != nil:
		return err
	default:
		b.Write(bytes.TrimRight(text, "\n"))
		b.WriteString("\n\n")
	}
	if err := stanzaTemplate.Execute(&b, s); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
