//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
)

// errNotHere says where the demo has to be started.
var errNotHere = errors.New("examples/shop is not here; start the demo in the repository's root: make demo")

// build makes the binaries that the demo runs: what anybody would deploy, and the shop
// from its own module.
func build(ctx context.Context, bin, logs string) error {
	if _, err := os.Stat("examples/shop/go.mod"); err != nil {
		return errNotHere
	}
	compiler, err := exec.LookPath("go")
	if err != nil {
		return err
	}
	// Version stamps need a git that trusts this directory; symbols take time to link.
	args := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", bin + string(filepath.Separator)}
	for _, b := range []program{
		{name: "build", args: append(args, "./cmd/worker", "./cmd/fakeamplitude")},
		{name: "build-shop", args: append(args, "."), dir: "examples/shop"},
	} {
		b.path, b.env = compiler, os.Environ()
		p, err := start(b, logs)
		if err != nil {
			return err
		}
		if _, err := p.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
