package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/internal/amplitude/amplitudetest"
)

// A worker that was declared dead may have a request under way for as long as its machine
// sleeps. What others have taken over must not wait for that.
func TestANewLifeWaitsForNothingOfTheOldOne(t *testing.T) {
	t.Parallel()
	l := preparing(newHouse(t, amplitudetest.Config{}))
	ada := user("ada")
	l.batcher.admit(1, 1, 1, []int64{11})
	l.batcher.opened(7)
	l.batcher.reserve(7, []identity{ada})
	l.batcher.putBackBehind(7, l.batcher.take(1))

	l.takenOver(t.Context())
	require.Empty(t, l.batcher.behind)
	require.Equal(t, []int64{0}, l.batcher.reservedTo([]*item{{touched: []identity{ada}}}))
}
