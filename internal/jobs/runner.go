package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/sethvargo/go-retry"

	"waybill/migrations"
)

// How a stop is divided: all of it fits into the 25 s after which the process must be
// gone.
const (
	finishRequests = 15 * time.Second
	finishRecords  = 19 * time.Second
	finishRiver    = 4 * time.Second
)

// Runner is one worker. It starts nothing before Run, and may run once.
type Runner struct {
	cfg      Config
	worker   string
	draining atomic.Bool
	loop     atomic.Pointer[loop] // nil until Run has read who it is
}

// New makes a worker with a random id. It opens no connection.
func New(cfg Config) (*Runner, error) {
	switch {
	case cfg.Pool == nil:
		return nil, errors.New("jobs: Config.Pool is missing")
	case cfg.Sender == nil:
		return nil, errors.New("jobs: Config.Sender is missing")
	case cfg.Mode != Deliver && cfg.Mode != Debug && cfg.Mode != Discard:
		return nil, fmt.Errorf("jobs: mode %q does not run a loop", cfg.Mode)
	case cfg.Mode == Debug && cfg.DebugWriter == nil:
		return nil, errors.New("jobs: Config.DebugWriter is missing in mode debug")
	case cfg.Destination == "":
		return nil, errors.New("jobs: Config.Destination is missing")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Meter == nil {
		cfg.Meter = NoMeter{}
	}
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = jobsAtOnce
	}
	cfg.Concurrency = min(cfg.Concurrency, river.QueueNumWorkersMax)
	return &Runner{cfg: cfg, worker: "w-" + rand.Text()[:16]}, nil
}

// Run drains the queue until ctx ends, then stops within 25 s: requests under way are
// finished and recorded, everything else goes back to the queue with its attempt
// restored. It returns nil after such a stop. It does not end because Postgres or
// Amplitude is away.
func (r *Runner) Run(ctx context.Context) error {
	return r.run(ctx, func(ctx context.Context, _ *loop) error {
		<-ctx.Done()
		return nil
	})
}

// RunOnce delivers what is due and returns. It gives up with an error when Amplitude
// has taken nothing for a minute.
func (r *Runner) RunOnce(ctx context.Context) error {
	return r.run(ctx, waitUntilDrained)
}

// run starts everything, waits for until, and takes everything down again.
func (r *Runner) run(ctx context.Context, until func(context.Context, *loop) error) error {
	l, err := r.begin(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped before it had started
		}
		return err
	}
	polls := newPolls()
	defer polls.stop()
	client, err := r.newClient(l, polls)
	if err != nil {
		return err
	}

	// Three ends: of gathering and waiting, of requests, of recording.
	gather, stopGathering := context.WithCancel(context.WithoutCancel(ctx))
	hard, stopRequests := context.WithCancelCause(context.WithoutCancel(ctx))
	last, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGathering()
	defer stopRequests(nil)
	defer stopRecording()

	var beats, work sync.WaitGroup
	beatCtx, stopBeats := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeats()
	beats.Go(func() { l.beat.run(beatCtx) })
	work.Go(func() { l.run(gather, hard, last) })
	work.Go(func() { newWalks(l).run(gather) })

	if err := startRiver(ctx, client, r.cfg.Logger); err != nil {
		stopGathering()
		work.Wait()
		return errors.Join(ignoreCanceled(ctx, err), r.end(stopBeats, &beats, l))
	}
	failure := until(ctx, l)

	r.draining.Store(true)
	polls.stop()
	r.cfg.Logger.InfoContext(ctx, "stopping: finishing the requests under way")
	stopFetching, jobsEnded := context.WithCancel(context.WithoutCancel(ctx))
	defer jobsEnded()
	fetching := make(chan struct{})
	go func() {
		defer close(fetching)
		_ = client.Stop(stopFetching) // it ends with the jobs, or when nothing more is waited for
	}()
	stopGathering()
	requests := time.AfterFunc(finishRequests, func() { stopRequests(errStopping) })
	records := time.AfterFunc(finishRecords, stopRecording)
	work.Wait()
	requests.Stop()
	records.Stop()

	// What is still held has not been sent: cancelled by River's own stop, a job goes
	// back with its attempt restored.
	riverCtx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), finishRiver, errStopping)
	defer cancel()
	if err := client.StopAndCancel(riverCtx); err != nil {
		failure = errors.Join(failure, fmt.Errorf("stop River: %w", err))
	}
	select {
	case <-client.Stopped():
	case <-riverCtx.Done():
		failure = errors.Join(failure, errors.New("stop River: it took too long; its jobs will be found by their missing heartbeat"))
	}
	jobsEnded()
	<-fetching
	return errors.Join(failure, r.end(stopBeats, &beats, l))
}

