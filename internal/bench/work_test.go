//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/bench/endpoint"
)

func TestSidesAreComparedOnlyIfTheyDidTheSame(t *testing.T) {
	t.Parallel()
	stock := work{actions: 10, done: 10, bytes: 6000, jobs: 10, completed: 10}
	bulk := work{actions: 10, done: 10, bytes: 6030, jobs: 1, completed: 1}
	require.Empty(t, bulk.asBusyAs(stock))
	for name, spoil := range map[string]func(ours, stock *work){
		"fewer actions":      func(ours, _ *work) { ours.actions, ours.done = 9, 9 },
		"one not delivered":  func(ours, _ *work) { ours.done-- },
		"a job not complete": func(ours, _ *work) { ours.completed-- },
		"river not done":     func(_, stock *work) { stock.done-- },
		"smaller payloads":   func(ours, _ *work) { ours.bytes = 5900 },
	} {
		a, b := bulk, stock
		spoil(&a, &b)
		require.NotEmpty(t, a.asBusyAs(b), name)
	}
}

func TestADrainCountsOnlyIfAllArrivedOnce(t *testing.T) {
	t.Parallel()
	good := endpoint.Counts{Requests: 2, Events: 12, Tracks: 10, Distinct: 12}
	require.Empty(t, drained{n: 10, arrived: good}.delivered())
	for name, spoil := range map[string]func(*endpoint.Counts){
		"one missing":     func(c *endpoint.Counts) { c.Tracks-- },
		"one twice":       func(c *endpoint.Counts) { c.Events++ },
		"one refused":     func(c *endpoint.Counts) { c.Malformed++ },
		"nothing arrived": func(c *endpoint.Counts) { *c = endpoint.Counts{} },
	} {
		c := good
		spoil(&c)
		require.NotEmpty(t, drained{n: 10, arrived: c}.delivered(), name)
	}
}

func TestProducersAreComparedByTheAction(t *testing.T) {
	t.Parallel()
	fast := committed{n: 20, orders: 20, took: time.Second, work: work{actions: 20, orders: 20, bytes: 12000}}
	slow := committed{n: 10, orders: 10, took: time.Second, work: work{actions: 10, orders: 10, bytes: 6000}}
	require.Empty(t, fast.asBusyAs(slow), "more in the same time is what is measured")
	light := fast
	light.work.bytes = 11000
	require.NotEmpty(t, light.asBusyAs(slow))
	idle := fast
	idle.work.orders = 0
	require.NotEmpty(t, idle.asBusyAs(slow), "the business did nothing")
	lost := fast
	lost.work.actions--
	require.NotEmpty(t, lost.asBusyAs(slow))
}

func TestAProcessHasUsedAtMostTheTimeItHadOnAllCores(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		_, known := processCPU(os.Getpid())
		require.False(t, known, "without /proc nothing is claimed")
		return
	}
	var before, after syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	used, known := processCPU(os.Getpid())
	require.True(t, known)
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &after))
	cpu := func(r syscall.Rusage) time.Duration {
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	require.GreaterOrEqual(t, used, cpu(before)-2*tick)
	require.LessOrEqual(t, used, cpu(after)+2*tick)

	family, known := familyCPU(os.Getpid())
	require.True(t, known)
	require.GreaterOrEqual(t, family, used)
}
