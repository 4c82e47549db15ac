// Command worker delivers bundles to Amplitude, and is what operators look and act
// through: migrate, status, doctor, retry, resolve.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// oneWish is how close together signals count as one.
const oneWish = time.Second

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		// timeout(1) and some supervisors signal the process and its group: two at once
		// are one wish.
		for first := time.Now(); time.Since(first) < oneWish; {
			<-signals
		}
		_, _ = fmt.Fprintln(os.Stderr, "worker: second signal, leaving at once")
		os.Exit(exitRuntime)
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