var errStopping = errors.New("the worker is stopping")

// end takes the heartbeat down last: until then nobody may take our jobs.
func (r *Runner) end(stopBeats func(), beats *sync.WaitGroup, l *loop) error {
	stopBeats()
	beats.Wait()
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Second, errStopping)
	defer cancel()
	if err := l.beat.stop(ctx); err != nil {
		r.cfg.Logger.Warn("could not take the heartbeat row away; another worker will", "error", err)
	}
	return nil
}

func ignoreCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// begin reads what the worker needs to know, waiting for a database that is away.
func (r *Runner) begin(ctx context.Context) (*loop, error) {
	s := &store{pool: r.cfg.Pool, worker: r.worker, dest: r.cfg.Destination}
	l := &loop{
		cfg:       r.cfg,
		store:     s,
		batcher:   newBatcher(r.cfg.Concurrency),
		lane:      newLane(flights, time.Now),
		throttled: newThrottled(r.cfg.Sender.Limits()),
		turn:      make(chan struct{}, 1),
		known:     newKnown(knownProfiles, knownBytes),
	}
	l.beat = &beat{store: s, clock: &databaseClock{}, log: r.cfg.Logger, meter: r.cfg.Meter, about: l.about, onDeath: l.takenOver, onLook: l.known.otherWorkers}
	err := retry.Do(ctx, newBackoff(), func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, query("install")).Scan(&s.install)
		if err == nil {
			err = l.beat.start(ctx)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			return errors.New("waybill.install is empty: the database was migrated by hand and incompletely")
		}
		if err != nil {
			r.cfg.Logger.WarnContext(ctx, "waiting for the database", "error", err)
			return retry.RetryableError(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.loop.Store(l)
	return l, nil
}

// newClient is River as this worker needs it. It deletes nothing: completed jobs go by our
// own cleaner, and a cancelled or discarded one is somebody's question.
func (r *Runner) newClient(l *loop, polls *polls) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &worker{batcher: l.batcher, clock: l.beat.clock}); err != nil {
		return nil, fmt.Errorf("register the job kind: %w", err)
	}
	claims := &claims{pool: r.cfg.Pool, isAlone: l.known.trusted.Load, packs: l.batcher.packsWanted}
	client, err := river.NewClient(driver{riverpgxv5.New(r.cfg.Pool), claims, l.batcher, l.beat.clock, polls}, r.riverConfig(workers))
	if err != nil {
		return nil, fmt.Errorf("configure River: %w", err)
	}
	return client, nil
}

func (r *Runner) riverConfig(workers *river.Workers) *river.Config {
	return &river.Config{
		ID:          r.worker,
		Schema:      migrations.Schema,
		PollOnly:    true,
		MaxAttempts: MaxAttempts,
		Queues: map[string]river.QueueConfig{Queue: {
			MaxWorkers:        r.cfg.Concurrency,
			FetchCooldown:     fetchCooldown,
			FetchPollInterval: quietPoll,
		}},
		Workers:                     workers,
		JobTimeout:                  -1,
		RetryPolicy:                 retryPolicy{},
		CompletedJobRetentionPeriod: -1, // walk_jobs.sql
		CancelledJobRetentionPeriod: -1,
		DiscardedJobRetentionPeriod: -1,
		ReindexerSchedule:           river.NeverSchedule(),
		ErrorHandler: errorHandler{func(ctx context.Context, job int64, err error) {
			r.cfg.Logger.ErrorContext(ctx, "job failed, and will be tried again", "job_id", job, "error", err)
		}},
		Logger: riverLogger(r.cfg.Logger),
	}
}

