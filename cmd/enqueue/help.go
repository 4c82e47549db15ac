package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"waybill/internal/settings"
)

const about = `enqueue puts bundles into the queue, from where a worker delivers them.

Usage:
  enqueue --key ACTION --user ID --event NAME [flags]    one bundle
  enqueue FILE | -                  one bundle per line (NDJSON), - for stdin

An action key that is there already is a duplicate, never a second event: an
import that was interrupted is simply run again.

Examples:
  enqueue --key order:8412:completed --user usr_42 --event Order_Completed \
          --prop total_cents=1299 --prop plan=pro --set plan=pro \
          --group account=acc_1 --group workspace=ws_7
  enqueue orders.ndjson --report not-queued.ndjson
  gzip -dc orders.ndjson.gz | enqueue -
  enqueue --dry-run orders.ndjson

A line:
  {"key":"order:8412:completed","user_id":"usr_42",
   "track":{"event":"Order_Completed","properties":{"total_cents":1299}}}
`

const exits = `
Exit codes:
  0  everything is queued or was there already
  1  some lines were refused, or the import stopped before its end
  2  the command line or the input makes no sense
  3  the configuration is wrong
  4  the database is away, or not ready
`

func (p *program) optionFlags() *pflag.FlagSet {
	set := pflag.NewFlagSet("options", pflag.ContinueOnError)
	set.SortFlags = false
	set.BoolVar(&p.dryRun, "dry-run", false, "send nothing, need no database: check every line and print Amplitude's request for the first 5")
	set.BoolVar(&p.all, "all", false, "with --dry-run: print every request")
	set.StringVar(&p.reportPath, "report", "", "write each line that is not queued to `FILE`, as NDJSON: line, key, outcome, bundle_id, reason")
	set.BoolVar(&p.json, "json", false, "print the result as one JSON object; with --dry-run in place of the requests")
	set.BoolP("help", "h", false, "print this")
	return set
}

// writeHelp is what -h prints.
func writeHelp(w io.Writer, sets ...*pflag.FlagSet) {
	var text strings.Builder
	text.WriteString(about)
	for i, title := range []string{"A bundle", "Options"} {
		fmt.Fprintf(&text, "\n%s:\n%s", title, sets[i].FlagUsagesWrapped(columns))
	}
	text.WriteString(exits + "\nEnvironment (it reads DATABASE_URL and ANALYTICS_ENABLED; a dry run also\nwhere a worker would send to):\n")
	if err := settings.Table(&text); err != nil {
		fmt.Fprintf(&text, "%v\n", err)
	}
	_, _ = io.WriteString(w, text.String())
}
