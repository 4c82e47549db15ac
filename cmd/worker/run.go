package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"waybill/internal/amplitude"
	"waybill/internal/jobs"
	"waybill/internal/ops"
	"waybill/internal/settings"
)

// onceWaits is how long --once waits for a database that is away: a cron job that never
// ends is worse than one that fails.
const onceWaits = time.Minute

func (p *program) runCommand() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "run",
		Short: "deliver until told to stop (the default)",
		Long: `run delivers what is queued until SIGTERM or SIGINT: then requests under way are
finished, the rest goes back to the queue, and it ends within 25 s. A second
signal ends it at once; nothing is lost, other workers take over in seconds.

It does not end because Postgres or Amplitude is away. Health, readiness and
metrics are served on ANALYTICS_HTTP_ADDR from the start. Behind a pooler that
pools by transaction, add default_query_exec_mode=exec to DATABASE_URL.

` + exitCodes + "\n\n" + environment(),
		Example: `  worker run
  worker run --once               deliver what is due, then end; no HTTP
  ANALYTICS_MODE=debug worker     print events to stdout instead of sending`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.work(cmd.Context(), once) },
	}
	c.Flags().BoolVar(&once, "once", false, "deliver what is due, then end (for cron); waits a minute for the database")
	return c
}

// heapGrowth is by how many per cent the heap may grow between two garbage collections.
// What is alive is bounded, a few thousand jobs and six requests, so that memory buys CPU
// here: at Go's own 100, a fifth of a busy worker's goes into collecting. GOGC, if it is
// set, is somebody's decision and stands.
const heapGrowth = 120

// work is the worker: everything is decided before the first connection is opened.
func (p *program) work(ctx context.Context, once bool) error {
	s, loadErr := settings.Load(p.environ)
	d, decideErr := s.Decide()
	plan, planErr := loadPlan(s)
	if err := joined(loadErr, s.RequireDatabase(), decideErr, planErr); err != nil {
		return err
	}
	config, err := poolConfig(s)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.environ, func(one string) bool { return strings.HasPrefix(one, "GOGC=") }) {
		debug.SetGCPercent(heapGrowth)
	}
	w := &worker{
		settings: s, decision: d, once: once,
		log: newLogger(s.LogFormat, p.stderr, p.terminal),
	}
	b := readBuild()
	w.log.InfoContext(ctx, "starting", "version", b.Version, "revision", b.Revision,
		"database", s.RedactedDatabaseURL(), "decision", d, "pool", config.MaxConns, "plan", planName(plan))
	w.pool, err = pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer w.pool.Close()

	registry := prometheus.NewRegistry()
	w.state = func() jobs.State { return jobs.State{Lane: jobs.LaneState{Open: true}} }
	if d.Mode != settings.ModeHold {
		sender, err := newSender(d)
		if err != nil {
			return err
		}
		w.runner, err = jobs.New(jobs.Config{
			Pool: w.pool, Sender: sender, Mode: jobs.Mode(d.Mode), Reason: d.Reason, Destination: d.Fingerprint(),
			DebugWriter: p.stdout, Plan: plan, InstanceLevel: s.InstanceLevel, Concurrency: s.Concurrency,
			Logger: w.log, Meter: ops.NewMeter(registry),
			About: map[string]string{"version": b.Version, "mode": string(d.Mode), "reason": d.Reason, "plan": planName(plan)},
		})
		if err != nil {
			return err
		}
		w.state = w.runner.State
	}
	registry.MustRegister(buildInfo(b))
	if once {
		return w.deliverOnce(ctx)
	}
	return w.serve(ctx, registry)
}

// worker is a run with everything decided.
type worker struct {
	settings settings.Settings
	decision settings.Decision
	once     bool
	log      *slog.Logger
	pool     *pgxpool.Pool
	runner   *jobs.Runner // nil on hold
	state    func() jobs.State
	server   *ops.Server // nil with --once
}

