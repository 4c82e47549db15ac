package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Previous is a worker of an earlier version.
type Previous struct {
	Path  string // of the binary, "" for none
	Name  string // of the version
	Needs string // what is missing when there is none
}

// heldSince came with the first version whose worker was held to these faults: earlier ones
// break under them.
const heldSince = "internal/chaos/cmd/main.go"

// BuildPrevious builds the worker of the newest release, or, before there is one, of the
// first version that had to survive these faults. It works in dir, from the history of
// the checkout around the working directory, and needs nothing else.
func BuildPrevious(ctx context.Context, dir string) (Previous, error) {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		// The checkout may belong to somebody else. It is only read.
		cmd.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
		output, err := cmd.Output()
		return strings.TrimSpace(string(output)), err
	}
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return Previous{Needs: "a checkout with its history"}, nil //nolint:nilerr // that is an answer
	}
	name, err := git("describe", "--tags", "--abbrev=0", "--match", "v*")
	if err != nil {
		first, err := git("log", "--diff-filter=A", "--format=%h", "--", filepath.Join(root, heldSince))
		if err != nil || first == "" {
			return Previous{Needs: "a checkout with its history"}, nil //nolint:nilerr // likewise
		}
		lines := strings.Fields(first)
		name = lines[len(lines)-1]
	}
	archive := filepath.Join(dir, "previous.tar")
	source := filepath.Join(dir, "previous")
	if err := os.MkdirAll(source, 0o700); err != nil {
		return Previous{}, err
	}
	if _, err := git("-C", root, "archive", "--output", archive, name); err != nil {
		return Previous{Needs: "the commit " + name}, nil //nolint:nilerr // a shallow clone lacks it
	}
	if output, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", source).CombinedOutput(); err != nil {
		return Previous{}, fmt.Errorf("unpack %s: %w\n%s", name, err, output)
	}
	path := filepath.Join(dir, "previous-worker")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "./cmd/worker")
	build.Dir = source
	if output, err := build.CombinedOutput(); err != nil {
		return Previous{}, fmt.Errorf("build the worker of %s: %w\n%s", name, err, output)
	}
	return Previous{Path: path, Name: name}, nil
}
