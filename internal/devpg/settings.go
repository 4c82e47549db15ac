//go:build unix

package devpg

import (
	"maps"
	"slices"
	"strconv"
)

// serverSettings decides what a server is started with. Where it listens comes
// from the engine and cannot be overridden.
func serverSettings(durable, roomy bool, overrides, listen map[string]string) []string {
	settings := map[string]string{
		"jit":                     "off",
		"log_timezone":            "UTC",
		"logging_collector":       "off",
		"max_connections":         "300",
		"timezone":                "UTC",
		"unix_socket_permissions": "0700",
	}
	if !durable {
		// No fsync survives a crash of Postgres, only not one of the machine.
		// synchronous_commit stays on: a killed server has every commit.
		maps.Copy(settings, map[string]string{
			"fsync":            "off",
			"full_page_writes": "off",
			"max_wal_senders":  "0",
			"max_wal_size":     "256MB", // it may be in memory
			"wal_level":        "minimal",
		})
	}
	if !durable || !roomy {
		// Files in the data directory, instead of segments in /dev/shm, which a
		// killed server leaves behind and a parallel hash join can fill.
		settings["dynamic_shared_memory_type"] = "mmap"
	}
	maps.Copy(settings, overrides)
	maps.Copy(settings, listen)
	var args []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// initdbLocale makes a cluster the same on every machine: UTF-8, sorted by
// code point.
func initdbLocale(major int) []string {
	args := []string{"--encoding=UTF8", "--locale=C"}
	if major >= 17 {
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	}
	return args
}

// listenOn is the part of the settings that decides the server's address.
func listenOn(port int, socketDir string) map[string]string {
	listen := map[string]string{
		"listen_addresses":        "",
		"port":                    "5432",
		"unix_socket_directories": socketDir,
	}
	if port > 0 {
		listen["listen_addresses"] = "127.0.0.1"
		listen["port"] = strconv.Itoa(port)
	}
	return listen
}
