package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// ledger is a door that remembers keys, as Postgres does.
type ledger struct {
	keys    []string
	batches []int
	// before, if set, is asked before each batch; with an error, as many bundles as
	// it says are still answered.
	before func(batch int) (answered int, err error)
}

func (l *ledger) Enqueue(_ context.Context, bundles []Bundle) ([]Answer, error) {
	l.batches = append(l.batches, len(bundles))
	var failure error
	if l.before != nil {
		n, err := l.before(len(l.batches))
		if err != nil {
			bundles, failure = bundles[:n], err
		}
	}
	answers := make([]Answer, len(bundles))
	for i, b := range bundles {
		id := slices.Index(l.keys, b.Key)
		answers[i] = Answer{Outcome: Duplicate, BundleID: int64(id + 1)}
		if id < 0 {
			l.keys = append(l.keys, b.Key)
			answers[i] = Answer{Outcome: Queued, BundleID: int64(len(l.keys))}
		}
	}
	return answers, failure
}

// imported is everything that an import told its caller.
type imported struct {
	results  []Result
	bytes    []int64 // of each Progress
	progress []Summary
}

func (seen *imported) importer(door Door) *Importer {
	return &Importer{
		Door:    door,
		Now:     func() time.Time { return noon },
		Settled: func(r Result) { seen.results = append(seen.results, r) },
		Progress: func(bytes int64, so Summary) {
			seen.bytes, seen.progress = append(seen.bytes, bytes), append(seen.progress, so)
		},
	}
}

func TestEveryLineIsAnsweredInOrder(t *testing.T) {
	t.Parallel()
	input := strings.Join([]string{
		bundleLine("a"), "", "{broken", bundleLine("b"), bundleLine("a"), "  ", `{"key":"c"}`, bundleLine("d"),
	}, "\n")
	var seen imported
	so, err := seen.importer(&ledger{}).Run(t.Context(), strings.NewReader(input))
	require.NoError(t, err)
	require.Equal(t, Summary{Lines: 8, Queued: 3, Duplicate: 1, Rejected: 2, Blank: 2}, so)

	for i := range seen.results {
		if seen.results[i].Outcome == Rejected {
			require.NotEmpty(t, seen.results[i].Reason)
			seen.results[i].Reason = ""
		}
	}
	require.Equal(t, []Result{
		{Line: 1, Key: "a", Outcome: Queued, BundleID: 1},
		{Line: 3, Outcome: Rejected},
		{Line: 4, Key: "b", Outcome: Queued, BundleID: 2},
		{Line: 5, Key: "a", Outcome: Duplicate, BundleID: 1},
		{Line: 7, Key: "c", Outcome: Rejected},
		{Line: 8, Key: "d", Outcome: Queued, BundleID: 3},
	}, seen.results)
	require.Equal(t, []int64{int64(len(input))}, seen.bytes)
}

func TestABatchIsBoundedInLinesAndBytes(t *testing.T) {
	t.Parallel()
	var seen imported
	door := &ledger{}
	so, err := seen.importer(door).Run(t.Context(), strings.NewReader(bundleLines(2*batchLines+1)))
	require.NoError(t, err)
	require.Equal(t, 2*batchLines+1, so.Queued)
	require.Equal(t, []int{batchLines, batchLines, 1}, door.batches)

	var many strings.Builder
	const each = 200_000 // bytes of a bundle
	for i := range 50 {
		var properties []string
		for j := range each / 1000 {
			properties = append(properties, fmt.Sprintf(`"p%d":%q`, j, strings.Repeat("x", 990)))
		}
		fmt.Fprintf(&many, `{"key":"large:%d","user_id":"u","track":{"event":"E","properties":{%s}}}`+"\n", i, strings.Join(properties, ","))
	}
	door = &ledger{}
	so, err = seen.importer(door).Run(t.Context(), strings.NewReader(many.String()))
	require.NoError(t, err)
	require.Equal(t, 50, so.Queued)
	require.Greater(t, len(door.batches), 1)
	require.LessOrEqual(t, slices.Max(door.batches), batchBytes/each+1)
}

func TestBlankAndBadLinesAloneNeedNoDoor(t *testing.T) {
	t.Parallel()
	var seen imported
	so, err := seen.importer(nil).Run(t.Context(), strings.NewReader("\n \n{}\n\n"))
	require.NoError(t, err)
	require.Equal(t, Summary{Lines: 4, Rejected: 1, Blank: 3}, so)
}

// doorbell is a door that rings for each batch.
type doorbell chan struct{}

func (d doorbell) Enqueue(_ context.Context, bundles []Bundle) ([]Answer, error) {
	d <- struct{}{}
	return slices.Repeat([]Answer{{Outcome: Queued}}, len(bundles)), nil
}

