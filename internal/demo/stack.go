//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
)

// apiKey opens the fake and nothing else.
const apiKey = "demo-key-of-the-fake-amplitude"

// house is everything that runs: Postgres, the fake Amplitude, workers and the shop. It
// has one owner, whose close leaves no process and no file behind.
type house struct {
	dir, bin, logs string
	postgres       *postgres
	pool           *pgxpool.Pool
	ledger         ledger
	fake           *fake
	workers        []*worker // the killed one included
	shop           *process
}

// newHouse makes the directory that everything lives in.
func newHouse() (*house, error) {
	dir, err := os.MkdirTemp("", "waybill-demo-")
	if err != nil {
		return nil, err
	}
	h := &house{dir: dir, bin: filepath.Join(dir, "bin"), logs: filepath.Join(dir, "logs")}
	// Root's Postgres runs as another account, which must reach its files below.
	err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(h.bin, 0o700), os.Mkdir(h.logs, 0o700))
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// close ends everything at once: nothing of it is needed any more.
func (h *house) close() error {
	processes := []*process{h.shop}
	for _, w := range h.workers {
		processes = append(processes, w.process)
	}
	if h.fake != nil {
		processes = append(processes, h.fake.process)
	}
	for _, p := range processes {
		if p != nil {
			p.kill()
		}
	}
	if h.pool != nil {
		h.pool.Close()
	}
	var err error
	if h.postgres != nil {
		err = h.postgres.stop()
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// startPostgres starts the server with an empty database.
func (h *house) startPostgres(ctx context.Context, given string) (err error) {
	h.postgres, err = startPostgres(ctx, given, h.dir, os.Stderr)
	if err != nil {
		return err
	}
	h.pool, err = pgxpool.New(ctx, h.postgres.admin.String())
	h.ledger = ledger{h.pool}
	return err
}

// migrate brings the schema by the command that anybody would use, and the logins.
func (h *house) migrate(ctx context.Context) error {
	p, err := start(program{
		name: "migrate",
		path: h.bin + "/worker",
		args: []string{"migrate"},
		env:  []string{"DATABASE_URL=" + h.postgres.admin.String()},
	}, h.logs)
	if err != nil {
		return err
	}
	if _, err := p.wait(ctx); err != nil {
		return err
	}
	return h.postgres.createLogins(ctx, h.pool)
}

// openShop starts the traffic.
func (h *house) openShop(orders int) (err error) {
	h.shop, err = start(program{
		name: "shop",
		path: h.bin + "/shop",
		args: []string{"--json", "--orders", fmt.Sprint(orders), "--workers", customers},
		env:  []string{"DATABASE_URL=" + h.postgres.as(loginShop, "shop")},
	}, h.logs)
	return err
}

// customers shop at the same time: enough for a queue that is always busy, few enough
// for a slow machine.
const customers = "8"

// fault is the first of the processes that has ended and should not have.
func (h *house) fault(killed *worker) error {
	if err := h.fake.process.unexpected(); err != nil {
		return err
	}
	for _, w := range h.workers {
		if w == killed {
			continue
		}
		if err := w.unexpected(); err != nil {
			return err
		}
	}
	return h.shop.failure()
}
