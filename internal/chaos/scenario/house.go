//go:build unix

package scenario

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/chaos/history"
	"waybill/internal/chaos/interpose"
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

	library  *interpose.Library // nil when it cannot be had
	noFaults unavailable        // why it cannot
	clock    clock
	current  server     // the one that everybody is led to
	standbys int        // so far
	copies   []*standby // all of them

	linkMu           sync.Mutex
	links            []*link.Link
	network, address string // of the current server

	referee referee
	sink    *sink
	fleet   *fleet

	nemesis  *history.Writer
	writers  []*history.Writer
	commits  *link.Link // the producers' way to the database
	commitMu sync.Mutex
	dice     *mathrand.Rand // for the producers' link
	burden   burden
	foreign  *neighbour // nil for none
	usurped  bool       // a foreign leader has discarded jobs of ours
	previous Previous
	poison   atomic.Bool // every request is to hold a bad event
}

// oneCut is how many COMMITs go well between two that are cut, about.
const oneCut = 60

func openHouse(ctx context.Context, o Options, dir string, start time.Time) (_ *house, err error) {
	h := &house{dir: dir, binary: o.Worker, previous: o.Previous, dice: newRandom(o.Seed, -1), password: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	h.clock.step(start, 0)
	if err := h.openServer(ctx); err != nil {
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

// openServer starts Postgres, and the referee's own way to it. The server can be copied,
// and does not keep log files for later, so that its disk can be too small for the next.
func (h *house) openServer(ctx context.Context) (err error) {
	options := devpg.Options{Settings: map[string]string{
		"max_connections": "500", "wal_level": "replica", "max_wal_senders": "8", "wal_keep_size": "256MB", "wal_recycle": "off",
	}}
	h.library, err = interpose.Build(ctx)
	switch {
	case errors.Is(err, interpose.ErrUnavailable):
		h.noFaults = unavailable{strings.TrimPrefix(err.Error(), interpose.ErrUnavailable.Error()+" ")}
	case err != nil:
		return err
	default:
		options.Environ = h.library.Environ()
	}
	if h.server, err = devpg.Start(ctx, options); err != nil {
		return err
	}
	if h.admin, err = pgx.ParseConfig(h.server.URL()); err != nil {
		return err
	}
	h.current = h.server
	h.network, h.address = pgconn.NetworkAddress(h.admin.Host, h.admin.Port)
	way, err := h.openLink(ctx, nil)
	if err != nil {
		return err
	}
	if h.referee.pool, err = pgxpool.New(ctx, h.ownURL(way)); err != nil {
		return err
	}
	return h.tryLibrary(ctx)
}

// tryLibrary sees whether the server obeys the library: one in a container does not.
func (h *house) tryLibrary(ctx context.Context) error {
	if h.library == nil {
		return nil
	}
	var shown time.Time
	if err := errors.Join(
		h.library.SetClock(-time.Hour),
		h.referee.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&shown),
		h.library.SetClock(0),
	); err != nil {
		return err
	}
	if time.Since(shown) > time.Minute {
		return nil
	}
	h.noFaults = unavailable{"a Postgres that is installed on this machine"}
	err := h.library.Close()
	h.library = nil
	return err
}

// setClock makes the database's clock be ahead of this machine's from now on.
func (h *house) setClock(ahead time.Duration) error {
	if h.library == nil {
		return h.noFaults
	}
	if err := h.library.SetClock(ahead); err != nil {
		return err
	}
	h.clock.step(time.Now(), ahead)
	return nil
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
	h.linkMu.Lock()
	defer h.linkMu.Unlock()
	l, err := link.Open(ctx, h.network, h.address, onCommit)
	if err == nil {
		h.links = append(h.links, l)
	}
	return l, err
}

// ownURL is how the owner of the database connects through a link.
func (h *house) ownURL(way *link.Link) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(h.admin.User, h.admin.Password), Host: way.Addr(), Path: "/" + h.admin.Database,
		RawQuery: url.Values{"sslmode": {"disable"}}.Encode(),
	}
	return u.String()
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

// close ends everything that was started.
func (h *house) close() error {
	var errs []error
	if h.fleet != nil {
		h.fleet.end()
	}
	h.burden.end()
	if h.foreign != nil {
		_, err := h.foreign.end(context.Background())
		errs = append(errs, err)
	}
	if h.sink != nil {
		h.sink.close()
	}
	if h.referee.pool != nil {
		h.referee.pool.Close()
	}
	for _, l := range h.links {
		errs = append(errs, l.Close())
	}
	for _, s := range h.copies {
		errs = append(errs, s.Halt(true))
	}
	if h.server != nil {
		errs = append(errs, h.server.Stop())
	}
	if h.library != nil {
		errs = append(errs, h.library.Close())
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
