//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"waybill/internal/devpg"
)

// postgres is the server of the demo, and a database in it with three logins: what an
// operator would set up for an application, a worker and a person.
type postgres struct {
	server   *devpg.Server
	admin    url.URL // of the demo's database; without a host until that exists
	given    bool    // by DATABASE_URL: the server outlives the demo
	suffix   string  // of the database and the logins, so that they are nobody else's
	password string  // of the logins
}

// login is what a part of the demo connects as.
type login string

const (
	loginShop     login = "shop"
	loginWorker   login = "worker"
	loginOperator login = "operator"
)

// startPostgres starts a server that keeps its promises (fsync is on) and listens on
// loopback, or uses the one that is given.
func startPostgres(ctx context.Context, given, dir string, log io.Writer) (*postgres, error) {
	options := devpg.Options{URL: given, Log: log}
	if given == "" {
		options.Durable, options.Dir = true, dir
	}
	server, err := devpg.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	p := &postgres{server: server, given: given != "", password: rand.Text()[:16]}
	if p.given {
		p.suffix = "_" + strings.ToLower(rand.Text()[:6])
	}
	if err := p.create(ctx); err != nil {
		return nil, errors.Join(err, p.stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (p *postgres) create(ctx context.Context) error {
	address, err := parseServer(p.server.URL())
	if err != nil {
		return err
	}
	if err := p.administer(ctx, "CREATE DATABASE "+p.database()); err != nil {
		return fmt.Errorf("%w\nThe demo makes a database and logins of its own and needs a superuser for that", err)
	}
	p.admin = *address
	p.admin.Path = "/demo" + p.suffix
	return nil
}

// parseServer takes apart a URL that other logins and databases will be put into.
func parseServer(text string) (*url.URL, error) {
	const fix = "write postgres://USER:PASSWORD@HOST:5432/DATABASE" //nolint:gosec // an example
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		return nil, errors.New("DATABASE_URL has no host: " + fix)
	}
	for _, name := range []string{"host", "user", "password", "dbname"} {
		if address.Query().Has(name) {
			return nil, fmt.Errorf("DATABASE_URL has its %s behind the question mark: %s", name, fix)
		}
	}
	return address, nil
}

// createLogins is for after the migration, which makes the roles.
func (p *postgres) createLogins(ctx context.Context, pool *pgxpool.Pool) error {
	return pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		_, err := conn.Exec(ctx, query("settings"),
			p.name(loginShop), p.name(loginWorker), p.name(loginOperator), p.password)
		if err == nil {
			_, err = conn.Exec(ctx, query("logins"))
		}
		if err != nil {
			return fmt.Errorf("make the demo's logins: %w", err)
		}
		return nil
	})
}

func (p *postgres) name(l login) string { return string(l) + p.suffix }

// database is the name of the demo's database, quoted.
func (p *postgres) database() string { return pgx.Identifier{"demo" + p.suffix}.Sanitize() }

// as is the URL by which a login connects. application names its connections.
func (p *postgres) as(l login, application string) string {
	u := p.admin
	u.User = url.UserPassword(p.name(l), p.password)
	settings := u.Query()
	settings.Set("application_name", application)
	u.RawQuery = settings.Encode()
	return u.String()
}

// forPeople is the operator's URL as short as it may be.
func (p *postgres) forPeople() string {
	u := p.admin
	u.User = url.UserPassword(p.name(loginOperator), p.password)
	if !p.given {
		u.RawQuery = "" // a client finds out by itself that there is no TLS
	}
	return u.String()
}

// stop removes what the demo made. It takes the context of a demo that may have been
// interrupted, without the interruption.
func (p *postgres) stop(ctx context.Context) error {
	var err error
	if p.given && p.admin.Host != "" {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err = p.administer(ctx, "DROP DATABASE "+p.database()+" WITH (FORCE)")
		for _, l := range []login{loginShop, loginWorker, loginOperator} {
			err = errors.Join(err, p.administer(ctx, "DROP ROLE IF EXISTS "+pgx.Identifier{p.name(l)}.Sanitize()))
		}
	}
	return errors.Join(err, p.server.Stop())
}

// administer runs one statement outside of the demo's database.
func (p *postgres) administer(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, p.server.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement has been answered
	_, err = conn.Exec(ctx, statement)
	return err
}
