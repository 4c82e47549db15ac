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
	killPatience = 20 * time.Second // to find one at work, and for the server to notice
	enough       = 3 * time.Second  // of looking for one with a handful
	frozenAtMost = 250 * time.Millisecond
	killPause    = 3 * time.Millisecond
	handful      = 10 // bundles
)

// worthKilling says whether a worker holds enough to show something. On a slow machine
// that is never much: after a while a single bundle will do.
func worthKilling(now look, waited time.Duration) bool {
	return !now.Busy && (now.Holding >= handful || now.Holding > 0 && waited >= enough)
}

// strike kills one of the workers while it has requests under way, and finds what it
// held. One that holds nothing is no proof (it may be waiting out a refusal): each is
// frozen in turn, looked at, and goes on if there is too little in its hands.
func (k *kill) strike(ctx context.Context, l ledger, workers ...*worker) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killPatience,
		fmt.Errorf("no worker was seen with a request under way for %v", killPatience))
	defer cancel()
	var w *worker
	for began, turn := time.Now(), 0; ; turn++ {
		w = workers[turn%len(workers)]
		now, err := freeze(ctx, l, w)
		if err != nil {
			return err
		}
		if worthKilling(now, time.Since(began)) {
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

// freeze stops a worker and looks at it when its last statements have ended. They never
// end when one waits for a lock that another connection of the frozen worker holds: it is
// busy then, after a while.
func freeze(ctx context.Context, l ledger, w *worker) (look, error) {
	w.signal(syscall.SIGSTOP)
	for began := time.Now(); ; {
		now, err := l.look(ctx, w)
		if err != nil {
			return look{}, cmp.Or(context.Cause(ctx), err)
		}
		if !now.Busy || time.Since(began) >= frozenAtMost {
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
