package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, pgtest.IgnoreServer())
}

// ran is what one run of the program left behind.
type ran struct {
	code           int
	stdout, stderr string
}

// enqueue runs the program with DATABASE_URL and nothing else in its environment.
func enqueue(t *testing.T, databaseURL string, args ...string) ran {
	t.Helper()
	return enqueueIn(t.Context(), t, []string{"DATABASE_URL=" + databaseURL}, strings.NewReader(""), args...)
}

func enqueueIn(ctx context.Context, t *testing.T, env []string, stdin io.Reader, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, env, stdin, &stdout, &stderr)
	fits(t, stderr.String())
	return ran{code, stdout.String(), stderr.String()}
}

// fits holds that what a terminal prints fits 80 columns.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}

// file writes lines to a file of their own.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.ndjson")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func bundleLine(key string) string {
	return fmt.Sprintf(`{"key":%q,"user_id":"usr_1","track":{"event":"Order_Completed"}}`, key)
}

// orders are n good lines, with keys order:1 to order:n.
func orders(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, bundleLine(fmt.Sprintf("order:%d", i+1)))
	}
	return lines
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// query returns the single value of a query.
func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) T {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return value
}

// objects decodes NDJSON.
func objects(t *testing.T, text string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(text) {
		var object map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &object), line)
		list = append(list, object)
	}
	return list
}
