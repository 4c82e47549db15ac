//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"waybill/internal/bench/figures"
)

// describeMachine reads what Linux tells in /proc. Elsewhere the fields stay unknown.
func describeMachine() figures.Machine {
	m := figures.Machine{
		CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Load: -1,
		System: runtime.GOOS, Go: runtime.Version(), River: "unknown",
	}
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		m.CPU = model
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		m.MemoryMB = kb / 1024
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.SplitN(strings.TrimSpace(string(release)), "-", 2)[0]
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		if first, err := strconv.ParseFloat(strings.Fields(string(load))[0], 64); err == nil {
			m.Load = first
		}
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range build.Deps {
			if dependency.Path == "github.com/riverqueue/river" {
				m.River = dependency.Version
			}
		}
	}
	return m
}

// field finds "name : value" in a file.
func field(path, name string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// tick is the unit of /proc/<pid>/stat on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// processCPU is what a process has used so far, without its children; false where /proc does not tell.
func processCPU(pid int) (time.Duration, bool) {
	s, err := readStat(strconv.Itoa(pid))
	return s.own, err == nil
}

// peakBytes is the most memory that a process has had resident so far, 0 if the system does not tell. It is asked of the
// living: what is told of a child that has ended begins with the peak of the process that started it.
func peakBytes(pid int) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}

// familyCPU is what a process and its children have used so far, those that have ended included. Postgres is such a
// family.
func familyCPU(pid int) (total time.Duration, ok bool) {
	parent, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return 0, false
	}
	total = parent.own + parent.reaped
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, false
	}
	for _, dir := range all {
		if child, err := readStat(filepath.Base(dir)); err == nil && child.parent == pid {
			total += child.own
		}
	}
	return total, true
}

type stat struct {
	parent      int
	own, reaped time.Duration
}

// readStat parses /proc/<pid>/stat: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
func readStat(pid string) (s stat, err error) {
	content, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return s, err
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	const parent, user, system, reapedUser, reapedSystem = 1, 11, 12, 13, 14
	if len(fields) <= reapedSystem {
		return s, fmt.Errorf("/proc/%s/stat is too short", pid)
	}
	var ticks [reapedSystem + 1]int64
	for i := range ticks {
		ticks[i], _ = strconv.ParseInt(fields[i], 10, 64) // the state is a letter
	}
	s.parent = int(ticks[parent])
	s.own = time.Duration(ticks[user]+ticks[system]) * tick
	s.reaped = time.Duration(ticks[reapedUser]+ticks[reapedSystem]) * tick
	return s, nil
}
