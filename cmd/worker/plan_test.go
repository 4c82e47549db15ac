package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/settings"
)

const referencePlan = "../../internal/plan/gen/testdata/reference/plan/generated/plan.json"

// TestAPlanThatCannotBeRead: one problem that names the variable, the file and the fix,
// before anything is connected to.
func TestAPlanThatCannotBeRead(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile(referencePlan)
	require.NoError(t, err)
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"absent":      {"", "cannot be read: no such file or directory; set the path of the plan.json that plan gen writes"},
		"yaml":        {"name: shop\n", "is no compiled plan"},
		"empty":       {" ", "is no compiled plan"},
		"array":       {"[]", "is no compiled plan"},
		"format":      {`{"format": 99}`, "has format 99 and this program reads 1; set the path of the plan.json that plan gen of this release writes"},
		"other JSON":  {`{"events": []}`, "has format 0 and this program reads 1"},
		"cut off":     {string(good[:len(good)/2]), "is no compiled plan"},
		"twice":       {string(good) + string(good), "is no compiled plan"},
		"broken rule": {strings.Replace(string(good), `"mode": "enforce"`, `"mode": "shout"`, 1), "cannot be used: event name_taken 1.0: its mode is none of"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "_")+".json")
			if c.text != "" {
				require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			}
			for _, command := range []string{"run", "doctor"} {
				var stdout, stderr bytes.Buffer
				code := run(t.Context(), []string{command}, []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/none", "ANALYTICS_PLAN=" + file}, nil, &stdout, &stderr)
				require.Equal(t, exitConfiguration, code)
				said := strings.Join(strings.Fields(stdout.String()+stderr.String()), " ")
				require.Equal(t, 1, strings.Count(said, "ANALYTICS_PLAN"), said)
				require.Contains(t, said, file)
				if command == "run" {
					require.Contains(t, said, strings.ReplaceAll(c.want, "; ", " "))
				}
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		_, err := loadPlan(settings.Settings{Plan: dir})
		require.ErrorContains(t, err, "is a directory")
	})
}

func TestAGoodPlan(t *testing.T) {
	t.Parallel()
	p, err := loadPlan(settings.Settings{Plan: referencePlan})
	require.NoError(t, err)
	require.Equal(t, "reference 1.0", planName(p))
	none, err := loadPlan(settings.Settings{})
	require.NoError(t, err)
	require.Nil(t, none)
	require.Empty(t, planName(none))
}
