package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// result is what one run of the command left behind.
type result struct {
	code           int
	stdout, stderr string
}

func runPlan(t *testing.T, root string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, root, nil, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// app is a copy of the reference plan and its generated code.
func app(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("../../internal/plan/gen/testdata/reference")))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module app\n"), 0o600))
	return root
}

func edit(t *testing.T, root, file, before, after string) {
	t.Helper()
	name := filepath.Join(root, file)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(text), before)
	require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(text), before, after, 1)), 0o600))
}

func TestLint(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.Equal(t, result{0, "plan: 9 events and 8 traits, nothing wrong\n", ""}, runPlan(t, root, "lint"))

	edit(t, root, "plan/events/billing.yaml", "owner: team-billing", "owner: nobody")
	require.Equal(t, result{1, "", "plan/events/billing.yaml:2: owner \"nobody\" of payment_succeeded is unknown; list it under owners: in plan.yaml, or name one that is [owner]\n"}, runPlan(t, root, "lint"))

	edit(t, root, "plan/events/billing.yaml", "owner: nobody", "ownr: nobody")
	r := runPlan(t, root, "lint")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, `plan/events/billing.yaml:7: an event has no field "ownr"; did you mean "owner"?`)

	r = runPlan(t, root, "lint", "--rules")
	require.Equal(t, 0, r.code)
	require.GreaterOrEqual(t, strings.Count(r.stdout, "\n"), 24)
}

func TestCodeOwnersAreAsked(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "CODEOWNERS"), []byte("* @org/team-billing\n"), 0o600))
	require.Contains(t, runPlan(t, root, "lint").stderr, `plan/plan.yaml:3: owner "team-reports" is not in CODEOWNERS`)
}

func TestGenAndCheck(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.Equal(t, result{0, "", ""}, runPlan(t, root, "gen", "--check"))
	require.Equal(t, result{0, "nothing to do\n", ""}, runPlan(t, root, "gen"))

	edit(t, root, "events/event_reports.gen.go", "TemplateUsed", "TemplateWasUsed")
	require.Equal(t, result{1, "", "drift: events/event_reports.gen.go differs from the plan\nrun plan gen and commit what it writes; edit the YAML, not the output\n"}, runPlan(t, root, "gen", "--check"))
	require.Equal(t, result{0, "wrote events/event_reports.gen.go\n", ""}, runPlan(t, root, "gen"))

	edit(t, root, "plan/events/web.yaml", "How many were found.", "How many there are.")
	require.Equal(t, 1, runPlan(t, root, "gen", "--check").code)
	require.NotContains(t, runPlan(t, root, "gen").stdout, "plan.lock", "a description is no contract")
	require.Equal(t, 0, runPlan(t, root, "gen", "--check").code)
}

// TestAPublishedContractIsNotEdited: gen writes nothing until the version fits, and
// then keeps both.
func TestAPublishedContractIsNotEdited(t *testing.T) {
	t.Parallel()
	root := app(t)
	edit(t, root, "plan/events/web.yaml", "max_length: 200", "max_length: 100")
	r := runPlan(t, root, "gen")
	require.Equal(t, 1, r.code)
	require.Empty(t, r.stdout)
	require.Equal(t, "plan/events/web.yaml:2: page_viewed 1.0 was published and its contract changed: page: max_length narrowed; bump the version to 2.0, or undo the edit [published]\n", r.stderr)

	edit(t, root, "plan/events/web.yaml", "max_length: 100", "max_length: 300")
	edit(t, root, "plan/events/web.yaml", `"1.0"`, `"1.1"`)
	r = runPlan(t, root, "gen")
	require.Equal(t, 0, r.code, r.stderr)
	lock, err := os.ReadFile(filepath.Join(root, "plan/plan.lock"))
	require.NoError(t, err)
	require.Contains(t, string(lock), "page_viewed 1.0 {")
	require.Contains(t, string(lock), "page_viewed 1.1 {")
}

