// Shop is a small shop whose orders are tracked: an example to read, and the
// application of `make demo`.
//
//	order.go      start here: an order and its event, in one transaction
//	plan/         the tracking plan: every event, trait and group there is
//	events/       the same as Go, generated; and recipes, which compose them
//	customer.go   traits, groups, and the same with database/sql
//	sql/          the shop's tables, and a trigger that enqueues without Go
//	traffic.go    plays the customers, some of whom change their mind
//	crm/          more of a product's life, as packages that are handed a transaction:
//	billing/      contacts and calls, money,
//	llmcost/      and what calls of language models cost
//
// It uses nothing of Waybill but the package waybill (its tests also waybilltest), holds
// no API key, and its database login may enqueue and do nothing else there.
//
//	DATABASE_URL=postgres://shop:…@127.0.0.1:5432/shop go run . --orders 1000
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

const exitUsage = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case err != nil:
		log.New(os.Stderr, "shop: ", 0).Fatal(err)
	}
}

// errUsage says that flag has told the user already.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	orders := flags.Int("orders", 1000, "orders to commit")
	workers := flags.Int("workers", 8, "customers who shop at the same time")
	seed := flags.Uint64("seed", 1, "the same seed asks for the same things; another one for new ones")
	asJSON := flags.Bool("json", false, "print the summary as JSON")
	testEvent := flags.String("test-event", "", "track one test_event of this `id`, and nothing else")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	url := getenv("DATABASE_URL")
	if url == "" {
		return errors.New("DATABASE_URL is not set; give the shop's login, e.g. postgres://shop:secret@127.0.0.1:5432/shop")
	}

	shop, err := Open(ctx, url)
	if err != nil {
		return err
	}
	defer shop.Close() //nolint:errcheck // everything that matters has been committed
	if *testEvent != "" {
		return shop.TryOut(ctx, *testEvent, stdout)
	}
	summary, err := (&Traffic{Shop: shop, Orders: *orders, Workers: *workers, Seed: *seed}).Run(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(stdout).Encode(summary)
	}
	_, err = fmt.Fprint(stdout, summary)
	return err
}
