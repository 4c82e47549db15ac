//go:build unix

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchmarksAreReadPerBundle(t *testing.T) {
	t.Parallel()
	all := readBenchmarks([]byte(`goos: linux
BenchmarkWorker/Clean-2         	  339284	      3450 ns/op	 210.13 MB/s	    1024 B/op	       7 allocs/op
BenchmarkPlan/known=true-16     	     100	   1000000 ns/op	      2000 ns/bundle	   4096 B/op	    1500 allocs/op
BenchmarkOf-names               	     100	        10 ns/op	       0 B/op	       0 allocs/op
PASS
`))
	require.Equal(t, map[string]benchmark{
		"BenchmarkWorker/Clean":    {3450, 7},
		"BenchmarkPlan/known=true": {2000, 3},
		"BenchmarkOf-names":        {10, 0},
	}, all)
}
