//go:build unix

package bounds

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// residentMiB is what a process occupies in memory.
func residentMiB(pid int) (float64, error) {
	output, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output() //nolint:noctx // it answers at once
	if err != nil {
		return 0, fmt.Errorf("ask ps for the memory of process %d: %w", pid, err)
	}
	kib, err := strconv.ParseFloat(strings.TrimSpace(string(output)), 64)
	if err != nil {
		return 0, fmt.Errorf("ps says %q about the memory of process %d", output, pid)
	}
	return kib / 1024, nil
}
