package devpg

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/jackc/pgx/v5"
)

// pingTimeout bounds one attempt to connect.
const pingTimeout = 10 * time.Second

// ping connects once. Its errors never quote the URL, which may hold a
// password.
func ping(ctx context.Context, databaseURL string) error {
	// pgxpool's parser, because applications put pool_max_conns into their URL.
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return errors.New("it is not a connection URL; want postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// socketURL addresses a server by the directory of its unix socket.
func socketURL(dir string) string {
	path := strings.ReplaceAll(url.QueryEscape(dir), "%2F", "/")
	return "postgres:///postgres?host=" + path + "&user=postgres"
}

// loopbackURL addresses a server by its port on this machine.
func loopbackURL(port int, password string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// isClientVariable tells libpq's environment variables, which all read PG and
// then a capital (https://www.postgresql.org/docs/current/libpq-envars.html),
// from others such as PG_BINDIR.
func isClientVariable(name string) bool {
	return len(name) > 2 && strings.HasPrefix(name, "PG") && name[2] >= 'A' && name[2] <= 'Z'
}

func dropClientEnvironment() {
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); isClientVariable(name) {
			_ = os.Unsetenv(name) // fails only on names that cannot be in the environment
		}
	}
}
