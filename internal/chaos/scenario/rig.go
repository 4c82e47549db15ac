//go:build unix

package scenario

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/checker"
	"waybill/internal/devpg"
)

//go:embed sql/left.sql
var leftSQL string

// Rig is what a run has, real workers, Postgres and a fake Amplitude, without producers
// and without a villain: for measuring what one fault alone does.
type Rig struct{ house *house }

// RigWorker is one worker process of a Rig.
type RigWorker struct{ worker *worker }

// OpenRig starts everything and returns when each of the workers has a heartbeat. Of the
// options it needs Worker, Workers, Dir and Seed. Close ends it.
func OpenRig(ctx context.Context, o Options) (*Rig, error) {
	h, err := openHouse(ctx, o, o.Dir, time.Now())
	if err != nil {
		return nil, err
	}
	return &Rig{h}, nil
}

// BuildWorker builds the worker into a directory and returns its path. It carries no
// version stamp: that needs a git that trusts this directory.
func BuildWorker(ctx context.Context, dir string) (string, error) {
	worker := filepath.Join(dir, "worker")
	output, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", worker, "waybill/cmd/worker").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the worker: %w\n%s", err, output)
	}
	return worker, nil
}

// Close ends everything that was started.
func (r *Rig) Close() error { return r.house.close() }

// Pool connects as the owner of the database.
func (r *Rig) Pool() *pgxpool.Pool { return r.house.referee.pool }

// Server is the Postgres.
func (r *Rig) Server() *devpg.Server { return r.house.server }

// Amplitude is the fake. Events that hold unnamed poison are refused.
func (r *Rig) Amplitude() *amplitudetest.Fake { return r.house.sink.Fake }

// Running are the workers that live, the oldest first.
func (r *Rig) Running() []RigWorker {
	var running []RigWorker
	for _, w := range r.house.fleet.running() {
		running = append(running, RigWorker{w})
	}
	return running
}

// Fill starts as many workers as are missing, one after the other.
func (r *Rig) Fill(ctx context.Context) error { return r.house.fleet.fill(ctx) }

// Kill kills a worker and returns what it held.
func (r *Rig) Kill(ctx context.Context, w RigWorker) (checker.Kill, error) {
	if err := r.house.fleet.kill(ctx, w.worker); err != nil {
		return checker.Kill{}, err
	}
	kills := r.house.fleet.kills
	return kills[len(kills)-1], nil
}

// Stop asks a worker to end and returns how that went.
func (r *Rig) Stop(w RigWorker) checker.Stop {
	r.house.fleet.stop(w.worker)
	stops := r.house.fleet.stops
	return stops[len(stops)-1]
}

// Drain waits until every bundle has an outcome and no request and no job is left.
func (r *Rig) Drain(ctx context.Context, patience time.Duration) error {
	if !r.house.drain(ctx, patience).IsZero() {
		return nil
	}
	var left string
	err := r.Pool().QueryRow(ctx, leftSQL).Scan(&left)
	return errors.Join(fmt.Errorf("the queue is not empty after %v: %s", patience, left), err)
}

// Command runs a subcommand of the worker as the owner of the database, and returns what
// it prints.
func (r *Rig) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.house.binary, args...)
	cmd.Env = []string{"DATABASE_URL=" + r.house.server.URL()}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("worker %v: %w\n%s%s", args, err, output, complaint.String())
	}
	return string(output), nil
}

// PID is the worker's process id.
func (w RigWorker) PID() int { return w.worker.pid }

// Name is the worker's, as its log is named.
func (w RigWorker) Name() string { return w.worker.name }
