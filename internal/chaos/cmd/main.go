//go:build unix

// Command cmd is `make chaos`: it runs Waybill for real, kills, cuts and misbehaves by
// the schedule of each seed, and checks afterwards that every promise was kept.
//
//	go run ./internal/chaos/cmd [--seeds 1,2,3] [--duration 60s] [--bundles N]
//	                            [--workers N] [--faults NAMES] [--report DIR] [--dir DIR]
//	                            [--parallel N]
//	go run ./internal/chaos/cmd bounds [-h]
//
// Without arguments it takes about half an hour on two cores: more than fifty kills over
// more than 100,000 bundles. A fault that this machine cannot do is named, with what it needs.
//
// It prints a line for each seed when it is over. The histories and logs of a seed that broke a promise
// stay in a directory that it names. It exits with 0 when every promise was kept, 1 when
// one was broken or a run failed, and 2 when it was called wrongly.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"waybill/internal/chaos/bounds"
	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/nemesis"
	"waybill/internal/chaos/report"
	"waybill/internal/chaos/scenario"
)

const (
	exitBroken = 1
	exitUsage  = 2
)

// mostParallel is how many seeds run at the same time where there are cores for more: each
// of them wants to be late for nothing but its own faults.
const mostParallel = 4

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	seeds    []uint64
	duration time.Duration
	bundles  int
	workers  int
	parallel int
	faults   []nemesis.Kind
	report   string
	dir      string
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seeds := flags.String("seeds", "1,2,3,4,5,6,7,8,9,10,11,12", "seeds to run, separated by commas")
	flags.DurationVar(&o.duration, "duration", 150*time.Second, "how long things go wrong, for each seed")
	flags.IntVar(&o.bundles, "bundles", 12_000, "about how many bundles each seed enqueues")
	flags.IntVar(&o.workers, "workers", 3, "worker processes")
	flags.IntVar(&o.parallel, "parallel", min(runtime.NumCPU(), mostParallel), "seeds that run at the same time, each with a Postgres of its own")
	faults := flags.String("faults", "", "only these faults, separated by commas, e.g. \"disk full,kill one worker\"")
	flags.StringVar(&o.report, "report", "", "write a report with a picture for each seed into this directory")
	flags.StringVar(&o.dir, "dir", filepath.Join(os.TempDir(), "waybill-chaos"), "where histories and logs are kept")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*seeds, ",") {
		seed, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		if err != nil {
			err = fmt.Errorf("--seeds: %q is not a seed; write numbers like 1,2,3", text)
			_, _ = fmt.Fprintln(stderr, "chaos:", err)
			return o, err
		}
		o.seeds = append(o.seeds, seed)
	}
	o.faults, err = readFaults(*faults)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
	}
	return o, err
}

func readFaults(text string) (kinds []nemesis.Kind, err error) {
	if text == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		kind := nemesis.Kind(strings.TrimSpace(name))
		if !slices.Contains(nemesis.Kinds(), kind) {
			return nil, fmt.Errorf("--faults: there is no %q; there are:\n%s", kind, faultNames())
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func faultNames() string {
	var b strings.Builder
	for _, kind := range nemesis.Kinds() {
		_, _ = fmt.Fprintf(&b, "  %s\n", kind)
	}
	return b.String()
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "bounds" {
		return bounds.Command(ctx, args[1:], stdout, stderr)
	}
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	}
	results, err := perform(ctx, o, stdout)
	if len(results) > 1 {
		_, _ = fmt.Fprint(stdout, report.Total(results))
	}
	if err == nil && o.report != "" {
		err = report.Write(o.report, results)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "chaos:", err)
		return exitBroken
	}
	for _, r := range results {
		if len(r.Violations) > 0 {
			return exitBroken
		}
	}
	return 0
}

// schedule is what was asked for, nil for what the seed draws.
func (o options) schedule(seed uint64) *nemesis.Schedule {
	if o.faults == nil {
		return nil
	}
	s := nemesis.Only(seed, o.duration, o.faults...)
	return &s
}

// perform runs the seeds, some at the same time, and returns them in their order.
func perform(ctx context.Context, o options, stdout io.Writer) (results []scenario.Result, err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, err
	}
	bin, err := os.MkdirTemp("", "waybill-chaos-bin-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	worker, err := scenario.BuildWorker(ctx, bin)
	if err != nil {
		return nil, err
	}
	previous, err := scenario.BuildPrevious(ctx, bin)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprint(stdout, report.Header())
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, o.parallel))
	for _, seed := range o.seeds {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r, err := scenario.Run(ctx, scenario.Options{
				Seed: seed, Duration: o.duration, Bundles: o.bundles, Workers: o.workers, Schedule: o.schedule(seed),
				Worker: worker, Previous: previous, Dir: o.dir, Limits: checker.DefaultLimits(),
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			results = append(results, r)
			_, _ = fmt.Fprint(stdout, report.Line(r))
			if len(r.Violations) == 0 {
				return os.RemoveAll(r.Dir)
			}
			return nil
		})
	}
	err = group.Wait()
	slices.SortFunc(results, func(a, b scenario.Result) int {
		return cmp.Compare(slices.Index(o.seeds, a.Seed), slices.Index(o.seeds, b.Seed))
	})
	return results, err
}
