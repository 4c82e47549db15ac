package main

import (
	"bufio"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"waybill/internal/plan"
)

// ask asks for what no flag said, if someone is there to answer.
func (p *program) ask(s *stanza, into *plan.Plan, cmd *cobra.Command) error {
	in := cmd.InOrStdin()
	if f, ok := in.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	categories, owners := names(into)
	questions := []struct {
		flag, question string
		among          []string
		answer         *string
	}{
		{"description", "Who did what, in a sentence?", nil, &s.Description},
		{"domain", "In which file?", into.Domains(), &s.domain},
		{"category", "Category?", categories, &s.Category},
		{"owner", "Owner?", owners, &s.Owner},
		{"group-level", "Group level, or nothing?", into.Subjects()[1:], &s.GroupLevel},
		{"key", "Which property tells two actions apart?", nil, &s.Key},
	}
	answers := bufio.NewReader(io.LimitReader(in, 64<<10))
	for _, q := range questions {
		if cmd.Flags().Changed(q.flag) {
			continue
		}
		p.complain("%s", q.question)
		if len(q.among) > 0 {
			p.complain(" (%s)", strings.Join(q.among, ", "))
		}
		p.complain(" ")
		line, err := answers.ReadString('\n')
		if err != nil && line == "" {
			return nil // the rest was not answered, and is refused by name
		}
		*q.answer = strings.TrimSpace(line)
	}
	return nil
}
