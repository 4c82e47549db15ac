package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg"
	"waybill/migrations"
)

const (
	testPrefix = "waybill_test_"

	// staleAfter is the age at which a database of a test that was killed is
	// swept from a server that outlives its tests.
	staleAfter = time.Hour

	// minVersion is the first with CREATE DATABASE … STRATEGY.
	minVersion = 150000
)

//go:embed role.sql
var roleSQL string

//go:embed unused.sql
var unusedSQL string

// server is where test databases are made. It holds no connection: each
// operation opens one, so that nothing is left for leak checks to find.
type server struct {
	url      string
	given    bool // by TEST_DATABASE_URL: others use it too and it stays
	template func() (name string, err error)
}

var shared = sync.OnceValues(func() (*server, error) {
	return openServer(context.Background(), os.Getenv("TEST_DATABASE_URL"))
})

// running is the one server of this process.
func running(tb testing.TB) *server {
	tb.Helper()
	s, err := shared()
	require.NoError(tb, err)
	return s
}

// openServer uses the server at givenURL, or starts one if that is empty.
// Nobody stops that one: it ends with the process.
func openServer(ctx context.Context, givenURL string) (*server, error) {
	started, err := devpg.Start(ctx, devpg.Options{URL: givenURL, Log: os.Stderr})
	if err != nil {
		if givenURL != "" {
			return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
		}
		return nil, err
	}
	s := &server{url: started.URL(), given: givenURL != ""}
	s.template = sync.OnceValues(func() (string, error) {
		return s.prepareTemplate(context.WithoutCancel(ctx), migrations.Fingerprint(), migrations.Up)
	})
	if !s.given {
		return s, nil
	}
	if err := s.check(ctx); err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	return s, s.sweep(ctx, time.Now())
}

// check says early what the first CREATE DATABASE would say obscurely.
func (s *server) check(ctx context.Context) error {
	return s.use(ctx, func(conn *pgx.Conn) error {
		var role string
		var mayCreate bool
		var version int
		err := conn.QueryRow(ctx, roleSQL).Scan(&role, &mayCreate, &version)
		return cmp.Or(err, unsuitable(role, mayCreate, version))
	})
}

// unsuitable says why tests cannot use a server, nil if they can.
func unsuitable(role string, mayCreate bool, version int) error {
	switch {
	case version < minVersion:
		return fmt.Errorf("version %d of Postgres is too old for the tests, which need %d", version/10000, minVersion/10000)
	case !mayCreate:
		return fmt.Errorf("every test makes a database of its own, which the role %s may not; "+
			"as a superuser: ALTER ROLE %s CREATEDB", role, quote(role))
	}
	return nil
}

// use runs an operation on a connection to the maintenance database.
func (s *server) use(ctx context.Context, operation func(*pgx.Conn) error) error {
	config, err := pgxpool.ParseConfig(s.url) // it knows pool_max_conns, which pgx does not
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	return errors.Join(operation(conn), conn.Close(context.WithoutCancel(ctx)))
}

// Postgres takes no parameters in statements about databases, so they are put
// together here from names that this package makes and pgx quotes.

func (s *server) clone(ctx context.Context, template, name string) error {
	return s.use(ctx, func(conn *pgx.Conn) error { return clone(ctx, conn, template, name) })
}

// clone copies files instead of writing every page to the log, which doubles
// the speed. The copy of template0 may have another encoding than its cluster.
func clone(ctx context.Context, conn *pgx.Conn, template, name string) error {
	statement := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template) + " STRATEGY FILE_COPY"
	if template == "template0" {
		statement += " ENCODING 'UTF8'"
	}
	return whileBusy(ctx, func() error {
		_, err := conn.Exec(ctx, statement)
		return err
	})
}

func (s *server) drop(ctx context.Context, name string) error {
	return s.use(ctx, func(conn *pgx.Conn) error { return drop(ctx, conn, name) })
}

func drop(ctx context.Context, conn *pgx.Conn, name string) error {
	_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

// keep marks a database for sweep to leave alone.
func (s *server) keep(ctx context.Context, name string) error {
	return s.use(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "COMMENT ON DATABASE "+quote(name)+" IS 'kept'")
		return err
	})
}

// sweep drops the databases that killed tests left behind, but none that is in
// use, and none that was kept.
func (s *server) sweep(ctx context.Context, now time.Time) error {
	return s.use(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, unusedSQL, testPrefix)
		if err != nil {
			return err
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, name := range names {
			if now.Sub(madeAt(name)) < staleAfter {
				continue
			}
			if err := drop(ctx, conn, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// whileBusy repeats a statement that fails because somebody is connected: a
// closed connection's backend takes a moment to go.
func whileBusy(ctx context.Context, statement func() error) error {
	const objectInUse = "55006" // https://www.postgresql.org/docs/current/errcodes-appendix.html
	for {
		err := statement()
		var refusal *pgconn.PgError
		if !errors.As(err, &refusal) || refusal.Code != objectInUse {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// testDatabaseName holds the time, so that sweep can tell its age.
func testDatabaseName(now time.Time) string {
	return fmt.Sprintf("%s%d_%s", testPrefix, now.Unix(), strings.ToLower(rand.Text()[:12]))
}

var testNamePattern = regexp.MustCompile("^" + testPrefix + `(\d+)_`)

// madeAt is the distant future for names that are not ours.
func madeAt(name string) time.Time {
	if match := testNamePattern.FindStringSubmatch(name); match != nil {
		if seconds, err := strconv.ParseInt(match[1], 10, 64); err == nil {
			return time.Unix(seconds, 0)
		}
	}
	return time.Unix(1<<40, 0)
}

// withDatabase is databaseURL with another database. It understands both forms
// that libpq does, postgres://… and key=value.
func withDatabase(databaseURL, name string) (string, error) {
	if !strings.Contains(databaseURL, "://") {
		return databaseURL + " dbname=" + name, nil // the last one counts
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", errors.New("TEST_DATABASE_URL is not a URL") // the error would quote it
	}
	u.Path = "/" + name
	query := u.Query()
	query.Del("dbname")
	query.Del("database")
	u.RawQuery = strings.ReplaceAll(query.Encode(), "%2F", "/")
	return u.String(), nil
}
