//go:build unix

// Command withpg runs a command with a Postgres server for its tests:
//
//	go run ./internal/devpg/withpg -- go test ./...
//
// The command finds the server's URL in TEST_DATABASE_URL. The server is the one
// that TEST_DATABASE_URL or DATABASE_URL names, or else a temporary one that
// ends with the command.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"waybill/internal/devpg"
)

// Exit codes besides the command's own.
const (
	exitUsage    = 2
	exitDatabase = 4
	exitNotRun   = 127 // as shells have it
)

func main() {
	// The command dies with the thread that started it: keep that thread.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:], os.Getenv, os.Stderr))
}

func run(args []string, getenv func(string) string, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	logger := log.New(stderr, "withpg: ", 0)
	if len(args) == 0 {
		logger.Print("usage: withpg -- COMMAND [ARGUMENT...]")
		return exitUsage
	}
	// From here on signals are the command's business; we last until it ends.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	defer signal.Stop(signals)

	server, code := startServer(signals, cmp.Or(getenv("TEST_DATABASE_URL"), getenv("DATABASE_URL")), logger)
	if server == nil {
		return code
	}
	code = runCommand(args, server.URL(), signals, logger)
	if err := server.Stop(); err != nil {
		logger.Printf("stop Postgres: %v", err)
		return cmp.Or(code, exitDatabase)
	}
	return code
}

// startServer gives up at the first signal.
func startServer(signals <-chan os.Signal, url string, logger *log.Logger) (*devpg.Server, int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	type outcome struct {
		server *devpg.Server
		err    error
	}
	started := make(chan outcome, 1)
	go func() {
		server, err := devpg.Start(ctx, devpg.Options{URL: url, Log: logger.Writer()})
		started <- outcome{server, err}
	}()
	var received os.Signal
	for {
		select {
		case received = <-signals:
			cancel(fmt.Errorf("signal: %v", received))
		case o := <-started:
			switch {
			case o.err != nil && received == nil:
				logger.Printf("%v", o.err)
				return nil, exitDatabase
			case o.err != nil:
				return nil, signalled(received)
			case received != nil:
				_ = o.server.Stop() // it came up just before
				return nil, signalled(received)
			}
			return o.server, 0
		}
	}
}

// runCommand runs the command to its end, passing signals on.
func runCommand(args []string, url string, signals <-chan os.Signal, logger *log.Logger) int {
	path, err := exec.LookPath(args[0])
	if err != nil {
		logger.Printf("%v", err)
		return exitNotRun
	}
	cmd := &exec.Cmd{
		Path: path, Args: args, Env: append(os.Environ(), "TEST_DATABASE_URL="+url),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{},
	}
	devpg.DieWithParent(cmd.SysProcAttr, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		logger.Printf("%v", err)
		return exitNotRun
	}
	ended := make(chan struct{})
	passedOn := make(chan struct{})
	go func() {
		defer close(passedOn)
		for {
			select {
			case received := <-signals:
				if !sentByTerminal(received) {
					_ = cmd.Process.Signal(received) // it may have just ended
				}
			case <-ended:
				return
			}
		}
	}()
	err = cmd.Wait()
	close(ended)
	<-passedOn
	return exitCode(err, logger)
}

func exitCode(err error, logger *log.Logger) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		logger.Printf("%v", err)
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalled(status.Signal())
	}
	return exit.ExitCode()
}

// signalled is the exit code that shells give to a command ended by a signal.
func signalled(s os.Signal) int {
	if number, ok := s.(syscall.Signal); ok {
		return 128 + int(number)
	}
	return 1
}

// sentByTerminal reports whether a key of our terminal sent the signal. The
// command then has it already, and a second one could mean something else.
func sentByTerminal(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT {
		return false
	}
	terminal, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer func() { _ = terminal.Close() }()
	foreground, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == syscall.Getpgrp()
}
