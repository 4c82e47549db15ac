package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/term"

	"waybill/internal/ops"
	"waybill/internal/settings"
	"waybill/migrations"
)

// Exit codes, the same in every Waybill program.
const (
	exitOK            = 0
	exitRuntime       = 1
	exitUsage         = 2
	exitConfiguration = 3
	exitDatabase      = 4
	exitUnhealthy     = 5
)

// program is one run of the command.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	// interactive says that a person can answer a question; terminal, that one reads stderr.
	interactive, terminal bool
}

// run is the whole program; the result is its exit code. The end of ctx is the signal
// to stop.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	p.terminal = isTerminal(stderr)
	p.interactive = p.terminal && isTerminal(stdin)
	return p.execute(ctx, args)
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (p *program) execute(ctx context.Context, args []string) (code int) {
	defer func() {
		if cause := recover(); cause != nil {
			p.complain("worker: this is a bug: %s\n%s", p.withoutSecrets(fmt.Sprint(cause)), p.withoutSecrets(string(debug.Stack())))
			code = exitRuntime
		}
	}()
	root := p.root() //nolint:contextcheck // each command gets its context from ExecuteContext
	root.SetArgs(args)
	return p.exitCode(root.ExecuteContext(ctx))
}

// withoutSecrets removes every secret of the environment from a text that we have not
// written ourselves.
func (p *program) withoutSecrets(text string) string {
	s, _ := settings.Load(p.environ) // what can be read of a wrong environment is still secret
	for _, secret := range []settings.Secret{s.DatabaseURL, s.APIKey, s.SandboxAPIKey, s.SecretKey, s.HashKey, s.UIToken} {
		if secret.IsSet() {
			text = strings.ReplaceAll(text, secret.Reveal(), "[secret]")
		}
	}
	return text
}

func (p *program) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(p.stderr, format+"\n", args...)
}

// usageError is a command line that makes no sense.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// databaseError is a database that cannot be used, with what to do about it.
type databaseError struct {
	error
	fix string
}

func (e databaseError) Unwrap() error { return e.error }

// ended is an exit code about which everything has been said.
type ended int

func (e ended) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode says what went wrong, and turns it into an exit code.
func (p *program) exitCode(err error) int {
	var code ended
	var config *settings.Error
	var usage usageError
	var database databaseError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &config):
		p.complain("worker: the configuration is wrong\n%v", config)
		return exitConfiguration
	case errors.As(err, &usage):
		p.complain("worker: %v\n    worker -h shows how it is used", usage)
		return exitUsage
	case errors.As(err, &database):
		p.complain("worker: %v", database)
		if database.fix != "" {
			p.complain("    %s", database.fix)
		}
		return exitDatabase
	case errors.Is(err, migrations.ErrPending), errors.Is(err, migrations.ErrNewer), errors.Is(err, ops.ErrReadOnly):
		p.complain("worker: %v", err)
		return exitDatabase
	default:
		p.complain("worker: %v", err)
		return exitRuntime
	}
}