// riverLogger keeps River's chatter out and its warnings in.
func riverLogger(log *slog.Logger) *slog.Logger {
	return slog.New(atLeast{log.Handler(), slog.LevelWarn})
}

// atLeast is a handler with a floor.
type atLeast struct {
	slog.Handler
	floor slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.floor && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.floor}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.floor}
}

// startRiver starts the client on a context of its own: one that ends would cancel the
// jobs instead of letting them finish.
func startRiver(ctx context.Context, client *river.Client[pgx.Tx], log *slog.Logger) error {
	return retry.Do(ctx, newBackoff(), func(ctx context.Context) error {
		if err := client.Start(context.WithoutCancel(ctx)); err != nil {
			log.WarnContext(ctx, "waiting for the database", "error", err)
			return retry.RetryableError(fmt.Errorf("start River: %w", err))
		}
		return nil
	})
}

// drainedPoll is how often RunOnce asks whether anything is left.
const (
	drainedPoll  = 50 * time.Millisecond
	onceGiveUp   = time.Minute
	drainedTwice = 2
)

func waitUntilDrained(ctx context.Context, l *loop) error {
	ticker := time.NewTicker(drainedPoll)
	defer ticker.Stop()
	for quiet := 0; quiet < drainedTwice; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if state := l.lane.state(); !state.Open && time.Since(state.Since) > onceGiveUp {
			return fmt.Errorf("amplitude has taken nothing for a minute (%s: %s); the bundles stay queued", state.Reason, state.Detail)
		}
		var due bool
		if err := l.store.pool.QueryRow(ctx, query("due"), l.store.worker).Scan(&due); err != nil {
			l.cfg.Logger.WarnContext(ctx, "cannot ask what is due", "error", err)
			continue
		}
		if due || !l.batcher.idle() {
			quiet = 0
		} else {
			quiet++
		}
	}
	return nil
}

// State is how a worker stands, for health checks and metrics.
type State struct {
	WorkerID        string
	Lane            LaneState
	HeldJobs        int       // jobs that River runs here
	InFlightBundles int       // bundles of requests being prepared, sent or recorded
	LastBeat        time.Time // zero before the first one
	ClockSkew       time.Duration
	Draining        bool
}

// State may be asked from any goroutine, before and after Run too.
func (r *Runner) State() State {
	s := State{WorkerID: r.worker, Draining: r.draining.Load(), Lane: LaneState{Open: true}}
	l := r.loop.Load()
	if l == nil {
		return s
	}
	s.Lane = l.lane.state()
	s.HeldJobs, s.InFlightBundles = l.batcher.counts()
	s.LastBeat, s.ClockSkew = l.beat.lastWritten(), l.beat.clock.ahead()
	return s
}

// about is the worker's own word in its heartbeat row.
func (l *loop) about() string {
	about := map[string]any{"mode": string(l.cfg.Mode), "lane": "open"}
	for name, value := range l.cfg.About {
		about[name] = value
	}
	if state := l.lane.state(); !state.Open {
		about["lane"], about["lane_detail"], about["lane_since"] = state.Reason, state.Detail, state.Since.UTC()
	}
	if state := l.lane.state(); state.Open && state.waits() {
		about["lane"], about["lane_until"] = "paused", state.NextProbe.UTC()
	}
	about["held_jobs"], about["in_flight_bundles"] = l.batcher.counts()
	text, err := json.Marshal(about)
	if err != nil {
		return "{}" // strings and numbers always write
	}
	return string(text)
}
