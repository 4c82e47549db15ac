package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/shop/internal/stack"
)

// walkthrough is docs/tracking-plan.md, carried out in a copy of this application.
type walkthrough struct {
	*stack.Database
	amplitude *stack.Amplitude
	root      string
	env       []string
	said      string // by the last command
}

// TestTheTrackingPlanPageWorks does what docs/tracking-plan.md says, block by block, in
// its order: commands are run and must succeed unless the page says that they are
// refused, files are written, and what the page shows as an answer is the answer.
func TestTheTrackingPlanPageWorks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/tracking-plan.md")
	require.NoError(t, err)
	w := newWalkthrough(t)
	intro, steps, _ := strings.Cut(string(page), "## An event in five minutes")
	for line := range strings.Lines(blocks(intro)[0][2]) {
		there, err := filepath.Glob(filepath.Join(w.root, strings.Fields(line)[0]))
		require.NoError(t, err)
		require.NotEmpty(t, there, line)
	}
	found := blocks(steps)
	require.Greater(t, len(found), 20)
	for _, block := range found {
		switch kind, text := block[1], block[2]; kind {
		case "sh":
			for _, command := range commands(text) {
				w.run(t, command)
			}
		case "go":
			name, code, _ := strings.Cut(text, "\n")
			w.write(t, strings.TrimPrefix(name, "// "), code)
		case "yaml":
			w.describe(t, text)
		case "text":
			require.Equal(t, strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(w.said), " "), "lines may be folded")
		case "sql":
			w.Exec(t, text)
		default:
			require.Fail(t, "nobody runs this block", kind)
		}
	}
	w.run(t, "plan lint --rules") // the page's last line
	delivered := w.amplitude.Events(t, "wishlist_item_added")
	require.Len(t, delivered, 2, "the one by enqueue, the one by SQL, and not the one that breaks the plan")
	require.Equal(t, 1, w.Count(t, "SELECT count(*) FROM waybill.violations() WHERE property = 'added_from' AND mode = 'enforce'"))
}

// blocks are the fenced blocks of a page: all of it, its language, its text.
func blocks(page string) [][]string {
	return regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(page, -1)
}

func newWalkthrough(t *testing.T) *walkthrough {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	w := &walkthrough{Database: stack.New(t), amplitude: stack.StartAmplitude(t), root: filepath.Join(t.TempDir(), "shop")}
	require.NoError(t, os.CopyFS(w.root, os.DirFS(here)))
	module, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	w.write(t, "go.mod", strings.Replace(string(module), "=> ../..", "=> "+filepath.Join(here, "..", ".."), 1))
	w.env = append(stack.Environ(), "DATABASE_URL="+w.URL(stack.Admin),
		"PATH="+filepath.Dir(stack.Program(t, "plan"))+":"+os.Getenv("PATH"))
	for _, command := range []string{
		"git init --quiet .", "git add .",
		"git -c user.name=reviewer -c user.email=reviewer@example.com commit --quiet -m base",
		"git update-ref refs/remotes/origin/main HEAD",
	} {
		w.run(t, command)
	}
	return w
}

// commands are the lines of a block, with those that go on in the next one joined.
func commands(block string) []string {
	var list []string
	for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// run runs a command as a person would.
func (w *walkthrough) run(t *testing.T, command string) {
	t.Helper()
	command, comment, _ := strings.Cut(command, " # ")
	command = strings.ReplaceAll(command, "http://127.0.0.1:9700", w.amplitude.URL)
	if exported, is := strings.CutPrefix(command, "export "); is {
		w.env = append(w.env, strings.Fields(exported)...)
		return
	}
	if command == "fakeamplitude &" {
		return // one runs already, on another port
	}
	if address, is := strings.CutPrefix(command, "curl -s "); is {
		w.said = w.amplitude.Get(t, strings.Trim(address, "'"))
		w.check(t, command)
		return
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir, cmd.Env = w.root, w.env
	out, err := cmd.CombinedOutput()
	w.said = string(out)
	if comment == "refused" {
		require.Errorf(t, err, "%s: %s", command, out)
		return
	}
	require.NoErrorf(t, err, "%s: %s", command, out)
	w.check(t, command)
}

// check asks for more than the end of a command where the page promises more.
func (w *walkthrough) check(t *testing.T, command string) {
	t.Helper()
	for part, promised := range map[string]string{
		"go test":              "ok",
		"enqueue --dry-run":    `"insert_id": "dryrun:`,
		"ANALYTICS_MODE=debug": `"event_type":"wishlist_item_added"`,
		"curl":                 `"product_id":"prd_9"`,
		"status --key wishlist_item_added:item_1": "delivered",
		"status --key wishlist_item_added:item_3": "added_from",
		"plan diff":             "wishlist_item_added",
		"worker retry":          "1",
		"enqueue --user usr_42": "1",
	} {
		if strings.Contains(command, part) {
			require.Contains(t, strings.ReplaceAll(w.said, `": "`, `":"`), strings.ReplaceAll(promised, `": "`, `":"`), command)
		}
	}
}

func (w *walkthrough) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.root, name), []byte(text), 0o600))
}

// describe puts the stanzas of the event in the place of those that are there.
func (w *walkthrough) describe(t *testing.T, stanzas string) {
	t.Helper()
	const file = "plan/events/shop.yaml"
	text, err := os.ReadFile(filepath.Join(w.root, file))
	require.NoError(t, err)
	before, _, found := strings.Cut(string(text), "  - name: wishlist_item_added\n")
	require.True(t, found)
	w.write(t, file, before+stanzas)
}
