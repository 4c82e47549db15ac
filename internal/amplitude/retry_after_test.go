package amplitude

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRetryAfter: whatever a server or a proxy writes there, the wait is between nothing
// and five minutes, and a number of seconds is that many.
func FuzzRetryAfter(f *testing.F) {
	f.Add("30", "")
	f.Add("Sun, 22 Nov 2026 12:00:30 GMT", "Sun, 22 Nov 2026 12:00:00 GMT")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, date string) {
		wait := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, now)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, maxRetryAfter)
		if seconds, err := strconv.ParseUint(value, 10, 32); err == nil && seconds <= 300 {
			require.Equal(t, time.Duration(seconds)*time.Second, wait)
		}
	})
}
