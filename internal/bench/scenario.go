//go:build unix

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario is a part of the table that is measured together.
type scenario struct {
	name   string // for --only
	what   string
	quick  bool // belongs to --quick
	rounds func(s sizes) int
	// takes is how long a round of it takes on two cores, in full and quick; only for the time left.
	takes [2]time.Duration
	run   func(b *bench, ctx context.Context, round int) error
}

func manyRounds(s sizes) int { return s.rounds }
func fewRounds(s sizes) int  { return s.few }
func oneRound(sizes) int     { return 1 }

// scenarios in the order of the table, the most important first.
var scenarios = []scenario{
	{"drain", "drains beside stock River", true, manyRounds, takes(50, 24), (*bench).drains},
	{"enqueue", "business transactions", true, manyRounds, takes(60, 8), (*bench).enqueues},
	{"bulk", "bulk calls", false, manyRounds, takes(25, 4), (*bench).bulks},
	{"steady", "200 a second", true, fewRounds, takes(50, 7), (*bench).latencies},
	{"idle", "an idle worker", false, fewRounds, takes(150, 140), (*bench).idles},
	{"latency", "slower and faster endpoints", false, fewRounds, takes(30, 20), (*bench).endpoints},
	{"failing", "refused bundles", false, fewRounds, takes(20, 15), (*bench).failures},
	{"hot", "one user with half the traffic", false, fewRounds, takes(20, 18), (*bench).hotUsers},
	{"payload", "payload sizes", false, fewRounds, takes(65, 25), (*bench).payloads},
	{"workers", "one, two and four workers", false, fewRounds, takes(30, 18), (*bench).fleets},
	{"pooler", "a pooler in transaction mode", false, fewRounds, takes(20, 10), (*bench).poolers},
	{"backlog", "long queues", false, fewRounds, takes(165, 35), (*bench).backlogs},
	{"cleaner", "removing completed jobs meanwhile", false, fewRounds, takes(15, 12), (*bench).cleaners},
	{"outage", "an outage and its end", false, fewRounds, takes(45, 20), (*bench).outages},
	{"sustained", "enqueuing and draining at once", false, oneRound, takes(740, 50), (*bench).sustained},
	{"functions", "allocations", false, oneRound, takes(60, 25), (*bench).functions},
	{"soak", "a soak at half capacity", false, oneRound, takes(1900, 60), (*bench).soaks},
}

func takes(full, quick int) [2]time.Duration {
	return [2]time.Duration{time.Duration(full) * time.Second, time.Duration(quick) * time.Second}
}

// chosen are the scenarios to run: those that were named, else those of the mode.
func chosen(o options) ([]scenario, error) {
	var all []scenario
	left := slices.Clone(o.only)
	for _, s := range scenarios {
		at := slices.Index(left, s.name)
		switch {
		case at >= 0:
			left = slices.Delete(left, at, at+1)
			all = append(all, s)
		case len(o.only) > 0:
		case !o.quick || s.quick || s.name == "soak" && o.soak > 0:
			all = append(all, s)
		}
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("--only knows no %q: there are %s", left[0], strings.Join(names(), ", "))
	}
	return all, nil
}

func names() []string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return all
}

// measure goes through the scenarios round by round, so that whatever else the machine does spreads over all of them.
func (b *bench) measure(ctx context.Context, all []scenario, isQuick bool) error {
	clock := newClock(all, b.sizes, isQuick)
	for round := range max(b.sizes.rounds, b.sizes.few) {
		for _, s := range all {
			if round >= s.rounds(b.sizes) {
				continue
			}
			b.say("%s (%s), round %d of %d; about %v left", s.what, s.name, round+1, s.rounds(b.sizes), clock.left())
			began := time.Now()
			if err := s.run(b, ctx, round); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			clock.took(s.name, time.Since(began))
		}
	}
	return nil
}

// clock knows how much time is left: by what each scenario is known to take, and once it was measured by that.
type clock struct {
	rounds map[string]int
	each   map[string]time.Duration
}

func newClock(all []scenario, s sizes, isQuick bool) clock {
	c := clock{map[string]int{}, map[string]time.Duration{}}
	for _, one := range all {
		c.rounds[one.name] = one.rounds(s)
		c.each[one.name] = one.takes[0]
		if isQuick {
			c.each[one.name] = one.takes[1]
		}
		if one.name == "soak" {
			c.each[one.name] = s.soak + s.soak/20 + 20*time.Second
		}
	}
	return c
}

func (c clock) took(name string, d time.Duration) {
	c.rounds[name]--
	c.each[name] = d
}

// left is rounded to what is worth saying.
func (c clock) left() time.Duration {
	var sum time.Duration
	for name, rounds := range c.rounds {
		sum += time.Duration(rounds) * c.each[name]
	}
	if sum > 2*time.Minute {
		return sum.Round(time.Minute)
	}
	return sum.Round(5 * time.Second)
}
