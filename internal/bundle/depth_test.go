package bundle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type chain struct{ Next *chain }

// TestAValueNestedAMillionDeepDoesNotEndTheProcess is about encoding/json, which has no
// limit of its own but the stack's.
func TestAValueNestedAMillionDeepDoesNotEndTheProcess(t *testing.T) {
	t.Parallel()
	var maps, slices any
	var pointers any = new(int)
	var structs *chain
	for range 1_000_000 {
		maps = map[string]any{"a": maps}
		slices = []any{slices}
		structs = &chain{structs}
		p := pointers
		pointers = &p
	}
	cycle := &chain{}
	cycle.Next = cycle
	for name, v := range map[string]any{"maps": maps, "slices": slices, "structs": structs, "pointers": pointers, "a cycle": cycle} {
		_, _, err := Value(v)
		require.ErrorContains(t, err, "deeper than 40", name)
	}
}

func TestWhatIsNotTooDeepIsTaken(t *testing.T) {
	t.Parallel()
	deep := any("leaf")
	for range MaxDepth - 2 {
		deep = map[string]any{"a": deep}
	}
	for name, v := range map[string]any{
		"38 levels": deep, "a time": time.Now(), "nothing": nil, "a nil pointer": (*chain)(nil),
		"a pointer to a pointer": new(*int), "a list of lists": [][]int{{1}, nil}, "an empty map": map[string]any(nil),
	} {
		_, _, err := Value(v)
		require.NoError(t, err, name)
	}
}
