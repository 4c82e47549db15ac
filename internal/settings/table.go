package settings

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/kelseyhightower/envconfig"
)

// The table's columns, in characters; the meaning takes what is left of 80.
const (
	nameWidth    = 26
	defaultWidth = 16
	meaningWidth = 80 - nameWidth - defaultWidth
)

var table = template.Must(template.New("table").Funcs(template.FuncMap{"row": row, "or": cmp.Or[string]}).Parse(
	`{{row "variable" "default" "meaning"}}` +
		`{{range .}}{{row .Key (or (.Tags.Get "default") (.Tags.Get "unset") "-") (.Tags.Get "desc")}}{{end}}`))

// Table writes every variable that is read, with its default and meaning, in at most 80 columns: the part of -h that
// all programs share. It is made of the tags that [Load] reads.
func Table(w io.Writer) error {
	return envconfig.Usaget("", new(Settings), w, table)
}

// row is one variable, its meaning broken into as many lines as it takes.
func row(name, byDefault, meaning string) string {
	var b strings.Builder
	line := ""
	for word := range strings.FieldsSeq(meaning) {
		if line != "" && len(line)+1+len(word) > meaningWidth {
			fmt.Fprintf(&b, "%-*s%-*s%s\n", nameWidth, name, defaultWidth, byDefault, line)
			name, byDefault, line = "", "", ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	fmt.Fprintf(&b, "%-*s%-*s%s\n", nameWidth, name, defaultWidth, byDefault, line)
	return b.String()
}
