// Package figures holds what was measured: one Figure is one line of the table, with a value for each round of each
// side. It does the arithmetic and the drawing and measures nothing.
package figures

import (
	"math"
	"slices"
)

// Figure is one thing that was measured, round by round.
type Figure struct {
	ID   string  `json:"id"` // stable, for comparing runs
	Part Columns `json:"part,omitzero"`
	What string  `json:"what"` // at most 34 characters
	Unit string  `json:"unit"` // e.g. bundles/s, KB
	// Ours and Against have one value a round. Against is empty for a figure that stands alone.
	Ours    []float64 `json:"ours"`
	Against []float64 `json:"against,omitempty"`
	// Rival names what Against is, e.g. "InsertTx".
	Rival string `json:"rival,omitempty"`
	// Apart shows the two side by side without a ratio: it would say nothing of differences that may be zero.
	Apart bool  `json:"apart,omitempty"`
	Limit Limit `json:"limit,omitzero"`
	// Refused is why no ratio is shown: the two sides did not do the same work.
	Refused string `json:"refused,omitempty"`
	// Absent is why there are no values at all, e.g. because a program is missing.
	Absent string `json:"absent,omitempty"`
	// Chart is what the ratio is called in the chart of Waybill beside stock River, at most 40 characters; "" for not
	// in it.
	Chart string `json:"chart,omitempty"`
}

// Columns open a part of the table: figures with the same Columns stand below one heading.
type Columns struct {
	Title string `json:"title"` // at most 34 characters
	// Ours and Against name the two columns of values, in at most 8 characters each.
	Ours    string `json:"ours"`
	Against string `json:"against,omitempty"`
}

// Limit is the budget of a figure. The zero Limit judges nothing.
type Limit struct {
	// AtLeast bounds from below, AtMost from above; 0 bounds nothing.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	// OfRatio says that the ratio is bounded, and not our own value.
	OfRatio bool `json:"of_ratio,omitempty"`
}

// Verdict is how a figure stands to its limit.
type Verdict string

// The verdicts.
const (
	Unjudged Verdict = ""
	OK       Verdict = "ok"
	Miss     Verdict = "miss"
)

// Summary is a figure reduced to what is printed.
type Summary struct {
	Ours     Spread  `json:"ours"`
	Against  Spread  `json:"against,omitzero"`
	Ratio    Spread  `json:"ratio,omitzero"` // of the rounds' own ratios
	HasRatio bool    `json:"has_ratio"`
	Verdict  Verdict `json:"verdict,omitempty"`
}

// Summary reduces the figure.
func (f Figure) Summary() Summary {
	s := Summary{Ours: SpreadOf(f.Ours), Against: SpreadOf(f.Against)}
	if f.Refused != "" || f.Absent != "" {
		return s
	}
	if !f.Apart && len(f.Against) > 0 && len(f.Against) == len(f.Ours) {
		ratios := make([]float64, len(f.Ours))
		for i := range ratios {
			ratios[i] = f.Ours[i] / f.Against[i]
		}
		s.Ratio, s.HasRatio = SpreadOf(ratios), true
	}
	s.Verdict = f.judge(s)
	return s
}

func (f Figure) judge(s Summary) Verdict {
	value := s.Ours.Median
	if f.Limit.OfRatio {
		value = s.Ratio.Median
	}
	switch {
	case f.Limit.AtLeast == 0 && f.Limit.AtMost == 0, math.IsNaN(value), f.Limit.OfRatio && !s.HasRatio, len(f.Ours) == 0:
		return Unjudged
	case f.Limit.AtLeast > 0 && value < f.Limit.AtLeast, f.Limit.AtMost > 0 && value > f.Limit.AtMost:
		return Miss
	}
	return OK
}

// Spread is the middle and the ends of some rounds.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// SpreadOf is the zero Spread for no values.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread{Percentile(sorted, 50), sorted[0], sorted[len(sorted)-1]}
}

// Percentile reads a sorted, non-empty slice between its neighbours: of an even number of values, the median is the
// mean of the two in the middle.
func Percentile(sorted []float64, percent float64) float64 {
	at := percent / 100 * float64(len(sorted)-1)
	below := int(at)
	if below+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	part := at - float64(below)
	return sorted[below]*(1-part) + sorted[below+1]*part
}
