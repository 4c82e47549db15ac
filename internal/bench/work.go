//go:build unix

package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// work is what a side has done, counted in its database after the measurement.
type work struct {
	actions   int   // bundles, or stock River's jobs
	done      int   // delivered, or completed
	refused   int   // bundles that Amplitude did not want
	bytes     int64 // of payload, as Postgres writes it
	jobs      int
	completed int
	orders    int // business rows
}

func (s *side) work(ctx context.Context) (w work, err error) {
	name := "stock_work"
	if s.name == "waybill" {
		name = "ours_work"
	}
	err = s.pool.QueryRow(ctx, query(name)).Scan(&w.actions, &w.done, &w.refused, &w.bytes, &w.jobs, &w.completed, &w.orders)
	return w, err
}

func (s *side) clear(ctx context.Context) error {
	name := "stock_clear"
	if s.name == "waybill" {
		name = "ours_clear"
	}
	_, err := s.pool.Exec(ctx, query(name))
	return err
}

// asBusyAs says why two sides cannot be compared, "" if they can: as many actions, all done, and payloads whose bytes
// differ by less than one in a hundred.
func (w work) asBusyAs(other work) string {
	switch {
	case w.actions != other.actions:
		return fmt.Sprintf("%d actions against %d", w.actions, other.actions)
	case w.done+w.refused != w.actions || w.completed != w.jobs:
		return fmt.Sprintf("%d of %d done, %d of %d jobs completed", w.done+w.refused, w.actions, w.completed, w.jobs)
	case other.done+other.refused != other.actions:
		return fmt.Sprintf("the other: %d of %d done", other.done, other.actions)
	case math.Abs(float64(w.bytes-other.bytes)) > float64(other.bytes)/100:
		return fmt.Sprintf("%d bytes of payload against %d", w.bytes, other.bytes)
	}
	return ""
}

// awaitDrained waits until no job is left to do and returns the database's time at which that was seen.
func (s *side) awaitDrained(ctx context.Context, f fleet) (at time.Time, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainPatience, fmt.Errorf("%s: not drained after %v", s.name, drainPatience))
	defer cancel()
	const pause = 25 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		var drained bool
		if err := s.pool.QueryRow(ctx, query("drained")).Scan(&at, &drained); err != nil {
			return at, err
		}
		if drained {
			return at, nil
		}
		if err := f.failure(); err != nil {
			return at, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return at, context.Cause(ctx)
		}
	}
}

const drainPatience = 5 * time.Minute

// began is when the side's first job was fetched, by the database's clock.
func (s *side) began(ctx context.Context) (at time.Time, err error) {
	return at, s.pool.QueryRow(ctx, query("began")).Scan(&at)
}
