package waybill_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"waybill/internal/devpg/pgtest"
)

// TestMain holds what the package promises applications: it leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, pgtest.IgnoreServer()) }

// TestEveryPackageWithGoroutinesLooksForLeaks sees that no package is forgotten.
func TestEveryPackageWithGoroutinesLooksForLeaks(t *testing.T) {
	t.Parallel()
	const checked = "goleak.VerifyTestMain("
	starts := regexp.MustCompile(`(?m)^\s*go (func\(|[a-zA-Z.]+\()|\.Go\(|\.AfterFunc\(`)
	directories := list(t, "{{.Dir}}", "./...")
	require.Greater(t, len(directories), 20)
	for _, dir := range directories {
		var code, tests strings.Builder
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				tests.Write(text)
			} else {
				code.Write(text)
			}
		}
		if starts.MatchString(code.String()) {
			_, _, found := strings.Cut(tests.String(), checked)
			require.Truef(t, found, "%s starts goroutines: have its TestMain call %s)", dir, checked)
		}
	}
}
