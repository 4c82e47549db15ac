package ops

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"waybill/internal/devpg/pgtest"
)

// The list that the doctor compares with is what the migrations of this version make.
// After a change of them run it with -update: go test ./internal/ops -run Manifest -update.
func TestManifestIsWhatTheMigrationsMake(t *testing.T) {
	t.Parallel()
	rows, err := pgtest.New(t).Pool(t).Query(t.Context(), query("manifest"))
	require.NoError(t, err)
	objects, err := pgx.CollectRows(rows, pgx.RowToStructByPos[object])
	require.NoError(t, err)

	var text strings.Builder
	for _, o := range objects {
		text.WriteString(o.Kind + "\t" + o.Name + "\t" + o.Detail + "\n")
	}
	if *update {
		require.NoError(t, os.WriteFile("manifest.tsv", []byte(text.String()), 0o644))
		return
	}
	require.Equal(t, manifestText, text.String(), "the migrations have changed; run this test with -update")
	require.Equal(t, objects, manifest(), "what is written reads back")
}
