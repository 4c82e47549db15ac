package waybill_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImportsPointOneWay holds the direction of the house: tx → bundle + job → worker →
// batch → Amplitude → delivery. Nothing calls back up.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	rules := []struct {
		of   string // package
		not  []string
		why  string
		deep bool // also what it imports indirectly
	}{
		{
			of: "waybill", deep: true,
			not: []string{"net/http", "testing", "github.com/riverqueue/", "waybill/internal/jobs", "waybill/internal/amplitude", "waybill/migrations"},
			why: "applications import it: it brings no queue, no HTTP client and no test code along",
		},
		{
			of: "waybill/waybilltest", deep: true,
			not: []string{"net/http", "github.com/stretchr/", "github.com/riverqueue/", "waybill/migrations"},
			why: "applications' tests import it: it brings nothing along that the application does not have",
		},
		{
			of: "waybill/internal/bundle", deep: true,
			not: []string{"waybill", "waybill/", "net/http", "database/sql", "github.com/jackc/"},
			why: "the stored form must be readable without the program around it",
		},
		{
			of: "waybill/internal/amplitude", deep: true,
			not: []string{"waybill", "waybill/", "github.com/jackc/", "github.com/riverqueue/"},
			why: "one request, one answer: it knows neither bundles nor the database",
		},
		{
			of: "waybill/internal/settings", deep: true,
			not: []string{"waybill", "waybill/", "github.com/jackc/", "net/http"},
			why: "the environment is read before anything is connected",
		},
		{
			of: "waybill/migrations", deep: true,
			not: []string{"waybill", "waybill/internal/"},
			why: "SQL stands alone",
		},
		{
			of:  "waybill/internal/jobs",
			not: []string{"waybill", "waybill/internal/ops", "waybill/internal/settings", "waybill/internal/plan", "waybill/internal/plan/compiled", "net/http"},
			why: "the loop sends through an interface of its own, and is told its configuration and its plan",
		},
		{
			of: "waybill/internal/plan/compiled", deep: true,
			not: []string{"waybill", "waybill/", "github.com/"},
			why: "the file that passes between plan and worker is read alike by both, and drags nothing along",
		},
		{
			of: "waybill/internal/plan/check", deep: true,
			not: []string{"waybill", "waybill/internal/plan", "waybill/internal/plan/lint", "waybill/internal/plan/gen", "waybill/internal/jobs", "go.yaml.in/", "github.com/jackc/", "net/http"},
			why: "a worker checks bundles against what was compiled; it reads no YAML and asks nobody",
		},
		{
			of:  "waybill/internal/plan",
			not: []string{"waybill", "waybill/internal/bundle", "waybill/internal/plan/compiled", "waybill/internal/plan/check"},
			why: "what people wrote knows nothing of what is made of it",
		},
		{
			of:  "waybill/internal/ops",
			not: []string{"waybill", "waybill/internal/bundle"},
			why: "operators see outcomes, not payloads",
		},
	}
	for _, rule := range rules {
		t.Run(rule.of, func(t *testing.T) {
			t.Parallel()
			for _, imported := range imports(t, rule.of, rule.deep) {
				for _, forbidden := range rule.not {
					broken := imported == forbidden || strings.HasSuffix(forbidden, "/") && strings.HasPrefix(imported, forbidden)
					require.Falsef(t, broken, "%s imports %s: %s", rule.of, imported, rule.why)
				}
			}
		})
	}
}

// TestNothingInternalImportsTheRoot keeps the public package a source, not a centre. A
// program may use it as any application does: nothing can import a program.
func TestNothingInternalImportsTheRoot(t *testing.T) {
	t.Parallel()
	for _, pkg := range list(t, `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "waybill/internal/...") {
		for _, imported := range imports(t, pkg, false) {
			require.NotEqualf(t, "waybill", imported, "%s imports the public package", pkg)
		}
	}
}

// TestOnlyOneClient keeps every HTTP request to the outside in one place.
func TestOnlyOneClient(t *testing.T) {
	t.Parallel()
	allowed := map[string]string{
		"waybill/internal/amplitude":               "the client",
		"waybill/internal/amplitude/amplitudetest": "a server",
		"waybill/internal/ops":                     "a server",
		"waybill/internal/demo":                    "asks the fake and the workers on loopback",
		"waybill/internal/devpg":                   "downloads Postgres for development",
		"waybill/internal/bench/endpoint":          "an endpoint that only counts",
		"waybill/internal/bench":                   "asks a worker's metrics on loopback",
		"waybill/internal/chaos/scenario":          "runs the fake beside real workers",
		"waybill/internal/chaos/cmd":               "runs the scenarios",
		"waybill/cmd/worker":                       "starts the server",
		"waybill/cmd/enqueue":                      "catches the request of a dry run before it leaves",
		"waybill/cmd/fakeamplitude":                "starts the fake",
	}
	for _, pkg := range list(t, "{{.ImportPath}}", "waybill/...") {
		for _, imported := range imports(t, pkg, false) {
			if imported == "net/http" {
				require.Containsf(t, allowed, pkg, "%s imports net/http", pkg)
			}
		}
	}
}

func imports(t *testing.T, pkg string, deep bool) []string {
	t.Helper()
	format := `{{join .Imports "\n"}}`
	if deep {
		format = `{{join .Deps "\n"}}`
	}
	return list(t, format, pkg)
}

func list(t *testing.T, format, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", format, pkg).CombinedOutput()
	require.NoErrorf(t, err, "go list: %s", out)
	return strings.Fields(string(out))
}
