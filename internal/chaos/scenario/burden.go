package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// burden is what other applications hold open for a whole run: a snapshot, and idle
// connections. They lose them when Postgres goes, and take them again when it is back.
type burden struct {
	snapshot bool
	idle     int
	conns    []*pgx.Conn
}

// take opens all of it, anew if it was open.
func (b *burden) take(ctx context.Context, url string) error {
	b.end()
	for range b.idle {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return fmt.Errorf("open %d idle connections: %w", b.idle, err)
		}
		b.conns = append(b.conns, conn)
	}
	if !b.snapshot {
		return nil
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("hold a snapshot open: %w", err)
	}
	b.conns = append(b.conns, conn)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err == nil {
		_, err = tx.Exec(ctx, "SELECT FROM waybill.bundle LIMIT 1")
	}
	if err != nil {
		return fmt.Errorf("hold a snapshot open: %w", err)
	}
	return nil
}

// end closes everything.
func (b *burden) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, conn := range b.conns {
		_ = conn.Close(ctx)
	}
	b.conns = nil
}
