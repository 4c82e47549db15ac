//go:build unix

package scenario

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"waybill/internal/bundle"
	"waybill/internal/chaos/checker"
	"waybill/internal/chaos/history"
)

// Only Postgres itself can say that a COMMIT has not happened.
func TestWhatAnAnswerToCommitProves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want history.Type
	}{
		"an answer":               {nil, history.OK},
		"a failed transaction":    {pgx.ErrTxCommitRollback, history.Fail},
		"a deferred constraint":   {&pgconn.PgError{Code: "23505"}, history.Fail},
		"a serialization failure": {&pgconn.PgError{Code: "40001"}, history.Fail},
		"Postgres going down":     {&pgconn.PgError{Code: "57P01"}, history.Info},
		"a cut connection":        {io.ErrUnexpectedEOF, history.Info},
		"whatever else":           {errors.New("odd"), history.Info},
	} {
		require.Equal(t, c.want, commitOutcome(c.err), name)
	}
}

// Everything that Amplitude would not take is drawn on purpose and marked.
func TestActionsAreValidAndOfEveryKind(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := author{random: newRandom(1, 0), producer: 3}
	seen := map[string]int{}
	keys := map[string]bool{}
	const drawn = 5000
	for range drawn {
		action := a.next(now)
		require.False(t, keys[action.Key])
		keys[action.Key] = true
		text, err := encode(action)
		require.NoError(t, err)
		b, err := bundle.Parse(text)
		require.NoError(t, err)
		require.Empty(t, b.Refusals(now), "%s", text)
		for kind, is := range map[string]bool{
			"hottest": action.User == hottest, "anonymous": action.User == "", "late": action.At.Before(now) && !action.At.IsZero(),
			"ahead": action.At.After(now), "silent": action.Event == "", "unset": len(action.Unset) > 0,
			"once": len(action.SetOnce) > 0, "counts": len(action.Increment) > 0, "unique": action.Set[checker.Unique] != "",
			"two groups": len(action.Groups) == 2, "named": action.Poison == "named", "unnamed": action.Poison == "unnamed",
		} {
			if is {
				seen[kind]++
			}
		}
	}
	require.Len(t, seen, 12)
	require.InDelta(t, drawn/2, seen["hottest"], drawn/20, "half of all traffic is one user's")
}

func TestTheSameSeedActsTheSame(t *testing.T) {
	t.Parallel()
	now := time.Now()
	one, other := author{random: newRandom(7, 1)}, author{random: newRandom(7, 1)}
	for range 100 {
		require.Equal(t, one.next(now), other.next(now))
	}
}
