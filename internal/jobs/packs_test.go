package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fill lets packs of a size come for as long as they are wanted, and says how many came.
func fill(slots, size int) (held int) {
	for {
		n := packsWanted(held*size, held, slots)
		if n == 0 {
			return held
		}
		held += n
	}
}

func TestAWorkerHoldsPacksForSomeSeconds(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{packMost: 1000, 99: 1000, 30: 1700, 2: 4050, 1: 4050, 0: 4050} {
		require.Equal(t, want, fill(4500, size), "of %d", size)
	}
	require.Zero(t, packsWanted(packsAhead/2, 0, 4500))
	require.Equal(t, 501, packsWanted(packsAhead/2-1, 0, 4500), "many at once")
}

func TestATenthOfManySlotsIsLeftToWhatIsMoreUrgent(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int]int{1: 1, 10: 10, 99: 99, 100: 90, 105: 95, 4500: 4050} {
		require.Equal(t, want, fill(slots, 1), "of %d slots", slots)
		require.Equal(t, 1, packsWanted(0, want-1, slots), "one that has ended makes room")
		require.Zero(t, packsWanted(0, slots, slots), "beside those that were on their way")
	}
}
