//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"waybill/internal/bench/figures"
)

// functions are what the pure functions on a bundle's way take, by the benchmarks that stand beside them.
func (b *bench) functions(ctx context.Context, _ int) error {
	test := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", b.sizes.bench,
		"./internal/bundle", "./internal/jobs", "./internal/amplitude")
	out, err := test.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	measured := readBenchmarks(out)
	part := figures.Columns{Title: "Pure functions, of one bundle", Ours: "ns", Against: "allocs"}
	for _, f := range []struct{ id, what, name string }{
		{"encode", "encode (bundle.AppendJSON)", "BenchmarkWorker/AppendJSON"},
		{"sanitise", "sanitise (bundle.Clean)", "BenchmarkWorker/Clean"},
		{"parse", "parse (bundle.Parse)", "BenchmarkWorker/Parse"},
		{"validate", "validate (Bundle.Refusals)", "BenchmarkWorker/Refusals"},
		{"elide", "elide and encode, all known", "BenchmarkPlan/known=true"},
		{"plan", "encode, nobody known", "BenchmarkPlan/known=false"},
		{"pack", "pack a request", "BenchmarkPack"},
		{"classify", "classify an answer", "BenchmarkClassify/delivered"},
		{"classify_named", "classify one that names 10", "BenchmarkClassify/named"},
	} {
		figure := figures.Figure{ID: "function_" + f.id, Part: part, Apart: true, What: f.what, Unit: "ns", Rival: "allocations"}
		if one, ok := measured[f.name]; ok {
			b.compare(figure, one.nanoseconds, one.allocations, "")
		} else {
			b.absent(figure, "no "+f.name)
		}
	}
	return nil
}

// benchmark is one line of go test -bench, for one bundle.
type benchmark struct{ nanoseconds, allocations float64 }

// readBenchmarks reads lines such as "BenchmarkX/y-2  100  23 ns/op  1 allocs/op  4.6 ns/bundle", by name without the
// number of processors. One that says ns/bundle handles several at once.
func readBenchmarks(out []byte) map[string]benchmark {
	all := map[string]benchmark{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		units := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err == nil {
				units[fields[i+1]] = value
			}
		}
		one := benchmark{units["ns/op"], units["allocs/op"]}
		if each := units["ns/bundle"]; each > 0 {
			one.allocations *= each / one.nanoseconds
			one.nanoseconds = each
		}
		name := fields[0]
		if at := strings.LastIndexByte(name, '-'); at > 0 {
			if _, err := strconv.Atoi(name[at+1:]); err == nil {
				name = name[:at]
			}
		}
		all[name] = one
	}
	return all
}
