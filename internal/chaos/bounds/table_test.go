//go:build unix

package bounds

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func example() []Row {
	return []Row{
		judge(Row{
			Promise: "P6", What: "SIGKILL to the last orphan's outcome, worst", Unit: "s",
			Figure: 9.071, Sense: AtMost, Bound: 15, How: strings.Repeat("word ", 40),
		}),
		judge(Row{Promise: "P10", What: "rows written a minute and worker", Figure: 25839, Sense: AtMost, Bound: 5000, How: "a|b"}),
	}
}

func TestTheTableFitsATerminal(t *testing.T) {
	t.Parallel()
	text := Text(example())
	requireNarrow(t, text)
	require.Contains(t, text, "✓ P6  SIGKILL to the last orphan's outcome, worst        9.07 s  ≤ 15 s\n")
	require.Contains(t, text, "✗ P10 rows written a minute and worker")
	require.Equal(t, 40, strings.Count(text, "word"), "nothing is lost in folding")
}

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{0: "0", 13: "13", 25839: "25839", 0.937: "0.94", 9.071: "9.07", 11.26: "11.3"} {
		require.Equal(t, want, number(value))
	}
}

func TestThePageKeepsItsProse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("# Before\n"+pageBegin+"old\n"+pageEnd+"After.\n"), 0o600))
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for range 2 { // it may be done again
		require.NoError(t, updatePage(path, "make chaos", "load before 0.1", example(), now))
	}
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(page), "# Before\n"))
	require.True(t, strings.HasSuffix(string(page), "After.\n"))
	require.NotContains(t, string(page), "old\n")
	require.Equal(t, 1, strings.Count(string(page), "`make chaos`, 2026-11-22"))
	require.Contains(t, string(page), "| P6 | SIGKILL to the last orphan's outcome, worst | 9.07 s | ≤ 15 s | ✓ |")
	require.Contains(t, string(page), `a\|b`)

	require.NoError(t, os.WriteFile(path, []byte("# Prose\n"), 0o600))
	require.ErrorContains(t, updatePage(path, "make chaos", "load before 0.1", example(), now), "has no place for the table")
}

func TestTheRowsAreJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, write(options{json: "-"}, "", example(), &out))
	var rows []Row
	require.NoError(t, json.Unmarshal(out.Bytes(), &rows), "and nothing else is printed")
	require.Equal(t, example(), rows)

	out.Reset()
	path := filepath.Join(t.TempDir(), "rows.json")
	require.NoError(t, write(options{json: path}, "", example(), &out))
	require.Equal(t, Text(example()), out.String())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &rows))
}

// TestTheGuaranteesShowWhatWasMeasured keeps the place of the table on its page.
func TestTheGuaranteesShowWhatWasMeasured(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/guarantees.md")
	require.NoError(t, err)
	for _, part := range []string{pageBegin, pageEnd} {
		require.Contains(t, string(page), part)
	}
}