func TestTheSheetKnowsTheCalls(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "main.go"), []byte("package main\n\nimport \"app/events\"\n\nfunc main() { events.SearchPerformed(\"s\") }\n"), 0o600))
	require.Equal(t, "drift: plan/generated/TRACKING.md differs from the plan", strings.SplitN(runPlan(t, root, "gen", "--check").stderr, "\n", 2)[0])
	require.Equal(t, 0, runPlan(t, root, "gen").code)
	sheet, err := os.ReadFile(filepath.Join(root, "plan/generated/TRACKING.md"))
	require.NoError(t, err)
	require.Contains(t, string(sheet), "main.go main |")
	require.Contains(t, string(sheet), "| live | 4 | 1 |")

	// A line more above the call changes nothing.
	edit(t, root, "main.go", "package main\n", "package main\n\n// Here.\n")
	require.Equal(t, 0, runPlan(t, root, "gen", "--check").code)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.NoError(t, os.WriteFile(filepath.Join(root, "main.go"), []byte("package main\n\nimport \"app/events\"\n\nfunc main() {\n\tevents.SearchPerformed(\"s\")\n}\n"), 0o600))
	r := runPlan(t, root, "audit")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stdout, "search_performed                     1.0  live       1\n  main.go:6 main\n")
	require.Contains(t, r.stderr, "plan/events/billing.yaml:2: payment_succeeded is live and nothing calls it; call it, or set status: ready\n")
	require.Empty(t, runPlan(t, root, "audit", "-q").stdout)
	require.Equal(t, 1, runPlan(t, root, "audit", "../...").code)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	root := app(t)
	git(t, root, "init", "-q")
	git(t, root, "add", "-A")
	git(t, root, "commit", "-qm", "base")
	require.Equal(t, result{0, "The tracking plan is unchanged.\n", ""}, runPlan(t, root, "diff", "--base", "HEAD"))

	edit(t, root, "plan/events/web.yaml", "max_length: 200", "max_length: 100")
	r := runPlan(t, root, "diff", "--base", "HEAD")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stdout, "| page_viewed | breaking | 1.0 | live |")
	require.Equal(t, "plan/events/web.yaml:2: the change is breaking: bump the version of page_viewed to 2.0\n", r.stderr)

	r = runPlan(t, root, "diff", "--base", "nowhere")
	require.Equal(t, result{1, "", "plan: git knows no revision \"nowhere\" here; fetch it first\n"}, r)
	require.Equal(t, 1, runPlan(t, root, "diff", "--base=--output=x").code)
	require.NoFileExists(t, filepath.Join(root, "x"))
}

// TestDiffBeforeThePlan: the pull request that brings the plan adds everything. The
// application may stand in a folder of the repository.
func TestDiffBeforeThePlan(t *testing.T) {
	t.Parallel()
	repository := t.TempDir()
	git(t, repository, "init", "-q")
	git(t, repository, "commit", "-qm", "empty", "--allow-empty")
	root := filepath.Join(repository, "services", "shop")
	require.NoError(t, os.CopyFS(root, os.DirFS(app(t))))
	require.Contains(t, runPlan(t, root, "diff", "--base", "HEAD").stdout, "| page_viewed | added | 1.0 | live |")
	git(t, repository, "add", "-A")
	git(t, repository, "commit", "-qm", "plan")
	require.Equal(t, result{0, "The tracking plan is unchanged.\n", ""}, runPlan(t, root, "diff", "--base", "HEAD"))
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

var flags = []string{"--domain", "reports", "--description", "A user archived a report.", "--category", "core_value", "--owner", "team-reports", "--key", "report_id"}

func TestNew(t *testing.T) {
	t.Parallel()
	root := app(t)
	r := runPlan(t, root, append([]string{"new", "report_archived", "--group-level", "workspace"}, flags...)...)
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "added report_archived to plan/events/reports.yaml; describe its properties there, then run\n  plan lint\n  plan gen\n", r.stdout)
	require.Equal(t, "plan: 10 events and 8 traits, nothing wrong\n", runPlan(t, root, "lint").stdout)
	require.Equal(t, 0, runPlan(t, root, "gen").code)
	text, err := os.ReadFile(filepath.Join(root, "events/event_reports.gen.go"))
	require.NoError(t, err)
	require.Contains(t, string(text), "func ReportArchived(in WorkspaceScope, reportID ReportID) ReportArchivedEvent {")

	again := runPlan(t, root, append([]string{"new", "report_archived"}, flags...)...)
	require.Equal(t, result{2, "", "plan: report_archived is in the plan already\n"}, again)
}

