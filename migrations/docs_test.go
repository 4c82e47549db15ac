package migrations_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// TestTheDocumentedSQLWorks runs what docs/sql.md shows: the transaction, the whole
// bundle, and the trigger.
func TestTheDocumentedSQLWorks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/sql.md")
	require.NoError(t, err)
	blocks := map[string][]string{}
	for _, block := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		blocks[block[1]] = append(blocks[block[1]], block[2])
	}
	require.Len(t, blocks["sql"], 2, "the transaction and the trigger")
	require.Len(t, blocks["json"], 1, "the whole bundle")
	db := pgtest.New(t)
	pool := db.Pool(t)
	script := func(sql string) {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
		_, err = conn.Conn().PgConn().Exec(t.Context(), sql).ReadAll()
		require.NoError(t, err)
	}

	script("CREATE TABLE orders (id int, customer_id text, total_cents int, paid_at timestamptz)")
	script(blocks["sql"][0])
	require.Equal(t, []string{"order:8412:completed"}, column(t, pool, "SELECT action_key FROM waybill.job WHERE job_state = 'available'"))

	whole := strings.Replace(blocks["json"][0], "order:8412:completed", "another", 1)
	require.Equal(t, []string{"queued"}, outcomes(enqueue(t, onPool{pool}, whole)))

	script(blocks["sql"][1])
	exec(t, pool, "INSERT INTO orders VALUES (1, 'cus_1', 100)")
	require.Contains(t, column(t, pool, "SELECT action_key FROM waybill.job WHERE job_state = 'available'"), "order:1:placed")
}
