//go:build unix

package scenario

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"waybill/internal/chaos/nemesis"
)

//go:embed sql/innocents.sql
var innocentsSQL string

//go:embed sql/retry.sql
var retrySQL string

// bringBack does what is asked of an operator after a refusal of everything that began in
// the middle of a search for a bad event, and took innocent bundles with it: it retries
// them, and lets the queue drain once more. It returns their keys.
func (h *house) bringBack(ctx context.Context, patience time.Duration) (keys []string, err error) {
	err = patiently(ctx, func(ctx context.Context) error {
		rows, err := h.referee.pool.Query(ctx, innocentsSQL)
		if err == nil {
			keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	var moved int
	if err := h.referee.pool.QueryRow(ctx, retrySQL, keys).Scan(&moved); err != nil {
		return keys, fmt.Errorf("retry what was rejected with everything: %w", err)
	}
	h.drain(ctx, patience) // what is left without an outcome is found by the checker
	return keys, nil
}

// refusals counts the faults in which every request is refused and no event named.
func refusals(bands []Band) (n int) {
	for _, band := range bands {
		if band.Kind == nemesis.RefuseAll || band.Kind == nemesis.Pages {
			n++
		}
	}
	return n
}
