package audit

import (
	"io/fs"
	"path"
	"strings"

	"waybill/internal/plan"
	"waybill/internal/plan/gen"
)

// sqlFile finds the events that SQL makes, in triggers for example: lines with the name
// of an event in single quotes, under any of its names.
func (r *reader) sqlFile(system fs.FS, file string) error {
	text, err := fs.ReadFile(system, file)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		code, _, _ := strings.Cut(line, "--")
		for i, quoted := range strings.Split(code, "'") {
			e, ok := r.names[quoted]
			if !ok || i%2 == 0 {
				continue
			}
			name := gen.GoFunc(r.plan, e)
			r.source.Uses[name] = append(r.source.Uses[name], Site{Pos: plan.Pos{File: file, Line: number}})
		}
	}
	return nil
}

func isSQL(file string) bool { return path.Ext(file) == ".sql" }
