//go:build unix

package bounds

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"waybill/internal/chaos/scenario"
)

// Exit codes, those of `make chaos`.
const (
	exitBroken = 1
	exitUsage  = 2
)

type options struct {
	quick    bool
	only     []string
	json     string
	markdown string
	dir      string
	seed     uint64
}

// command is how to make the same table again.
func (o options) command() string {
	args := "bounds"
	if o.quick {
		args += " --quick"
	}
	if len(o.only) > 0 {
		args += " " + strings.Join(o.only, " ")
	}
	return fmt.Sprintf("make chaos ARGS=%q", args)
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos bounds", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "less of everything")
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, "chaos bounds [flags] [measurement …]\n\nMeasurements, all of them if none is named:\n")
		for _, m := range measurements() {
			_, _ = fmt.Fprintf(stderr, "  %-10s%s\n", m.name, m.about)
		}
		_, _ = fmt.Fprint(stderr, "\nFlags:\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.json, "json", "", "write the rows to a `file`, - for the terminal")
	flags.StringVar(&o.markdown, "markdown", "", "replace the table in a Markdown `file`")
	flags.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), "waybill-bounds"), "where logs stay if it fails")
	flags.Uint64Var(&o.seed, "seed", 1, "chooses whom it hits")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for _, name := range flags.Args() {
		if !slices.Contains(names(), name) {
			err := fmt.Errorf("%q is not a measurement; there are %s", name, strings.Join(names(), ", "))
			_, _ = fmt.Fprintln(stderr, "chaos bounds:", err)
			return o, err
		}
	}
	o.only = flags.Args()
	if o.markdown != "" && len(o.only) > 0 {
		err := errors.New("--markdown replaces the whole table: name no measurement")
		_, _ = fmt.Fprintln(stderr, "chaos bounds:", err)
		return o, err
	}
	return o, nil
}

func names() []string {
	var all []string
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// Command is `chaos bounds`: it measures, prints the table, and returns the exit code: 0
// when every bound holds, 1 when one does not or a measurement failed, 2 when it was
// called wrongly. Progress goes to stderr.
func Command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	}
	load := loadBefore()
	rows, err := run(ctx, o, stderr)
	if err == nil || o.json != "-" { // what was measured is shown, and a page wants all of it
		shown := o
		if err != nil {
			shown.markdown = ""
		}
		err = errors.Join(err, write(shown, load, rows, stdout))
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos bounds:", err)
		return exitBroken
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return !r.Holds }) {
		return exitBroken
	}
	return 0
}

// run does what was asked for. A measurement that fails does not keep the others from
// being done.
func run(ctx context.Context, o options, progress io.Writer) (rows []Row, err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.dir, "run-")
	if err != nil {
		return nil, err
	}
	worker, err := scenario.BuildWorker(ctx, dir)
	if err != nil {
		return nil, err
	}
	b := &bench{sizes: full, seed: o.seed, worker: worker, dir: dir, progress: progress}
	if o.quick {
		b.sizes = quick
	}
	var errs []error
	for _, m := range measurements() {
		if len(o.only) > 0 && !slices.Contains(o.only, m.name) || ctx.Err() != nil {
			continue
		}
		found, err := b.measure(ctx, m)
		rows, errs = append(rows, found...), append(errs, err)
	}
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return rows, err
	}
	return rows, os.RemoveAll(dir)
}

// loadBefore says what else the machine was doing, where it can be known.
func loadBefore() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	first, _, _ := strings.Cut(string(content), " ")
	return "load before " + first
}

// write prints the table and fills the files that were asked for.
func write(o options, load string, rows []Row, stdout io.Writer) error {
	if o.json != "-" {
		_, _ = io.WriteString(stdout, Text(rows))
	}
	text, err := json.MarshalIndent(rows, "", " ")
	if err != nil {
		return err
	}
	switch o.json {
	case "":
	case "-":
		_, err = fmt.Fprintln(stdout, string(text))
	default:
		err = os.WriteFile(o.json, append(text, '\n'), 0o644)
	}
	if err == nil && o.markdown != "" {
		err = updatePage(o.markdown, o.command(), load, rows, time.Now())
	}
	return err
}
