//go:build unix

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"waybill/internal/bench/figures"
)

// poolers drain through PgBouncer in transaction mode, where statements are prepared anew each time, as the worker's
// help says to.
func (b *bench) poolers(ctx context.Context, round int) error {
	part := figures.Columns{Title: "PgBouncer, transaction mode", Ours: "through", Against: "direct"}
	figure := func(c call) figures.Figure {
		return figures.Figure{ID: "pooler_" + c.id, Part: part, What: c.what + ", bundles/s", Unit: "bundles/s", Rival: "direct"}
	}
	program, found := pgbouncer()
	if !found {
		for _, c := range b.calls() {
			b.absent(figure(c), "no pgbouncer")
		}
		return nil
	}
	address, pooler, err := b.startPooler(ctx, program)
	if err != nil {
		return err
	}
	defer pooler.kill()
	for _, c := range b.calls() {
		var direct, through drained
		pooled := b.ordinary(c.load)
		pooled.url = address
		if err := inOrder(round,
			func() (err error) { direct, err = b.drainOurs(ctx, b.ordinary(c.load)); return err },
			func() (err error) { through, err = b.drainOurs(ctx, pooled); return err },
		); err != nil {
			return err
		}
		b.compare(figure(c), through.rate(), direct.rate(), through.against(direct))
	}
	return nil
}

// pgbouncer is where the program is. Debian installs it where only root looks.
func pgbouncer() (string, bool) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

const poolerConfig = `[databases]
waybill = host=%s port=%s dbname=waybill user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
`

// startPooler starts it before our database and returns the URL that a worker uses.
func (h *house) startPooler(ctx context.Context, program string) (address string, p *process, err error) {
	server, err := url.Parse(h.ours.url)
	if err != nil {
		return "", nil, fmt.Errorf("the server's URL cannot be read")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return "", nil, err
	}
	password, _ := server.User.Password()
	config := filepath.Join(h.dir, "pgbouncer.ini")
	text := fmt.Sprintf(poolerConfig, server.Hostname(), server.Port(), server.User.Username(), password, port, stockConns)
	// Its account has to read it; the server and its password go with the bench.
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return "", nil, err
	}
	args := []string{config}
	if os.Geteuid() == 0 {
		args = append([]string{"--user=nobody"}, args...) // it refuses to run as root
	}
	if p, err = spawn(h.logs(), "pgbouncer", os.Environ(), program, args...); err != nil {
		return "", nil, err
	}
	address = fmt.Sprintf("postgres://%s@127.0.0.1:%d/waybill?sslmode=disable&default_query_exec_mode=exec", server.User.Username(), port)
	err = p.await(ctx, func(ctx context.Context) bool {
		conn, err := pgx.Connect(ctx, address)
		return err == nil && conn.Close(ctx) == nil
	})
	if err != nil {
		p.kill()
	}
	return address, p, err
}
