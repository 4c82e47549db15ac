package history_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/chaos/history"
)

func TestHistoriesAreReadInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		a, err := history.Create(dir, "a", start)
		require.NoError(t, err)
		b, err := history.Create(dir, "b", start)
		require.NoError(t, err)
		for range 2 {
			<-time.After(time.Second)
			a.Append(history.Record{Op: history.Commit, Type: history.Invoke, Keys: []string{"k"}})
			<-time.After(time.Second)
			b.Append(history.Record{Op: history.Receive, Type: history.Invoke, Request: 7, Detail: "d"})
		}
		require.NoError(t, a.Close())
		require.NoError(t, b.Close())

		all, err := history.Read(dir)
		require.NoError(t, err)
		require.Len(t, all, 4)
		require.Equal(t, history.Record{
			Process: "a", N: 1, Wall: start.Add(time.Second).UTC(), Mono: time.Second,
			Op: history.Commit, Type: history.Invoke, Keys: []string{"k"},
		}, all[0])
		require.Equal(t, history.Record{
			Process: "b", N: 2, Wall: start.Add(4 * time.Second).UTC(), Mono: 4 * time.Second,
			Op: history.Receive, Type: history.Invoke, Request: 7, Detail: "d",
		}, all[3])
	})
}

func TestATornHistoryIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(`{"p":"a"}{"p"`), 0o600))
	_, err := history.Read(dir)
	require.ErrorContains(t, err, "a.jsonl")
}

func TestCloseTellsWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	_, err := history.Create(filepath.Join(t.TempDir(), "missing"), "a", time.Now())
	require.ErrorContains(t, err, "history of a")

	w, err := history.Create(t.TempDir(), "a", time.Now())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	w.Append(history.Record{Op: history.Commit})
	require.Error(t, w.Close())
}
