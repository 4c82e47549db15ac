//go:build !unix

package devpg

import (
	"context"
	"fmt"
	"runtime"
)

// downloadVersion only completes a sentence on systems without a download.
const downloadVersion = "18"

func open(context.Context, Options) (engine, string, error) {
	return nil, "", fmt.Errorf("a server cannot be started on %s; give one by URL, or use WSL", runtime.GOOS)
}
