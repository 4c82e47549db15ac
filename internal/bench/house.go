//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"waybill/internal/bench/endpoint"
	"waybill/internal/devpg"
	"waybill/migrations"
)

// usualBehaviour is the endpoint's unless a scenario says otherwise.
var usualBehaviour = endpoint.Behaviour{Latency: endpointLatency}

// endpointLatency is how long the endpoint takes to answer: Amplitude from a data centre nearby.
const endpointLatency = 50 * time.Millisecond

// house is everything that runs: one Postgres with a database for each side, the endpoint, a worker binary.
type house struct {
	dir, self string
	server    *devpg.Server
	control   *pgxpool.Pool // of database postgres
	ours      *side
	stock     *side
	sink      *process
	endpoint  endpoint.Client
}

// side is one of the two that are compared, and the database it has for itself.
type side struct {
	name string
	url  string
	pool *pgxpool.Pool // for loading, clearing and asking; its search_path finds the side's river_job
}

// serverSettings leave Postgres as it comes, durable. Checkpoints happen between the rounds, where they are asked for,
// and statements are only counted where a database says so.
var serverSettings = map[string]string{
	"checkpoint_timeout":       "1h",
	"max_wal_size":             "6GB",
	"shared_preload_libraries": "pg_stat_statements",
	"pg_stat_statements.track": "none",
}

func newHouse(ctx context.Context) (h *house, err error) {
	h = &house{}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if h.self, err = os.Executable(); err != nil {
		return h, err
	}
	if h.dir, err = os.MkdirTemp("", "waybill-bench-"); err != nil {
		return h, err
	}
	// Root's Postgres runs as another account, which must reach its files below.
	if err = errors.Join(os.Chmod(h.dir, 0o711), os.Mkdir(h.logs(), 0o700)); err != nil {
		return h, err
	}
	if err = h.build(ctx); err != nil {
		return h, err
	}
	h.server, err = devpg.Start(ctx, devpg.Options{Durable: true, Dir: filepath.Join(h.dir, "postgres"), Settings: serverSettings, Log: os.Stderr})
	if err != nil {
		return h, err
	}
	if h.control, err = pgxpool.New(ctx, h.server.URL()); err != nil {
		return h, err
	}
	if h.ours, err = h.newSide(ctx, "waybill", "waybill,public"); err != nil {
		return h, err
	}
	if h.stock, err = h.newSide(ctx, "river", "public"); err != nil {
		return h, err
	}
	if err = h.migrate(ctx); err != nil {
		return h, err
	}
	return h, h.startEndpoint(ctx)
}

func (h *house) logs() string   { return filepath.Join(h.dir, "logs") }
func (h *house) worker() string { return filepath.Join(h.dir, "worker") }

// build makes the worker that anybody would deploy.
func (h *house) build(ctx context.Context) error {
	// Version stamps need a git that trusts this directory.
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", h.worker(), "./cmd/worker")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the worker, in the repository's root: %w\n%s", err, out)
	}
	return nil
}

func (h *house) newSide(ctx context.Context, name, searchPath string) (*side, error) {
	if _, err := h.control.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, err
	}
	address, err := url.Parse(h.server.URL())
	if err != nil {
		return nil, errors.New("the server's URL cannot be read")
	}
	address.Path = "/" + name
	s := &side{name: name, url: address.String()}
	config, err := pgxpool.ParseConfig(s.url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 8
	config.ConnConfig.RuntimeParams["search_path"] = searchPath
	s.pool, err = pgxpool.NewWithConfig(ctx, config)
	return s, err
}

// migrate gives each side its tables: ours by our migrations, River's as rivermigrate leaves them.
func (h *house) migrate(ctx context.Context) error {
	if err := migrations.Up(ctx, h.ours.pool); err != nil {
		return err
	}
	river, err := rivermigrate.New(riverpgxv5.New(h.stock.pool), nil)
	if err != nil {
		return err
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	for _, s := range []*side{h.ours, h.stock} {
		if _, err := s.pool.Exec(ctx, "SET search_path = public; CREATE EXTENSION pg_stat_statements; "+query("shop")); err != nil {
			return err
		}
		s.pool.Reset() // the connection above has another search_path
	}
	return nil
}

func (h *house) startEndpoint(ctx context.Context) (err error) {
	h.sink, err = spawn(h.logs(), "endpoint", os.Environ(), h.self, "endpoint", "--latency", endpointLatency.String())
	if err != nil {
		return err
	}
	h.endpoint.URL, err = h.sink.firstLine(ctx)
	return err
}

// close leaves no process and no file behind.
func (h *house) close() error {
	if h.sink != nil {
		h.sink.kill()
	}
	for _, s := range []*side{h.ours, h.stock} {
		if s != nil && s.pool != nil {
			s.pool.Close()
		}
	}
	if h.control != nil {
		h.control.Close()
	}
	var err error
	if h.server != nil {
		err = h.server.Stop()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// settle makes the next drain begin like every other: statistics fresh, nothing to vacuum, and what the system still had to
// write is on the disk.
func (h *house) settle(ctx context.Context, s *side) error {
	_, err := s.pool.Exec(ctx, "VACUUM (ANALYZE)")
	syscall.Sync()
	return err
}

func (h *house) wal(ctx context.Context) (bytes int64, err error) {
	return bytes, h.control.QueryRow(ctx, query("wal")).Scan(&bytes)
}
