package waybill_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryTestThatTheDocsNameExists keeps docs/guarantees.md from promising what nothing
// checks any more.
func TestEveryTestThatTheDocsNameExists(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("docs/guarantees.md")
	require.NoError(t, err)
	names := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	require.Greater(t, len(names), 20)
	out, err := exec.Command("grep", "-rhoE", "--include=*_test.go", "^func Test[A-Za-z0-9]+", ".").CombinedOutput()
	require.NoErrorf(t, err, "grep: %s", out)
	exist := map[string]bool{}
	for _, line := range strings.Split(string(out), "\n") {
		exist[strings.TrimPrefix(line, "func ")] = true
	}
	for _, name := range names {
		require.Truef(t, exist[name[1]], "docs/guarantees.md names %s, which does not exist", name[1])
	}
}

// TestEveryTargetThatTheDocsNameExists does the same for make.
func TestEveryTargetThatTheDocsNameExists(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	pages := []string{"README.md", "docs/guarantees.md", "docs/performance.md", "docs/sql.md", "docs/tracking-plan.md"}
	for _, name := range pages {
		page, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, use := range regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z/-]*)").FindAllStringSubmatch(string(page), -1) {
			require.Regexpf(t, `(?m)^`+regexp.QuoteMeta(use[1])+`:`, string(makefile), "%s says make %s", name, use[1])
		}
	}
}
