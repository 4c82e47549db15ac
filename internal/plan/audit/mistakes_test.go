package audit_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/plan"
	"waybill/internal/plan/audit"
)

// mistake is something that must not go through, as the body of a function of an
// application, and who refuses it how.
type mistake struct {
	name     string
	body     string
	compiler string // part of the compiler's message
	audit    string // part of the audit's finding, if the compiler lets it pass
}

const arguments = "tx pgx.Tx, client *waybill.Client[pgx.Tx], ctx context.Context, acc events.AccountScope, ws events.WorkspaceScope, project events.ProjectScope, hasher *waybill.Hasher, s string"

// mistakes are those that a plan is there to prevent.
var mistakes = []mistake{
	{name: "required property missing", body: `events.ReportCreated(ws, "r_1")`, compiler: "not enough arguments"},
	{name: "unknown property", body: `events.ReportCreated(ws, "r_1", events.ReportTypeCustom).Colour("red")`, compiler: "Colour undefined"},
	{name: "property of the wrong type", body: `events.ReportCreated(ws, "r_1", events.ReportTypeCustom).Pages("three")`, compiler: "as int value"},
	{name: "wrong group level", body: `events.ReportCreated(acc, "r_1", events.ReportTypeCustom)`, compiler: "as events.WorkspaceScope value"},
	{name: "group level left out", body: `events.ReportCreated("r_1", events.ReportTypeCustom)`, compiler: "not enough arguments"},
	{name: "two ids swapped", body: `events.InAccount(events.AccountID(s)).Workspace(events.ProjectID(s))`, compiler: "as events.WorkspaceID value"},
	{name: "hierarchy out of order", body: `events.InAccount("a").Project("p")`, compiler: "Project undefined"},
	{name: "misspelt event", body: `events.ReportCreatd(ws, "r_1", events.ReportTypeCustom)`, compiler: "undefined: events.ReportCreatd"},
	{name: "misspelt enum literal", body: `events.ReportCreated(ws, "r_1", "custm")`, compiler: "as events.ReportType value"},
	{name: "enum out of a string", body: `events.ReportCreated(ws, "r_1", events.ReportType(s))`, compiler: "cannot convert"},
	{name: "enum made by hand", body: `events.ReportCreated(ws, "r_1", events.ReportType{"custm"})`, compiler: "implicit assignment to unexported field"},
	{name: "raw phone number in a hashed property", body: `events.ReportCreated(ws, "r_1", events.ReportTypeCustom).AssigneeRef("+4930123456")`, compiler: "as waybill.Token value"},
	{name: "trait of the wrong group", body: `events.InAccount("a").Workspace("w", events.SetAccountSeats(3))`, compiler: "as events.WorkspaceTrait value"},
	{name: "unknown trait", body: `waybill.User(s).With(events.SetUserShoeSize(44))`, compiler: "undefined: events.SetUserShoeSize"},
	{name: "event of a client sent by the server", body: `events.PageViewed()`, compiler: "undefined: events.PageViewed"},
	{name: "removed event", body: `events.ReportPrinted(ws)`, compiler: "undefined: events.ReportPrinted"},
	{name: "something else tracked", body: `client.Track(ctx, tx, waybill.User(s), "report_created")`, compiler: "does not implement waybill.Trackable"},

	{name: "event made by hand", body: `client.Track(ctx, tx, waybill.User(s), waybill.Event{Name: "x", Key: "y"})`, audit: "waybill.Event goes round the plan"},
	{name: "rules of one's own", body: `type mine struct{ events.ReportCreatedEvent }
	_ = mine{}`, audit: "embeds events.ReportCreatedEvent, which goes round its rules"},
	{name: "inline name", body: `fmt.Sprint("Report_Created")`, audit: `"Report_Created" is the name of the event report_created`},
	{name: "empty event", body: `client.Track(ctx, tx, waybill.User(s), events.ReportCreatedEvent{})`, audit: "ReportCreatedEvent{} is empty"},
	{name: "empty scope", body: `events.ReportCreated(*new(events.WorkspaceScope), "r_1", events.ReportTypeCustom)`, audit: "WorkspaceScope{} is empty"},
	{name: "inline trait", body: `waybill.User(s).With(waybill.Set("shoe_size", 44))`, audit: "waybill.Set goes round the plan"},
	{name: "inline group", body: `waybill.User(s).In(waybill.InGroup("team", "t"))`, audit: "waybill.InGroup goes round the plan"},
	{name: "enum given another meaning", body: `events.ReportTypeCustom = events.ReportTypeStandard`, audit: "changes events.ReportTypeCustom"},
	{name: "SQL of one's own", body: `tx.Exec(ctx, "SELECT waybill.enqueue($1)", s)`, audit: "waybill.enqueue goes round the plan"},
	{name: "event that is not live", body: `events.TaskCompleted(project, hasher.Token("phone", s), 1, time.Now(), "call", nil)`, audit: "task_completed is called and its status is ready"},
}

