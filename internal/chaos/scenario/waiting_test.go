//go:build unix

package scenario

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// What waits is due by the database's clock, wherever that stands and however it steps: a
// pause of seconds takes seconds, and a day ends when it ends there.
func TestNobodyWaitsForTheWrongClock(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault         amplitudetest.Kind
		before, after func(*house) time.Duration // how far the database's clock is ahead
	}{
		"the clock is ahead":    {amplitudetest.Throttle, hours(2), nil},
		"the clock is behind":   {amplitudetest.Throttle, hours(-2), nil},
		"the clock steps back":  {amplitudetest.Throttle, hours(2), hours(0)},
		"tomorrow comes":        {amplitudetest.DailyQuota, hours(0), tomorrow},
		"yesterday comes again": {amplitudetest.DailyQuota, tomorrow, hours(0)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := openTestHouse(t, 1)
			if h.library == nil {
				return
			}
			require.NoError(t, h.setClock(test.before(h)))
			h.sink.Inject(amplitudetest.Rule{Fault: amplitudetest.Fault{Kind: test.fault, Users: []string{"u"}}, Times: 1})
			require.NoError(t, enqueueMany(t.Context(), application(t, h), "act", 5))
			require.Eventually(t, func() bool {
				var waiting int
				err := h.referee.pool.QueryRow(t.Context(), "SELECT count(*) FROM waybill.river_job WHERE state = 'scheduled'").Scan(&waiting)
				return err == nil && waiting > 0
			}, 20*time.Second, 10*time.Millisecond)
			if test.after != nil {
				require.NoError(t, h.setClock(test.after(h)))
			}
			require.False(t, h.drain(t.Context(), 40*time.Second).IsZero())
		})
	}
}

func hours(n int) func(*house) time.Duration {
	return func(*house) time.Duration { return time.Duration(n) * time.Hour }
}

func tomorrow(h *house) time.Duration { return h.clock.tomorrow(time.Now()) }
