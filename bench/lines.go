package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The size of the plot of a curve in pixels. The margins contain the labels.
const (
	linesWidth, linesHeight                      = 900, 460
	linesLeft, linesRight, linesTop, linesBottom = 70, 330, 40, 50
)

// linesColors are those of the lines of a curve, in their order.
var linesColors = []string{
	"#2f7d4f", "#3b6ea5", "#b3541e", "#8a5fa8", "#b0a040", "#c2185b", "#00838f", "#6b8e23",
	"#5d4037", "#777777", "#ef6c00", "#283593",
}

// draw returns the plot of a curve. Both axes are logarithmic, so a cost that grows with the level
// is a straight line that rises, and one that does not depend on it is level.
func (c *curve) draw() string {
	low, high := math.Inf(1), 0.0
	for _, l := range c.Lines {
		for _, level := range c.Levels {
			if v := middle(l.Samples[level]); v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	low, high = math.Floor(math.Log10(low)), math.Ceil(math.Log10(high)+1e-9)
	first, last := float64(c.Levels[0]), float64(c.Levels[len(c.Levels)-1])
	x := func(level int) float64 {
		share := math.Log(float64(level)/first) / math.Log(max(last/first, 1.01))
		return linesLeft + share*(linesWidth-linesLeft-linesRight)
	}
	y := func(v float64) float64 {
		share := (math.Log10(v) - low) / max(high-low, 1)
		return linesHeight - linesBottom - share*(linesHeight-linesTop-linesBottom)
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"`+
		` font-family="sans-serif" font-size="12" fill="#333">`+
		`<rect width="100%%" height="100%%" fill="white"/>`+
		`<text x="%d" y="24" font-size="15">%s</text>`+"\n",
		linesWidth, linesHeight, linesLeft, html.EscapeString(c.Name))
	for power := low; power <= high; power++ {
		at := y(math.Pow(10, power))
		fmt.Fprintf(&out, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+
			`<text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			linesLeft, at, linesWidth-linesRight, linesLeft-8, at+4, math.Pow(10, power))
	}
	for _, level := range c.Levels {
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(level), linesHeight-linesBottom+20, thousands(level))
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n",
		(linesLeft+linesWidth-linesRight)/2, linesHeight-10, html.EscapeString(c.Level))
	for i, l := range c.Lines {
		l.draw(&out, c.Levels, linesColors[i%len(linesColors)], i, x, y)
	}
	return out.String() + "</svg>\n"
}

// draw adds one line and its name.
func (l *line) draw(
	out *strings.Builder, levels []int, color string, i int, x func(int) float64, y func(float64) float64,
) {
	var points strings.Builder
	for _, level := range levels {
		if v := middle(l.Samples[level]); v > 0 {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(level), y(v))
			fmt.Fprintf(out, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x(level), y(v), color)
		}
	}
	fmt.Fprintf(out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n",
		points.String(), color)
	fmt.Fprintf(out, `<text x="%d" y="%d" fill="%s" font-size="11">%s, %s</text>`+"\n",
		linesWidth-linesRight+12, linesTop+14+18*i, color, html.EscapeString(l.Name), l.Unit)
}