// TestMistakesAreRefused builds an application with one mistake a package.
func TestMistakesAreRefused(t *testing.T) {
	t.Parallel()
	root := application(t)
	for i, m := range mistakes {
		write(t, root, fmt.Sprintf("m%02d/m.go", i), program(m.body))
	}
	write(t, root, "fine/fine.go", program(`client.Track(ctx, tx, waybill.User(s).In(ws.Groups()...), events.ReportCreated(ws, "r_1", events.ReportTypeCustom).Pages(3).AssigneeRef(hasher.Token("phone", s)))
	client.Track(ctx, tx, waybill.User(s), events.PaymentSucceeded(acc, "p_1", 1, "EUR"), events.SearchPerformed("s_1"))`))

	refused := build(t, root)
	require.Empty(t, refused["app/fine"], "correct code does not build")
	require.Empty(t, refused["app/events"], "generated code does not build")
	p, problems := plan.Load(os.DirFS(root), "plan")
	require.Empty(t, problems)
	for i, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			said := refused[fmt.Sprintf("app/m%02d", i)]
			if m.compiler != "" {
				require.Contains(t, said, m.compiler)
				return
			}
			require.Empty(t, said, "the compiler refuses it, which is better")
			source, err := audit.Read(root, p, fmt.Sprintf("./m%02d", i))
			require.NoError(t, err)
			require.Contains(t, findings(audit.Audit(p, source)), m.audit)
		})
	}
	source, err := audit.Read(root, p, "./fine")
	require.NoError(t, err)
	require.Empty(t, audit.Audit(p, source).Findings, "correct code is found fault with")
}

func program(body string) string {
	return "package p\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\t\"time\"\n\n\t\"github.com/jackc/pgx/v5\"\n\n\t\"app/events\"\n\t\"waybill\"\n)\n\n" +
		"var _, _ = fmt.Sprint, time.Now\n\nfunc Do(" + arguments + ") {\n\t" + body + "\n}\n"
}

// application is a module of its own with the reference plan's generated code.
func application(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("../gen/testdata/reference")))
	repository, err := filepath.Abs("../../..")
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	require.NoError(t, err)
	sum, err := os.ReadFile(filepath.Join(repository, "go.sum"))
	require.NoError(t, err)
	text := strings.Replace(string(mod), "module waybill", "module app", 1)
	write(t, root, "go.mod", text+"\nrequire waybill v0.0.0\n\nreplace waybill => "+repository+"\n")
	write(t, root, "go.sum", string(sum))
	return root
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

var packageLine = regexp.MustCompile(`(?m)^# (\S+)$`)

// build compiles everything below root and returns what the compiler says, by
// package.
func build(t *testing.T, root string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "go", "build", "-gcflags=-e", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	out, _ := cmd.CombinedOutput()
	said := map[string]string{}
	at := packageLine.FindAllStringSubmatchIndex(string(out), -1)
	require.NotEmptyf(t, at, "nothing was refused: %s", out)
	for i, m := range at {
		end := len(out)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		said[string(out[m[2]:m[3]])] = string(out[m[1]:end])
	}
	return said
}

func findings(report audit.Report) string {
	var lines []string
	for _, f := range report.Findings {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}
