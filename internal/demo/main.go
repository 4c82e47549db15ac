//go:build unix

// Command demo is `make demo`: a Postgres, a fake Amplitude that is not always well, two
// real workers of which one is killed, and a small shop whose numbers must balance in
// the end. Everything it starts ends with it, and nothing stays on the machine.
//
//	go run ./internal/demo [--orders N] [--keep]
//
// DATABASE_URL names a server to use instead of starting one; the demo makes a database
// of its own there and removes it.
//
// It exits with 0 when the table balances, 1 when it does not or something failed, 2
// when it was called wrongly and 130 when it was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// fewestOrders keep the shop open long enough to kill a worker at work.
const fewestOrders = 1000

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	// A pipe that nobody reads any more is a wish to stop, too: with SIGPIPE taken, a
	// write fails instead of ending this process before it has cleaned up.
	ctx, stop := signal.NotifyContext(context.Background(),
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	go abandoned(ctx, cancel)
	code := run(ctx, os.Args[1:], os.Getenv("DATABASE_URL"), os.Stdout, os.Stderr)
	cancel()
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, databaseURL string, stdout *os.File, stderr io.Writer) (code int) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	orders := flags.Int("orders", 4000, "orders to commit")
	keep := flags.Bool("keep", false, "leave everything running until Ctrl-C, and say how to look around")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case *orders < fewestOrders:
		_, _ = fmt.Fprintf(stderr, "demo: --orders %d is over before there is anything to see; give %d or more\n",
			*orders, fewestOrders)
		return exitUsage
	}
	stack, err := newStack()
	if err != nil {
		complain(stderr, "demo:", err)
		return exitFailed
	}
	defer func() {
		if err := stack.close(context.WithoutCancel(ctx)); err != nil {
			complain(stderr, "demo: clean up:", err)
			code = exitFailed
		}
	}()
	d := &demo{stack: stack, screen: newScreen(stdout), orders: *orders}
	return d.perform(ctx, databaseURL, *keep, stderr)
}

// perform shows the demo, says how it went, and keeps everything running if asked.
func (d *demo) perform(ctx context.Context, databaseURL string, keep bool, stderr io.Writer) int {
	ok, err := d.show(ctx, databaseURL)
	took := time.Since(d.began).Seconds()
	code := exitFailed
	switch {
	case ctx.Err() != nil:
		d.print("\nInterrupted; stopping everything.")
		return exitInterrupted
	case err != nil:
		d.erase()
		complain(stderr, "demo:", err)
		return exitFailed
	case ok:
		code = 0
		d.print(fmt.Sprintf("It balances. %.0f s.", took))
	default:
		d.print(fmt.Sprintf("It does NOT balance. %.0f s.", took))
	}
	if keep {
		d.lookAround()
		<-ctx.Done()
	} else {
		d.print("To look around: make demo ARGS=--keep")
	}
	return code
}

func complain(stderr io.Writer, about string, err error) { _, _ = fmt.Fprintln(stderr, about, err) }

// abandoned cancels when the process that started this one has ended without telling:
// `go run` passes a Ctrl-C on, but not a kill.
func abandoned(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if os.Getppid() != parent {
				cancel()
			}
		}
	}
}
