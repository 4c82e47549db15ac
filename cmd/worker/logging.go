package main

import (
	"io"
	"log/slog"
)

// newLogger writes lines of the given format (json, text, auto) to w. Auto is text for a
// person and JSON for a machine.
func newLogger(format string, w io.Writer, terminal bool) *slog.Logger {
	if format == "text" || format == "auto" && terminal {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}
