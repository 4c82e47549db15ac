package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// readme is the README's blocks of one language, by heading.
func readme(t *testing.T, heading, language string) []string {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	var list []string
	for _, block := range blocks(section) {
		if block[1] == language {
			list = append(list, block[2])
		}
	}
	require.NotEmpty(t, list, heading)
	return list
}

// TestTheReadmesGoCompiles: it is a part of this application, as it stands there.
func TestTheReadmesGoCompiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "readme.go")
	require.NoError(t, os.WriteFile(file, []byte(`package main

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/shop/events"
	"waybill"
)

func Readme(ctx context.Context, pool *pgxpool.Pool, order Order) error {
`+readme(t, "Use it", "go")[0]+`
	return err
}
`), 0o600))
	here, err := os.Getwd()
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "readme.go"): file}})
	require.NoError(t, err)
	overlayFile := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlayFile, "-o", os.DevNull, ".").CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
}

// TestTheReadmesSQLArrives: it runs, and the plan has nothing against it.
func TestTheReadmesSQLArrives(t *testing.T) {
	t.Parallel()
	c := openCompanion(t)
	c.Exec(t, "CREATE TABLE orders (id text, paid_at timestamptz)")
	c.Exec(t, readme(t, "Use it", "sql")[0])
	c.deliver(t)
	order := c.amplitude.Event(t, "order_completed")
	require.Equal(t, 12.99, order.Revenue)
	require.Equal(t, "pro", c.amplitude.User(t, "usr_42")["plan_tier"])
}

// TestTheReadmesEventCanBeAdded runs its commands.
func TestTheReadmesEventCanBeAdded(t *testing.T) {
	t.Parallel()
	w := newWalkthrough(t)
	for _, command := range commands(readme(t, "Add an event", "sh")[0]) {
		if command != "cd examples/shop" { // one is in a copy of it
			w.run(t, command)
		}
	}
	require.Contains(t, w.said, `"insert_id": "dryrun:coupon_redeemed:cpn_7:track"`)
}
