package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// TestAnImportLeavesSlotsToWhatHappensMeanwhile: they are taken although nothing is delivered.
func TestAnImportLeavesSlotsToWhatHappensMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t, amplitudetest.Config{})
	h.fake.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: amplitudetest.Unavailable}})
	for i := range 120 {
		h.enqueue(t, bought(fmt.Sprintf("a%d", i), "u"), bought(fmt.Sprintf("b%d", i), "v"))
	}
	h.start(t, func(cfg *Config) { cfg.Concurrency = 100 })
	running := func(priority string) int {
		return ask[int](t, h, "SELECT count(*) FROM waybill.river_job WHERE state = 'running' AND priority "+priority)
	}
	require.Eventually(t, func() bool { return running(">= 3") == 90 }, patience, 20*time.Millisecond)
	for i := range 10 {
		h.enqueue(t, bought(fmt.Sprintf("meanwhile %d", i), "w"))
	}
	require.Eventually(t, func() bool { return running("< 3") == 10 }, patience, 20*time.Millisecond)
	require.Equal(t, 90, running(">= 3"))
}
