//go:build unix

package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/chaos/history"
	"waybill/internal/chaos/link"
	"waybill/internal/devpg"
	"waybill/migrations"
)

// house is everything that a run starts: a Postgres, a fake Amplitude, the workers, and
// the links between them.
type house struct {
	dir      string
	binary   string // of the worker
	server   *devpg.Server
	password string // of the logins
	admin    *pgx.ConnConfig

	referee referee
	sink    *sink
	fleet   *fleet

	nemesis  *history.Writer
	writers  []*history.Writer
	commits  *link.Link // the producers' way to the database
	commitMu sync.Mutex
	dice     *mathrand.Rand // for the producers' link
	idle     []*pgx.Conn
}

// oneCut is how many COMMITs go well between two that are cut, about.
const oneCut = 60

func openHouse(ctx context.Context, o Options, dir string, start time.Time) (_ *house, err error) {
	h := &house{dir: dir, binary: o.Worker, dice: newRandom(o.Seed, -1), password: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	h.server, err = devpg.Start(ctx, devpg.Options{Settings: map[string]string{"max_connections": "500"}})
	if err != nil {
		return nil, err
	}
	if h.admin, err = pgx.ParseConfig(h.server.URL()); err != nil {
		return nil, err
	}
	if h.referee.pool, err = pgxpool.New(ctx, h.server.URL()); err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, h.referee.pool); err != nil {
		return nil, err
	}
	if err := h.furnish(ctx); err != nil {
		return nil, fmt.Errorf("set the database up: %w", err)
	}
	if h.nemesis, err = h.write("nemesis", start); err != nil {
		return nil, err
	}
	amplitude, err := h.write("amplitude", start)
	if err != nil {
		return nil, err
	}
	if h.sink, err = openSink(o.Seed, amplitude); err != nil {
		return nil, err
	}
	if h.commits, err = h.openLink(ctx, h.throwDice); err != nil {
		return nil, err
	}
	h.fleet = &fleet{house: h, size: o.Workers}
	return h, h.fleet.fill(ctx)
}

// furnish makes the application's schema and the logins.
func (h *house) furnish(ctx context.Context) error {
	return h.referee.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, schemaSQL)
		if err == nil {
			_, err = conn.Exec(ctx, "SELECT set_config('chaos.password', $1, false)", h.password)
		}
		if err == nil {
			_, err = conn.Exec(ctx, loginsSQL)
		}
		return err
	})
}

// throwDice decides about one COMMIT.
func (h *house) throwDice() link.Cut {
	h.commitMu.Lock()
	defer h.commitMu.Unlock()
	if h.dice.IntN(oneCut) > 0 {
		return link.None
	}
	return link.Cut(1 + h.dice.IntN(2))
}

func (h *house) write(process string, start time.Time) (*history.Writer, error) {
	w, err := history.Create(h.dir, process, start)
	if err == nil {
		h.writers = append(h.writers, w)
	}
	return w, err
}

func (h *house) openLink(ctx context.Context, onCommit func() link.Cut) (*link.Link, error) {
	network, address := pgconn.NetworkAddress(h.admin.Host, h.admin.Port)
	return link.Open(ctx, network, address, onCommit)
}

// urlThrough is how a login connects through a link.
func (h *house) urlThrough(way *link.Link, login, application string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(login, h.password), Host: way.Addr(), Path: "/" + h.admin.Database,
		RawQuery: url.Values{
			"sslmode": {"disable"}, "application_name": {application}, "connect_timeout": {"5"},
		}.Encode(),
	}
	return u.String()
}

// burden opens what lasts for the whole run: a snapshot and idle connections.
func (h *house) burden(ctx context.Context, snapshot bool, idle int) error {
	for range idle {
		conn, err := pgx.Connect(ctx, h.server.URL())
		if err != nil {
			return fmt.Errorf("open %d idle connections: %w", idle, err)
		}
		h.idle = append(h.idle, conn)
	}
	if !snapshot {
		return nil
	}
	conn, err := pgx.Connect(ctx, h.server.URL())
	if err != nil {
		return fmt.Errorf("hold a snapshot open: %w", err)
	}
	h.idle = append(h.idle, conn)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err == nil {
		_, err = tx.Exec(ctx, "SELECT FROM waybill.bundle LIMIT 1")
	}
	if err != nil {
		return fmt.Errorf("hold a snapshot open: %w", err)
	}
	return nil
}

// close ends everything that was started.
func (h *house) close() error {
	var errs []error
	if h.fleet != nil {
		h.fleet.end()
	}
	if h.commits != nil {
		errs = append(errs, h.commits.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, conn := range h.idle {
		_ = conn.Close(ctx)
	}
	if h.sink != nil {
		h.sink.close()
	}
	if h.referee.pool != nil {
		h.referee.pool.Close()
	}
	if h.server != nil {
		errs = append(errs, h.server.Stop())
	}
	return errors.Join(append(errs, h.closeHistories())...)
}

// closeHistories ends all histories; later calls do nothing.
func (h *house) closeHistories() error {
	var errs []error
	for _, w := range h.writers {
		errs = append(errs, w.Close())
	}
	h.writers = nil
	return errors.Join(errs...)
}