func TestNewBeginsAFile(t *testing.T) {
	t.Parallel()
	root := app(t)
	args := append([]string{"new", "invoice_sent"}, flags...)
	args[3] = "invoices"
	require.Equal(t, 0, runPlan(t, root, args...).code)
	require.FileExists(t, filepath.Join(root, "plan/events/invoices.yaml"))
	require.Equal(t, 0, runPlan(t, root, "lint").code)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	root := app(t)
	for flag, c := range map[string]struct{ value, want string }{
		"--domain":      {"../elsewhere", "--domain names a file"},
		"--category":    {"misc", "--category is one of core_value, billing, behaviour"},
		"--owner":       {"nobody", "--owner is one of team-reports, team-billing"},
		"--group-level": {"team", "--group-level is one of account, workspace, project"},
		"--description": {"", "--description says who did what"},
		"--key":         {"", "--key names the property"},
	} {
		r := runPlan(t, root, append(append([]string{"new", "report_archived"}, flags...), flag, c.value)...)
		require.Equal(t, 2, r.code, flag)
		require.Contains(t, r.stderr, c.want)
	}
	require.Contains(t, runPlan(t, root, append([]string{"new", "ReportArchived"}, flags...)...).stderr, "does not match the plan's naming")
	require.Equal(t, "plan: 9 events and 8 traits, nothing wrong\n", runPlan(t, root, "lint").stdout, "something was written")
}

func TestNewAsks(t *testing.T) {
	t.Parallel()
	root := app(t)
	p := &program{root: root, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}, now: time.Now}
	cmd := p.command()
	cmd.SetArgs([]string{"new", "report_archived", "--owner", "team-reports"})
	cmd.SetIn(strings.NewReader("A user archived a report.\nreports\ncore_value\n\nreport_id\n"))
	require.NoError(t, cmd.ExecuteContext(t.Context()))
	require.Equal(t, "plan: 10 events and 8 traits, nothing wrong\n", runPlan(t, root, "lint").stdout)
}

func TestUsage(t *testing.T) {
	t.Parallel()
	root := app(t)
	for _, args := range [][]string{{"bless"}, {"lint", "x"}, {"lint", "--colour"}, {"new"}, {"new", "a", "b"}, {"lint", "--plan", "/etc"}, {"lint", "--plan", "../x"}} {
		r := runPlan(t, root, args...)
		require.Equal(t, 2, r.code, args)
		require.True(t, strings.HasPrefix(r.stderr, "plan: "), r.stderr)
	}
	r := runPlan(t, t.TempDir(), "lint")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "run in the application's root, or say where the plan is with --plan")
}

func TestThePlanMayBeElsewhere(t *testing.T) {
	t.Parallel()
	root := app(t)
	require.NoError(t, os.Rename(filepath.Join(root, "plan"), filepath.Join(root, "tracking")))
	require.Equal(t, 0, runPlan(t, root, "lint", "--plan", "./tracking/").code)
}

func TestHelpFitsTheScreen(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-h"}, {"lint", "-h"}, {"gen", "-h"}, {"diff", "-h"}, {"audit", "-h"}, {"new", "-h"}, {"prune", "-h"}, {"lint", "--rules"}} {
		r := runPlan(t, app(t), args...)
		require.Equal(t, 0, r.code)
		for line := range strings.Lines(r.stdout) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80, line)
		}
	}
}

// TestTheExampleIsUpToDate is what an application's own CI runs.
func TestTheExampleIsUpToDate(t *testing.T) {
	t.Parallel()
	require.Equal(t, result{0, "", ""}, runPlan(t, "../../examples/shop", "gen", "--check"))
}
