package figures

import (
	_ "embed"
	"io"
	"math"
	"text/template"
)

//go:embed chart.svg.tmpl
var chartText string

var chartTemplate = template.Must(template.New("chart").Parse(chartText))

// Geometry of the chart, in its own pixels.
const (
	chartLeft   = 330
	chartRoom   = 360
	chartTop    = 62
	chartRow    = 28
	chartFooter = 30
)

type bar struct {
	What, Ratio, Colour              string
	Y, TextY, MiddleY, Top, Bottom   int
	Width, Low, High, Budget, LabelX float64
}

// WriteSVG draws the ratios as bars, with their spreads as lines and their budgets as marks.
func (r Report) WriteSVG(w io.Writer) error {
	var bars []bar
	widest := 1.0
	for _, f := range r.Figures {
		if s := f.Summary(); s.HasRatio && f.Chart != "" {
			widest = max(widest, s.Ratio.High, f.Limit.AtLeast)
		}
	}
	scale := func(v float64) float64 { return math.Round(v/widest*chartRoom*10) / 10 }
	for _, f := range r.Figures {
		s := f.Summary()
		if !s.HasRatio || f.Chart == "" {
			continue
		}
		y := chartTop + len(bars)*chartRow
		b := bar{
			What: f.Chart, Ratio: number(s.Ratio.Median), Colour: colour(s.Verdict),
			Y: y, TextY: y + 13, MiddleY: y + 8, Top: y - 3, Bottom: y + 19,
			Width: scale(s.Ratio.Median), Low: chartLeft + scale(s.Ratio.Low), High: chartLeft + scale(s.Ratio.High),
		}
		b.LabelX = max(b.High, chartLeft+b.Width) + 6
		if f.Limit.AtLeast > 0 {
			b.Budget = chartLeft + scale(f.Limit.AtLeast)
			b.LabelX = max(b.LabelX, b.Budget+6)
		}
		bars = append(bars, b)
	}
	floor := chartTop + len(bars)*chartRow
	return chartTemplate.Execute(w, map[string]any{
		"Title": "Waybill beside stock River, in the same run",
		"Note":  "medians of the rounds; black: lowest to highest; orange: budget",
		"Bars":  bars, "Height": floor + chartFooter, "Floor": floor, "LegendY": floor + 16,
		"One": chartLeft + scale(1),
	})
}

func colour(v Verdict) string {
	if v == Miss {
		return "#fca5a5"
	}
	return "#93c5fd"
}