// serve drains the queue beside the HTTP server, which answers before the database does
// and until the loop has ended.
func (w *worker) serve(ctx context.Context, registry *prometheus.Registry) error {
	w.server = ops.NewServer(ops.ServerConfig{
		Addr: w.settings.HTTPAddr, AnyPort: w.settings.HTTPAddr == settings.DefaultHTTPAddr, Token: w.settings.UIToken, Decision: w.decision,
		Pool: w.pool, State: w.state, Registry: registry, Logger: w.log,
	})
	if err := w.server.Listen(ctx); err != nil {
		return err
	}
	w.log.InfoContext(ctx, "listening for operators", "addr", w.server.Addr().String())

	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	draining, stopDraining := context.WithCancel(ctx)
	defer stopDraining()
	served := make(chan error, 1)
	go func() {
		defer stopDraining() // without health checks nobody would know how it is
		served <- w.server.Run(serving)
	}()
	err := w.drain(draining)
	stopServing()
	return errors.Join(err, <-served)
}

// drain waits for the database and runs the loop until ctx ends.
func (w *worker) drain(ctx context.Context) error {
	if err := waitForDatabase(ctx, w.probe, w.log); err != nil {
		return unlessStopped(ctx, err)
	}
	if w.runner == nil {
		w.hold(ctx)
		return nil
	}
	if err := w.runner.Run(ctx); err != nil {
		return err
	}
	w.log.InfoContext(ctx, "stopped")
	return nil
}

func (w *worker) probe(ctx context.Context) error {
	const probeTimeout = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return ops.Probe(ctx, w.pool)
}

// unlessStopped is nil when the worker was told to stop meanwhile.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// hold fetches nothing, and says each minute what that costs.
func (w *worker) hold(ctx context.Context) {
	ticker := time.NewTicker(sayAgain)
	defer ticker.Stop()
	for {
		q, err := w.server.Waiting(ctx)
		if err != nil {
			w.log.WarnContext(ctx, "on hold; how many bundles wait is not known", "reason", w.decision.Reason)
		} else {
			w.log.WarnContext(ctx, "on hold; nothing is fetched", "reason", w.decision.Reason, "waiting", q.Bundles, "more", q.Capped)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *worker) deliverOnce(ctx context.Context) error {
	if w.runner == nil {
		w.log.ErrorContext(ctx, "on hold; nothing is fetched", "reason", w.decision.Reason)
		return ended(exitUnhealthy)
	}
	waiting, cancel := context.WithTimeoutCause(ctx, onceWaits, errAwayTooLong)
	defer cancel()
	err := waitForDatabase(waiting, w.probe, w.log)
	if errors.Is(err, errAwayTooLong) {
		return databaseError{err, "see the log above for the reason"}
	}
	if err != nil {
		return unlessStopped(ctx, err)
	}
	return w.runner.RunOnce(ctx)
}

var errAwayTooLong = errors.New("the database was away for a minute")

// newSender is Amplitude, or nobody in the modes that send nothing.
func newSender(d settings.Decision) (jobs.Sender, error) {
	api, err := amplitude.ParseAPI(d.API)
	if err != nil {
		return nil, err
	}
	if d.Mode != settings.ModeDeliver {
		return nobody{api.Limits()}, nil
	}
	return amplitude.New(amplitude.Config{APIKey: d.APIKey.Reveal(), Endpoint: d.Endpoint, API: api})
}

// nobody takes no event.
type nobody struct{ limits amplitude.Limits }

func (n nobody) Limits() amplitude.Limits { return n.limits }

func (nobody) Upload(context.Context, []json.RawMessage) amplitude.Answer {
	return amplitude.Answer{Verdict: amplitude.Unavailable, Reason: "this worker sends nothing"}
}

func buildInfo(b build) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "waybill_build_info", Help: "1, with the versions of this binary.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go, "river": b.River},
	}, func() float64 { return 1 })
}