func TestALineIsNotKeptWaitingForABatchToFill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		var seen imported
		arrived := make(doorbell, 2)
		finished := make(chan error)
		go func() {
			_, err := seen.importer(arrived).Run(t.Context(), in)
			finished <- err
		}()
		// The bubble's clock stands still while anything moves.
		pass := func(d time.Duration) {
			<-time.After(d)
			synctest.Wait()
		}
		for i, key := range []string{"first", "second"} {
			pass(10 * batchAge)
			_, err := io.WriteString(out, bundleLine(key)+"\n")
			require.NoError(t, err)
			pass(batchAge - time.Millisecond)
			require.Len(t, arrived, i)
			pass(time.Millisecond)
			require.Len(t, arrived, i+1)
		}
		require.NoError(t, out.Close())
		require.NoError(t, <-finished)
	})
}

func TestAnInterruptedImportSettlesWhatItHasRead(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer func() { require.NoError(t, out.Close()) }()
	var seen imported
	door := &ledger{}
	im := seen.importer(door)
	tell := im.Progress
	im.Progress = func(bytes int64, so Summary) {
		tell(bytes, so)
		interrupt()
	}
	go func() { _, _ = io.WriteString(out, bundleLines(batchLines+10)) }()

	so, err := im.Run(ctx, in) // which stays open: only the interruption ends the import
	require.ErrorIs(t, err, ErrInterrupted)
	require.Equal(t, batchLines, so.Lines)
	require.Len(t, door.keys, so.Queued)

	so, err = im.Run(t.Context(), strings.NewReader(bundleLines(batchLines+10)))
	require.NoError(t, err)
	require.Equal(t, Summary{Lines: batchLines + 10, Queued: 10, Duplicate: batchLines}, so)
	require.Len(t, door.keys, batchLines+10)
}

func TestAnInterruptionWhileWaitingForInputIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		in, out := io.Pipe()
		var seen imported
		door := &ledger{}
		finished := make(chan Summary, 1)
		var failed error
		go func() {
			var so Summary
			so, failed = seen.importer(door).Run(ctx, in)
			finished <- so
		}()
		_, err := io.WriteString(out, bundleLine("read")+"\n")
		require.NoError(t, err)
		synctest.Wait()
		interrupt()
		require.Equal(t, Summary{Lines: 1, Queued: 1}, <-finished, "what was read is not thrown away")
		require.ErrorIs(t, failed, ErrInterrupted)
		require.NoError(t, out.Close())
	})
}

func TestWithAFailingDoorOnlyWhatItAnsweredCounts(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	door := &ledger{before: func(batch int) (int, error) {
		if batch == 2 {
			return 3, gone
		}
		return 0, nil
	}}
	input := strings.Split(strings.TrimSpace(bundleLines(2*batchLines)), "\n")
	input[batchLines+1] = "{broken" // between the answered ones
	input[batchLines+4] = ""        // right after them
	input[batchLines+9] = "{broken" // after one that has no answer
	var seen imported
	so, err := seen.importer(door).Run(t.Context(), strings.NewReader(strings.Join(input, "\n")))
	require.ErrorIs(t, err, gone)
	require.Equal(t, Summary{Lines: batchLines + 5, Queued: batchLines + 3, Rejected: 1, Blank: 1}, so)
	require.Equal(t, batchLines+4, seen.results[len(seen.results)-1].Line)
}

func TestAFailingInputStillSettlesWhatItGave(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	var seen imported
	door := &ledger{}
	so, err := seen.importer(door).Run(t.Context(), io.MultiReader(strings.NewReader(bundleLines(3)), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.Equal(t, Summary{Lines: 3, Queued: 3}, so)
}

func TestTheSummaryAlwaysAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 1200).Draw(t, "kinds")
		failing := rapid.IntRange(0, 4).Draw(t, "failing batch") // 0: none
		var input strings.Builder
		var keys []string // of the good lines, without repetition
		for i, kind := range kinds {
			switch key := fmt.Sprintf("k:%d", i%400); kind {
			case 0:
				input.WriteString("\n")
			case 1:
				input.WriteString("{broken\n")
			default:
				input.WriteString(bundleLine(key) + "\n")
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
		door := &ledger{before: func(batch int) (int, error) {
			if batch == failing {
				return 0, errors.New("gone")
			}
			return 0, nil
		}}
		var seen imported
		so, err := seen.importer(door).Run(context.Background(), strings.NewReader(input.String()))
		require.Equal(t, so.Lines, so.Queued+so.Duplicate+so.Rejected+so.Skipped+so.Blank)
		require.Len(t, seen.results, so.Lines-so.Blank)
		require.Len(t, door.keys, so.Queued)
		require.True(t, slices.IsSortedFunc(seen.results, func(a, b Result) int { return a.Line - b.Line }))
		if err == nil {
			require.Equal(t, len(kinds), so.Lines)
			require.Equal(t, keys, door.keys, "the order of the input")
			return
		}
		door.before = nil
		so, err = seen.importer(door).Run(context.Background(), strings.NewReader(input.String()))
		require.NoError(t, err)
		require.Equal(t, len(kinds), so.Lines)
		require.Equal(t, keys, door.keys, "each key once, however often it is run")
	})
}
