//go:build unix

package report

import (
	"fmt"
	"html"
	"strings"
	"time"

	"waybill/internal/chaos/nemesis"
	"waybill/internal/chaos/scenario"
)

// Measures of the picture, in its own units.
const (
	width     = 1000.0
	chart     = 120.0 // height of one chart
	left      = 150.0 // the names of the rows
	right     = 14.0
	top       = 30.0
	gap       = 40.0
	rowHeight = 15.0
	marks     = 8 // times marked on the axis, about
)

const (
	ink   = "#333"
	faint = "#e4e4e4"
)

// Timeline is a picture of one run as SVG: bundles settled a second, bundles waiting, and
// below them a row for each kind of fault, with a bar for each time it was done.
func Timeline(r scenario.Result) string {
	rows := rowsOf(r.Bands)
	bars := top + 2*(chart+gap)
	bottom := bars + rowHeight*float64(len(rows))
	height := bottom + 44
	p := &canvas{length: max(r.Length, time.Second)}
	p.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="Helvetica, Arial, sans-serif" font-size="11" fill="%s">`, width, height, ink)
	p.printf(`<rect width="%.0f" height="%.0f" fill="#fff"/>`, width, height)
	for _, band := range r.Bands {
		if !band.Kind.OfWholeRun() {
			p.bar(band, top, bars-gap-top, 0.10)
		}
	}
	p.grid(top, bottom)
	p.chart(top, "bundles settled a second", rates(r.Samples), "#1a7f5a")
	p.chart(top+chart+gap, "bundles waiting", depths(r.Samples), "#b3541e")
	for i, row := range rows {
		y := bars + rowHeight*float64(i)
		p.printf(`<text x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left-8, y+rowHeight-4, html.EscapeString(string(row.kind)))
		for _, band := range row.bands {
			p.bar(band, y+2, rowHeight-4, 1)
		}
	}
	p.healed(r, top, bottom)
	p.legend(height - 10)
	p.b.WriteString("</svg>\n")
	return p.b.String()
}

// row is everything of one kind.
type row struct {
	kind  nemesis.Kind
	bands []scenario.Band
}

// rowsOf are the rows in the order in which their kinds came first.
func rowsOf(bands []scenario.Band) (rows []row) {
	at := map[nemesis.Kind]int{}
	for _, band := range bands {
		i, known := at[band.Kind]
		if !known {
			i = len(rows)
			at[band.Kind] = i
			rows = append(rows, row{kind: band.Kind})
		}
		rows[i].bands = append(rows[i].bands, band)
	}
	return rows
}

// Colours tell faults of Amplitude from ours and from what lasts for the whole run.
const (
	ours      = "#a02c3f"
	amplitude = "#2f6fb0"
	always    = "#8a8a8a"
)

func colour(kind nemesis.Kind) string {
	switch {
	case kind.OfAmplitude():
		return amplitude
	case kind.OfWholeRun():
		return always
	default:
		return ours
	}
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

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

func (c *canvas) x(at time.Duration) float64 {
	return left + (width-left-right)*min(1, at.Seconds()/c.length.Seconds())
}

func (c *canvas) bar(band scenario.Band, y, height, opacity float64) {
	x := c.x(band.From)
	c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" opacity="%.2f"/>`,
		x, y, max(2, c.x(band.To)-x), height, colour(band.Kind), opacity)
}

// chart draws a line from a zero at the bottom to its greatest value at the top.
func (c *canvas) chart(y float64, title string, points []point, stroke string) {
	most := 1.0
	for _, p := range points {
		most = max(most, p.value)
	}
	c.printf(`<text x="%.0f" y="%.0f" font-weight="bold">%s</text>`, left, y-8, title)
	c.printf(`<text x="%.0f" y="%.0f" text-anchor="end">%.0f</text>`, left-8, y+9, most)
	c.printf(`<text x="%.0f" y="%.0f" text-anchor="end">0</text>`, left-8, y+chart)
	c.printf(`<rect x="%.0f" y="%.0f" width="%.0f" height="%.0f" fill="none" stroke="#bbb"/>`, left, y, width-left-right, chart)
	line := make([]string, len(points))
	for i, p := range points {
		line[i] = fmt.Sprintf("%.1f,%.1f", c.x(p.at), y+chart*(1-p.value/most))
	}
	c.printf(`<polyline fill="none" stroke="%s" stroke-width="1.5" stroke-linejoin="round" points="%s"/>`, stroke, strings.Join(line, " "))
}

// grid marks the seconds.
func (c *canvas) grid(y, bottom float64) {
	step := max(time.Second, (c.length / marks).Round(5*time.Second))
	for at := time.Duration(0); at <= c.length; at += step {
		x := c.x(at)
		c.printf(`<line x1="%.1f" y1="%.0f" x2="%.1f" y2="%.0f" stroke="%s"/>`, x, y, x, bottom, faint)
		c.printf(`<text x="%.1f" y="%.0f" text-anchor="middle">%.0f s</text>`, x, bottom+14, at.Seconds())
	}
}

// healed marks the moment from which nothing was wrong any more.
func (c *canvas) healed(r scenario.Result, y, bottom float64) {
	if r.Healed == 0 {
		return
	}
	x := c.x(r.Healed)
	c.printf(`<line x1="%.1f" y1="%.0f" x2="%.1f" y2="%.0f" stroke="%s" stroke-dasharray="4 3"/>`, x, y, x, bottom, ink)
	c.printf(`<text x="%.1f" y="%.0f" text-anchor="end">all healed</text>`, x-4, y-8)
}

func (c *canvas) legend(y float64) {
	x := left
	for _, entry := range []struct{ colour, name string }{
		{ours, "processes, Postgres, network"}, {amplitude, "Amplitude, and what it is sent"}, {always, "for the whole run"},
	} {
		c.printf(`<rect x="%.0f" y="%.0f" width="10" height="10" fill="%s"/>`, x, y-9, entry.colour)
		c.printf(`<text x="%.0f" y="%.0f">%s</text>`, x+15, y, entry.name)
		x += 220
	}
}
