package figures

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestRatioIsThatOfTheRoundsNotOfTheMedians(t *testing.T) {
	t.Parallel()
	// The machine slows down from round to round; the two sides stay as they are to each other.
	s := Figure{Ours: []float64{200, 100, 50, 26, 10}, Against: []float64{100, 50, 25, 10, 5}}.Summary()
	require.True(t, s.HasRatio)
	require.Equal(t, Spread{Median: 2, Low: 2, High: 2.6}, s.Ratio)
	require.Equal(t, Spread{Median: 50, Low: 10, High: 200}, s.Ours)
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	two := []float64{2, 2, 2}
	for name, c := range map[string]struct {
		figure Figure
		want   Verdict
	}{
		"no budget":                {Figure{Ours: two}, Unjudged},
		"nothing measured":         {Figure{Limit: Limit{AtMost: 3}}, Unjudged},
		"high enough":              {Figure{Ours: two, Limit: Limit{AtLeast: 2}}, OK},
		"too low":                  {Figure{Ours: two, Limit: Limit{AtLeast: 2.1}}, Miss},
		"low enough":               {Figure{Ours: two, Limit: Limit{AtMost: 2}}, OK},
		"too high":                 {Figure{Ours: two, Limit: Limit{AtMost: 1.9}}, Miss},
		"ratio high enough":        {Figure{Ours: two, Against: []float64{1, 1, 1}, Limit: Limit{AtLeast: 2, OfRatio: true}}, OK},
		"ratio too low":            {Figure{Ours: two, Against: two, Limit: Limit{AtLeast: 1.1, OfRatio: true}}, Miss},
		"own value beside a rival": {Figure{Ours: two, Against: []float64{1, 1, 1}, Limit: Limit{AtMost: 1.5}}, Miss},
		"ratio without a rival":    {Figure{Ours: two, Limit: Limit{AtLeast: 1, OfRatio: true}}, Unjudged},
		"refused":                  {Figure{Ours: two, Against: two, Limit: Limit{AtLeast: 9, OfRatio: true}, Refused: "x"}, Unjudged},
	} {
		require.Equal(t, c.want, c.figure.Summary().Verdict, name)
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2.5, Percentile([]float64{1, 2, 3, 4}, 50), 1e-9)
	require.InDelta(t, 3, Percentile([]float64{1, 3, 9}, 50), 1e-9)
	require.InDelta(t, 9, Percentile([]float64{1, 3, 9}, 100), 1e-9)
	require.InDelta(t, 7, Percentile([]float64{7}, 99), 1e-9)
}

func example() Report {
	return Report{
		Rounds:  5,
		Machine: Machine{CPU: "A CPU", Cores: 2, MemoryMB: 2048, Load: 0.1, System: "linux 6", Go: "go1", Postgres: "15", River: "v0"},
		Figures: []Figure{
			{ID: "a", What: "drain, 1 a call, bundles/s", Ours: []float64{123456, 130000}, Against: []float64{1234, 1234}, Chart: "drain", Limit: Limit{AtLeast: 1.3, OfRatio: true}},
			{ID: "b", What: "refused one", Ours: []float64{5}, Against: []float64{1}, Chart: "drain", Limit: Limit{AtLeast: 1, OfRatio: true}, Refused: "7 actions against 8"},
			{ID: "c", What: "added", Ours: []float64{0.25}, Against: []float64{0.5}, Apart: true, Limit: Limit{AtMost: 0.5}},
			{ID: "d", What: "alone", Ours: []float64{-1.5}},
			{ID: "e", Part: Columns{"Another part", "with", "without"}, What: "pooled", Absent: "no pooler here"},
			{ID: "f", Part: Columns{"Another part", "with", "without"}, What: "own", Ours: []float64{4}, Against: []float64{2}},
		},
		Work: []string{"river: 8 actions"},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, example().Write(&b))
	lines := strings.Split(b.String(), "\n")
	for _, line := range lines {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 80, line)
	}
	cells := func(name string) []string {
		for _, line := range lines {
			if strings.HasPrefix(line, name) {
				return strings.Fields(strings.TrimPrefix(line, name))
			}
		}
		return nil
	}
	require.Equal(t, []string{"126,728", "1,234", "103", "100–105", "≥1.30", "ok"}, cells("drain, 1 a call, bundles/s"))
	require.Equal(t, []string{"none"}, cells("refused one"))
	require.Equal(t, []string{"0.25", "0.50", "≤0.50", "ok"}, cells("added"))
	require.Equal(t, []string{"-1.50"}, cells("alone"))
	require.Contains(t, b.String(), "7 actions against 8")
	require.Contains(t, b.String(), "river: 8 actions")
	require.Equal(t, []string{"with", "without", "ratio"}, cells("Another part"), "no budget, no heading for it")
	require.Equal(t, 1, strings.Count(b.String(), "Another part"))
	require.Equal(t, "pooled                              not run: no pooler here", lines[slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "pooled") })])
}

func TestPageKeepsItsProse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("# Before\n"+tableBegin+"old table\n"+tableEnd+"After.\n"), 0o600))
	r := example()
	r.Command = "make bench"
	for range 2 { // again and again
		require.NoError(t, r.UpdatePage(path))
	}
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(page), "# Before\n"))
	require.True(t, strings.HasSuffix(string(page), "After.\n"))
	require.NotContains(t, string(page), "old table")
	require.Equal(t, 1, strings.Count(string(page), "$ make bench\n"))
}

func TestPageSaysWhatOneOrderCosts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte(tableBegin+tableEnd+"Then:\n"+orderBegin+"old\n"+orderEnd+"After.\n"), 0o600))
	read := func() string {
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(page)
	}
	require.NoError(t, example().UpdatePage(path))
	require.Contains(t, read(), orderBegin+"old\n"+orderEnd, "what was not measured is not written")

	r := example()
	for id, value := range map[string]float64{
		"added_p50": 0.5, "cpu_enqueue_single": 120, "cpu_enqueue_bulk": 30, "cpu_postgres_single": 120, "cpu_postgres_bulk": 60, "cpu_worker_single": 90, "cpu_worker_bulk": 45,
		"wal_single": 3, "wal_bulk": 1.5, "events": 1.04,
	} {
		r.Figures = append(r.Figures, Figure{ID: id, Ours: []float64{value}})
	}
	require.NoError(t, r.UpdatePage(path))
	page := read()
	require.NotContains(t, page, "old")
	require.Contains(t, page, "| Postgres CPU to deliver it | 120 µs | 60.0 µs |")
	require.Contains(t, page, "are 11.6 a second: 4.00 core-minutes of\nPostgres and 1.50 of the worker, 3.00 GB of WAL and 1.04 million Amplitude events.")
	require.True(t, strings.HasSuffix(page, orderEnd+"After.\n"))
}

func TestPageWithoutAPlaceIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("# Prose\n"), 0o600))
	require.ErrorContains(t, example().UpdatePage(path), "has no place for the table")
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# Prose\n", string(page))
}

func TestMachineSaysWhenItIsNotIdle(t *testing.T) {
	t.Parallel()
	require.NotContains(t, Machine{Load: 0.2}.Lines()[2], "not idle")
	require.Contains(t, Machine{Load: 3}.Lines()[2], "not idle")
	require.Contains(t, Machine{Load: -1}.Lines()[2], "unknown")
}

func TestChartIsXMLWithOneBarForEachDrawnRatio(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, example().WriteSVG(&b))
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	bars := -1 // the background is one
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "rect" {
			bars++
		}
	}
	require.Equal(t, 1, bars)
	require.NotContains(t, b.String(), "refused one")
}
