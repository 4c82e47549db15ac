//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"syscall"
	"time"
)

// kill is the end of a worker in the middle of its work, and what became of that.
type kill struct {
	worker *worker   // nil before it has happened
	at     time.Time // by the database's clock
	held   []int64   // bundles that it left behind
	rescue rescue
}

// done says that nothing is left of what the worker held.
func (k *kill) done() bool { return k.worker != nil && k.rescue.Delivered == len(k.held) }

const (
	killPatience = 6 * time.Second // to find it at work, and for the server to notice
	killPause    = 3 * time.Millisecond
	handful      = 10 // bundles
)

// worthKilling says whether a worker holds enough to show something. On a slow machine
// that is never much: after half of the patience a single bundle will do.
func worthKilling(holding int, waited time.Duration) bool {
	return holding >= handful || holding > 0 && waited >= killPatience/2
}

// strike kills a worker while it has requests under way, and finds what it held. One
// that holds nothing is no proof: it is frozen first, looked at, and goes on if there
// is too little in its hands.
func (k *kill) strike(ctx context.Context, l ledger, w *worker) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killPatience,
		fmt.Errorf("no request of %s was seen under way for %v", w.name, killPatience))
	defer cancel()
	for began := time.Now(); ; {
		now, err := freeze(ctx, l, w)
		if err != nil {
			return err
		}
		if worthKilling(now.Holding, time.Since(began)) {
			k.at = now.At
			break
		}
		w.signal(syscall.SIGCONT)
		if err := pause(ctx, killPause); err != nil {
			return err
		}
	}
	w.kill()
	k.worker = w

	// The server notices a moment later, and rolls back what was open.
	if err := disconnected(ctx, l, w.name); err != nil {
		return err
	}
	var err error
	k.held, err = l.held(ctx, w.id)
	return err
}

// freeze stops a worker and looks at it when its last statements have ended.
func freeze(ctx context.Context, l ledger, w *worker) (look, error) {
	w.signal(syscall.SIGSTOP)
	for {
		now, err := l.look(ctx, w)
		if err != nil {
			return look{}, cmp.Or(context.Cause(ctx), err)
		}
		if !now.Busy {
			return now, nil
		}
		if err := pause(ctx, killPause); err != nil {
			return look{}, err
		}
	}
}

// disconnected waits until the server keeps no connection of a program.
func disconnected(ctx context.Context, l ledger, application string) error {
	for {
		switch n, err := l.backends(ctx, application); {
		case err != nil:
			return cmp.Or(context.Cause(ctx), err)
		case n == 0:
			return nil
		}
		if err := pause(ctx, killPause); err != nil {
			return err
		}
	}
}

// pause lets time pass unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
