package settings_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, settings.Table(&out))

	want, err := os.ReadFile("testdata/table.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), out.String())
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 80+len("\n"))
	}
}

// What is printed is what is read: neither may know a variable that the other does not.
func TestTableNamesWhatLoadReads(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, settings.Table(&out))

	var names []string
	for line := range strings.Lines(out.String()) {
		if name := strings.Fields(line)[0]; name == strings.ToUpper(name) && !strings.HasPrefix(line, " ") {
			names = append(names, name)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(everyVariable)), names)
}

func TestTableReportsABrokenPipe(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	require.ErrorIs(t, settings.Table(failingWriter{broken}), broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
