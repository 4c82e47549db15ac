// Command plan checks a tracking plan and generates what follows from it.
package main

import (
	"context"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], ".", os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
