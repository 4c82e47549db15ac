//go:build unix

package main

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// fleet is worker processes of one side, which work on the same database.
type fleet []*process

// starter starts one process and returns when it is ready.
type starter func(ctx context.Context) (*process, error)

// launch starts n processes at once.
func launch(ctx context.Context, n int, start starter) (fleet, error) {
	all := make(fleet, n)
	group, ctx := errgroup.WithContext(ctx)
	for i := range all {
		group.Go(func() (err error) {
			all[i], err = start(ctx)
			return err
		})
	}
	err := group.Wait()
	if err != nil {
		all.kill()
	}
	return all, err
}

// failure is why a process has ended that should not have, nil while all run.
func (f fleet) failure() error {
	for _, p := range f {
		select {
		case <-p.finished:
			return p.failure()
		default:
		}
	}
	return nil
}

func (f fleet) kill() {
	for _, p := range f {
		if p != nil {
			p.kill()
		}
	}
}

// stop ends all and returns what they took together. The memory is that of the largest.
func (f fleet) stop() (all usage, err error) {
	for _, p := range f {
		took, err := p.stop()
		if err != nil {
			return all, err
		}
		all.cpu += took.cpu
		all.maxBytes = max(all.maxBytes, took.maxBytes)
	}
	return all, nil
}
