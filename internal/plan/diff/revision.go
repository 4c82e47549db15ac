package diff

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxPlanBytes bounds a plan taken out of version control.
const maxPlanBytes = 64 << 20

// Checkout writes the plan's folder, as it was at a revision of git, below into.
// A revision without that folder leaves it empty.
func Checkout(ctx context.Context, root, dir, revision, into string) error {
	if strings.HasPrefix(revision, "-") {
		return fmt.Errorf("%q is no revision", revision)
	}
	if _, err := git(ctx, root, "rev-parse", "--verify", "--quiet", revision+"^{commit}"); err != nil {
		return fmt.Errorf("git knows no revision %q here; fetch it first", revision)
	}
	listed, err := git(ctx, root, "ls-tree", revision, "--", dir)
	if err != nil || len(bytes.TrimSpace(listed)) == 0 {
		return err
	}
	archive, err := git(ctx, root, "archive", "--format=tar", revision, "--", dir)
	if err != nil {
		return err
	}
	return unpack(archive, into)
}

func git(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // no shell, and a revision cannot be an option
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

func unpack(archive []byte, into string) error {
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // every file in it is closed
	left := int64(maxPlanBytes)
	for files := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if left -= header.Size; left < 0 {
			return errors.New("the plan of that revision is larger than 64 MB")
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		name := filepath.FromSlash(header.Name)
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
}
