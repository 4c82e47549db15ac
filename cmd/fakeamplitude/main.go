// Command fakeamplitude is the fake Amplitude as a program, for demos, compose files and local development.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/amplitude/amplitudetest"
)

// Exit codes.
const (
	exitOK      = 0
	exitRuntime = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command(ctx)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.Execute()

	var runtime runtimeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &runtime):
		_, _ = fmt.Fprintf(stderr, "fakeamplitude: %v\n", err)
		return exitRuntime
	default:
		_, _ = fmt.Fprintf(stderr, "fakeamplitude: %v\nTry fakeamplitude -h.\n", err)
		return exitUsage
	}
}

// runtimeError is a failure that the command line is not to blame for.
type runtimeError struct{ error }

func (e runtimeError) Unwrap() error { return e.error }

type options struct {
	addr       string
	apiKeys    []string
	faults     string
	seed       uint64
	latency    time.Duration
	jsonLog    bool
	countsOnly bool
}

func command(ctx context.Context) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "fakeamplitude",
		Short: "A fake Amplitude that is strict, and misbehaves on demand",
		Long: `A fake Amplitude that is strict, and misbehaves on demand.

It speaks /batch, /2/httpapi, /identify, /groupidentify, segmentation,
export and user deletion, keeps everything in memory, and shows what
arrived: open its address in a browser, or read /_fake/stats.`,
		Example: `  fakeamplitude
  fakeamplitude --addr 127.0.0.1:0 --api-key demo   # on any free port
  fakeamplitude --latency 50ms --faults '429=0.02,503=0.02,lost=0.01'
  curl -d '{"fault":{"kind":"503"},"times":3}' \
       http://127.0.0.1:9700/_fake/faults`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fake, err := o.fake(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(ctx, fake, o.addr, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.addr, "addr", "127.0.0.1:9700", "where to `listen`")
	flags.StringArrayVar(&o.apiKeys, "api-key", nil, "a `key` to accept, repeatable (default: any)")
	flags.StringVar(&o.faults, "faults", "", "`shares` of requests that go wrong, see below")
	flags.Uint64Var(&o.seed, "seed", 1, "makes the draws of faults repeatable")
	flags.DurationVar(&o.latency, "latency", 0, "delay of every answer")
	flags.BoolVar(&o.jsonLog, "json-log", false, "log every request to stderr, as JSON")
	flags.BoolVar(&o.countsOnly, "counts-only", false, "keep counts and ids, but no events")
	cmd.SetUsageTemplate(cmd.UsageTemplate() + faultHelp())
	return cmd
}

// faultHelp lists the kinds of faults in lines that fit a terminal.
func faultHelp() string {
	text := "\nFaults:"
	const width = 72
	line := ""
	for _, kind := range amplitudetest.Kinds() {
		if len(line)+len(kind)+1 > width {
			text += "\n " + line
			line = ""
		}
		line += " " + string(kind)
	}
	return text + "\n " + line + "\n"
}

// fake builds the Fake that the flags ask for.
func (o options) fake(log io.Writer) (*amplitudetest.Fake, error) {
	rules, err := amplitudetest.ParseFaults(o.faults)
	if err != nil {
		return nil, fmt.Errorf("--faults: %w", err)
	}
	if o.latency < 0 {
		return nil, fmt.Errorf("--latency: %v is negative", o.latency)
	}
	for _, key := range o.apiKeys {
		if key == "" {
			return nil, errors.New("--api-key: a key cannot be empty")
		}
	}
	cfg := amplitudetest.Config{APIKeys: o.apiKeys, Seed: o.seed, Latency: o.latency, CountsOnly: o.countsOnly}
	if o.jsonLog {
		cfg.Log = slog.New(slog.NewJSONHandler(log, nil))
	}
	fake := amplitudetest.New(cfg)
	fake.Inject(rules...)
	return fake, nil
}

// serve listens until ctx ends, then lets the answers under way finish. The first line on stdout is the address.
func serve(ctx context.Context, fake *amplitudetest.Fake, addr string, stdout io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return runtimeError{err}
	}
	server := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	var served error
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		served = server.Serve(listener)
	}()
	if _, err := fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr()); err != nil {
		_ = server.Close()
		<-stopped
		return runtimeError{err}
	}

	select {
	case <-stopped:
		return runtimeError{served}
	case <-ctx.Done():
	}
	fake.Close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	<-stopped
	return nil
}
