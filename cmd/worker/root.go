package main

import (
	"strings"

	"github.com/spf13/cobra"

	"waybill/internal/settings"
)

// usageTemplate is cobra's, narrowed to 80 columns.
const usageTemplate = `Usage:
  {{.UseLine}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

"{{.CommandPath}} [command] -h" says more about a command.{{end}}
`

const exitCodes = `Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 database, 5 unhealthy.`

func (p *program) root() *cobra.Command {
	work := p.runCommand()
	root := &cobra.Command{
		Use:   "worker",
		Short: "deliver bundles to Amplitude",
		Long: "worker delivers bundles to Amplitude. Without a command it runs.\n\n" +
			exitCodes + "\n\n" + environment(),
		Example:       work.Example,
		Args:          cobra.NoArgs,
		RunE:          work.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().AddFlagSet(work.Flags())
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(work, p.migrateCommand(), p.statusCommand(), p.doctorCommand(),
		p.retryCommand(), p.resolveCommand(), p.restoredCommand(), p.versionCommand())
	for _, c := range append(root.Commands(), root) {
		c.Args = noArgs
		c.DisableFlagsInUseLine = true
	}
	return root
}

// noArgs refuses words that are neither a command nor a flag.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s knows no %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// environment is the table of variables, for -h.
func environment() string {
	var text strings.Builder
	text.WriteString("Environment:\n")
	if err := settings.Table(&text); err != nil {
		return ""
	}
	return strings.TrimRight(text.String(), "\n")
}
