package main

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"waybill/migrations"
)

// build is what the Go toolchain wrote into this binary.
type build struct {
	Version  string // a tag, or (devel)
	Revision string // twelve digits of the commit, "" outside of a repository
	Time     string // of the commit
	Modified bool   // built with changes that were not committed
	Go       string
	River    string
}

func readBuild() build {
	b := build{Version: "(unknown)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version, b.Go = cmp.Or(info.Main.Version, "(devel)"), info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/riverqueue/river" {
			b.River = module.Version
		}
	}
	return b
}

func (b build) String() string {
	text := "waybill " + b.Version
	if b.Revision != "" {
		text += " " + b.Revision
		if b.Modified {
			text += "+changes"
		}
	}
	if b.Time != "" {
		text += " of " + b.Time
	}
	return text
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the versions of this binary and what it is built on",
		Example: "  worker version",
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			_, err := fmt.Fprintf(p.stdout, "%s\n%s, river %s, schema step %d\n", b, b.Go, cmp.Or(b.River, "(unknown)"), migrations.Version())
			return err
		},
	}
}
