//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"
)

const apiKey = "demo-key-of-the-fake-amplitude" //nolint:gosec // it opens the fake and nothing else

// customers shop at the same time: enough for a queue that is always busy, few enough
// for a slow machine.
const customers = 8

// stack is everything that runs: Postgres, the fake Amplitude, workers and the shop. It
// has one owner, whose close leaves no process and no file behind.
type stack struct {
	dir, bin, logs string
	postgres       *postgres
	pool           *pgxpool.Pool
	ledger         ledger
	fake           *fake
	workers        []*worker // the killed one included
	shop           *process
}

// newStack makes the directory that everything lives in.
func newStack() (*stack, error) {
	dir, err := os.MkdirTemp("", "waybill-demo-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, bin: filepath.Join(dir, "bin"), logs: filepath.Join(dir, "logs")}
	// Root's Postgres runs as another account, which must reach its files below.
	err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(s.bin, 0o700), os.Mkdir(s.logs, 0o700))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// close ends everything at once: nothing of it is needed any more. ctx must outlast an
// interruption.
func (s *stack) close(ctx context.Context) error {
	for _, p := range s.processes() {
		p.kill()
	}
	if s.pool != nil {
		s.pool.Close()
	}
	var err error
	if s.postgres != nil {
		err = s.postgres.stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// processes are those that were started and have an owner here.
func (s *stack) processes() []*process {
	var all []*process
	if s.shop != nil {
		all = append(all, s.shop)
	}
	for _, w := range s.workers {
		all = append(all, w.process)
	}
	if s.fake != nil {
		all = append(all, s.fake.process)
	}
	return all
}

// startPostgres starts the server, or takes the given one, with an empty database.
func (s *stack) startPostgres(ctx context.Context, given string) (err error) {
	s.postgres, err = startPostgres(ctx, given, s.dir, os.Stderr)
	if err != nil {
		return err
	}
	s.pool, err = pgxpool.New(ctx, s.postgres.admin.String())
	s.ledger = ledger{s.pool}
	return err
}

// migrate brings the schema, by the command that anybody would use, and the logins.
func (s *stack) migrate(ctx context.Context) error {
	p, err := start(program{
		name: "migrate",
		path: filepath.Join(s.bin, "worker"),
		args: []string{"migrate"},
		env:  []string{"DATABASE_URL=" + s.postgres.admin.String()},
	}, s.logs)
	if err != nil {
		return err
	}
	if _, err := p.wait(ctx); err != nil {
		return err
	}
	return s.postgres.createLogins(ctx, s.pool)
}

// startFake starts the fake Amplitude.
func (s *stack) startFake(ctx context.Context) (err error) {
	s.fake, err = startFake(ctx, s.bin, s.logs)
	return err
}

// openShop starts the traffic.
func (s *stack) openShop(orders int) (err error) {
	s.shop, err = start(program{
		name: "shop",
		path: filepath.Join(s.bin, "shop"),
		args: []string{"--json", "--orders", strconv.Itoa(orders), "--workers", strconv.Itoa(customers)},
		env:  []string{"DATABASE_URL=" + s.postgres.as(loginShop, "shop")},
	}, s.logs)
	return err
}

// fault is the first of the processes that has ended and should not have. The shop may
// end well.
func (s *stack) fault(killed *worker) error {
	if err := s.fake.unexpected(); err != nil {
		return err
	}
	for _, w := range s.workers {
		if w == killed {
			continue
		}
		if err := w.unexpected(); err != nil {
			return err
		}
	}
	return s.shop.failure()
}
