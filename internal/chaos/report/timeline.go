//go:build unix

package report

import (
	"fmt"
	"html"
	"strings"
	"time"

	"waybill/internal/chaos/scenario"
)

// Measures of the picture, in its own units.
const (
	width      = 960.0
	chart      = 150.0 // height of one chart
	left       = 56.0
	right      = 12.0
	top        = 24.0
	gap        = 34.0
	bandHeight = 13.0
	marks      = 6 // seconds marked on the axis, about
)

// Timeline is a picture of one run as SVG: bundles settled a second, bundles waiting, and
// below them the faults as bands.
func Timeline(r scenario.Result) string {
	bands := top + 2*(chart+gap)
	height := bands + bandHeight*float64(len(r.Bands)) + 30
	p := &canvas{length: max(r.Length, time.Second)}
	fmt.Fprintf(&p.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="11">`+"\n", width, height)
	fmt.Fprintf(&p.b, `<rect width="%.0f" height="%.0f" fill="#fff"/>`+"\n", width, height)
	for _, band := range r.Bands {
		x := p.x(band.From)
		fmt.Fprintf(&p.b, `<rect x="%.1f" y="%.0f" width="%.1f" height="%.0f" fill="%s" opacity="0.12"/>`+"\n",
			x, top, max(1, p.x(band.To)-x), bands-top-gap, colour(band))
	}
	p.chart(top, "bundles settled a second", rates(r.Samples), "#1a7f5a")
	p.chart(top+chart+gap, "bundles waiting", depths(r.Samples), "#b3541e")
	p.axis(top + 2*chart + gap)
	for i, band := range r.Bands {
		y := bands + bandHeight*float64(i)
		x := p.x(band.From)
		w := max(2, p.x(band.To)-x)
		fmt.Fprintf(&p.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" fill="%s"/>`+"\n", x, y, w, bandHeight-3, colour(band))
		anchor, at := "start", x+w+4
		if at > width*0.8 {
			anchor, at = "end", x-4
		}
		fmt.Fprintf(&p.b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", at, y+9, anchor, html.EscapeString(string(band.Kind)))
	}
	p.b.WriteString("</svg>\n")
	return p.b.String()
}

// colour tells faults of Amplitude from all others.
func colour(band scenario.Band) string {
	if band.Kind.OfAmplitude() {
		return "#2f6fb0"
	}
	return "#a02c3f"
}

// point is a value at a time.
type point struct {
	at    time.Duration
	value float64
}

func rates(samples []scenario.Sample) []point {
	var points []point
	for i := 1; i < len(samples); i++ {
		if took := (samples[i].At - samples[i-1].At).Seconds(); took > 0 {
			points = append(points, point{samples[i].At, max(0, float64(samples[i].Settled-samples[i-1].Settled)/took)})
		}
	}
	return points
}

func depths(samples []scenario.Sample) []point {
	points := make([]point, len(samples))
	for i, s := range samples {
		points[i] = point{s.At, float64(s.Waiting)}
	}
	return points
}

type canvas struct {
	b      strings.Builder
	length time.Duration
}

func (c *canvas) x(at time.Duration) float64 {
	return left + (width-left-right)*min(1, at.Seconds()/c.length.Seconds())
}

// chart draws a line from a zero at the bottom to its greatest value at the top.
func (c *canvas) chart(y float64, title string, points []point, stroke string) {
	most := 1.0
	for _, p := range points {
		most = max(most, p.value)
	}
	fmt.Fprintf(&c.b, `<text x="%.0f" y="%.0f">%s</text>`+"\n", left, y-6, title)
	fmt.Fprintf(&c.b, `<text x="%.0f" y="%.0f" text-anchor="end">%.0f</text>`+"\n", left-6, y+9, most)
	fmt.Fprintf(&c.b, `<text x="%.0f" y="%.0f" text-anchor="end">0</text>`+"\n", left-6, y+chart)
	fmt.Fprintf(&c.b, `<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="none" stroke="#ccc"/>`+"\n", left, y, width-left-right, chart)
	line := make([]string, len(points))
	for i, p := range points {
		line[i] = fmt.Sprintf("%.1f,%.1f", c.x(p.at), y+chart*(1-p.value/most))
	}
	fmt.Fprintf(&c.b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", stroke, strings.Join(line, " "))
}

// axis marks the seconds.
func (c *canvas) axis(y float64) {
	step := max(time.Second, (c.length / marks).Round(5*time.Second))
	for at := time.Duration(0); at <= c.length; at += step {
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%.0f" text-anchor="middle">%.0f s</text>`+"\n", c.x(at), y+14, at.Seconds())
	}
}
