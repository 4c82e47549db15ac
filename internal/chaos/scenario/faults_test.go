//go:build unix

package scenario

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
	"waybill/internal/chaos/nemesis"
)

// A refusal that names no event and comes and goes cannot be told from a bad event, so
// it must concern every request; shares of the others must leave something in peace.
func TestHowAmplitudeMisbehaves(t *testing.T) {
	t.Parallel()
	refusals := map[amplitudetest.Kind]bool{
		amplitudetest.BadRequest: true, amplitudetest.Forbidden: true, amplitudetest.HTMLPage: true, amplitudetest.InvalidKey: true,
	}
	for _, kind := range nemesis.Kinds() {
		if !kind.OfAmplitude() || kind == nemesis.Poison {
			continue
		}
		total := 0.0
		injected := rules(nemesis.Step{Kind: kind})
		require.NotEmpty(t, injected, kind)
		for _, rule := range injected {
			require.NotEqual(t, amplitudetest.None, rule.Fault.Kind, kind)
			total += rule.Probability
			if refusals[rule.Fault.Kind] {
				require.Zero(t, rule.Probability, "%s comes and goes", kind)
			}
		}
		require.Less(t, total, 0.9, kind)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.True(t, wait(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(start))
		require.True(t, wait(t.Context(), -time.Minute), "what is over is not waited for")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, wait(ctx, time.Minute))
	})
}
