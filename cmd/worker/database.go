package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/ops"
	"waybill/internal/settings"
	"waybill/migrations"
)

// poolSize is how many connections a worker opens unless the URL says pool_max_conns:
// six requests under way, each preparing and recording on its own connection, River's
// fetch and completion, the heartbeat, a walk, a scrape.
const poolSize = 14

// connectTimeout bounds one attempt at one host, unless the URL says connect_timeout.
const connectTimeout = 5 * time.Second

// poolConfig is how every command connects. It opens nothing.
//
// Whatever the URL says wins, with these defaults beneath. Only a server that takes
// writes will do, so that after a failover a list of hosts leads to the new primary
// (target_session_attrs says otherwise). Nothing here needs more of a session than a
// transaction pooler gives: add default_query_exec_mode=exec for one, because prepared
// statements outlive a transaction.
func poolConfig(s settings.Settings) (*pgxpool.Config, error) {
	url := s.DatabaseURL.Reveal()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &settings.Error{Problems: []settings.Problem{unreadable(err)}}
	}
	given, err := pgx.ParseConfig(url) // this one leaves the pool's own parameters in place
	if err != nil {
		return nil, &settings.Error{Problems: []settings.Problem{unreadable(err)}}
	}
	byDefault := func(parameter string, set func()) {
		if given.RuntimeParams[parameter] == "" {
			set()
		}
	}
	byDefault("pool_max_conns", func() { config.MaxConns = poolSize })
	byDefault("pool_max_conn_idle_time", func() { config.MaxConnIdleTime = 5 * time.Minute })
	byDefault("pool_max_conn_lifetime_jitter", func() { config.MaxConnLifetimeJitter = config.MaxConnLifetime / 6 })
	byDefault("pool_ping_timeout", func() { config.PingTimeout = connectTimeout })

	c := config.ConnConfig
	byDefault("application_name", func() { c.RuntimeParams["application_name"] = "waybill-worker" })
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	// A connection whose other end vanished without a word is noticed within 25 s.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	c.DialFunc = dialer.DialContext
	leaveReadOnlyServers(config)
	return config, nil
}

// unreadable says what the driver cannot read, without the URL: where a password is
// cut off by a character of its own, the driver cannot know what to mask.
func unreadable(err error) settings.Problem {
	what := "cannot be read as connection settings"
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		masked := *parse
		masked.ConnString = ""
		if _, reason, found := strings.Cut(masked.Error(), "``: "); found {
			what = reason
		}
	}
	return settings.Problem{Variable: "DATABASE_URL", What: what, Fix: "escape special characters of the password in percent form, e.g. %40 for @"}
}

// load reads the settings of a command that needs a database.
func (p *program) load() (settings.Settings, *pgxpool.Config, error) {
	s, err := settings.Load(p.environ)
	if err := joined(err, s.RequireDatabase()); err != nil {
		return s, nil, err
	}
	config, err := poolConfig(s)
	return s, config, err
}

// joined makes one report of several.
func joined(errs ...error) error {
	var all settings.Error
	for _, err := range errs {
		var some *settings.Error
		if errors.As(err, &some) {
			all.Problems = append(all.Problems, some.Problems...)
		} else if err != nil {
			return err
		}
	}
	if len(all.Problems) == 0 {
		return nil
	}
	return &all
}

// connect opens the one connection of a command, to a database that is migrated. A
// command that only reads takes a standby too.
func connect(ctx context.Context, config *pgxpool.Config, writes bool) (*pgx.Conn, error) {
	c := config.ConnConfig.Copy()
	if !writes {
		c.ValidateConnect = nil
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		why, fix := ops.Unreachable(err)
		return nil, databaseError{errors.New("the database cannot be used: " + why), fix}
	}
	if err := migrations.Check(ctx, conn); err != nil {
		disconnect(ctx, conn)
		return nil, refused(err)
	}
	return conn, nil
}

// disconnect says goodbye even when ctx has ended; a server that does not hear it
// notices by itself.
func disconnect(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// refused makes a databaseError of what a query failed with.
func refused(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42501" {
		return databaseError{err, "GRANT waybill_operator TO your login, or waybill_worker to a worker's"}
	}
	return databaseError{err, ""}
}
