package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// The size of the plot in pixels. The margins contain the labels.
const (
	width, height            = 720, 400
	left, right, top, bottom = 80, 20, 50, 60
)

// draw returns the plot of tokens per second against clients, as SVG. The axis of the clients is
// logarithmic.
func draw(results []result) []byte {
	most := 0.0
	for _, r := range results {
		most = max(most, r.rate, r.perCPU)
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 4 {
		step /= 2
	}
	ceiling := math.Ceil(most*1.05/step) * step
	x := func(i int) float64 {
		return left + float64(i)/float64(len(results)-1)*(width-left-right)
	}
	y := func(rate float64) float64 { return height - bottom - rate/ceiling*(height-top-bottom) }

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"`+
		` font-family="sans-serif" font-size="13" fill="#333">`+"\n", width, height)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	fmt.Fprintf(&out, `<text x="%d" y="28" font-size="16">`+
		`Continuous batching: tokens/s of all clients together</text>`+"\n", left)
	for rate := 0.0; rate <= ceiling; rate += step {
		fmt.Fprintf(&out, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+
			`<text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n",
			left, y(rate), width-right, left-8, y(rate)+4, rate)
	}
	for i, r := range results {
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n",
			x(i), height-bottom+22, r.clients)
	}
	fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="middle">clients</text>`+"\n",
		(left+width-right)/2, height-16)
	for n, l := range []struct {
		name, color string
		value       func(result) float64
	}{
		{
			"tokens/s of CPU time of the model's process", "#9ca3af",
			func(r result) float64 { return r.perCPU },
		},
		{"tokens/s", "#2563eb", func(r result) float64 { return r.rate }},
	} {
		var line, labels strings.Builder
		for i, r := range results {
			fmt.Fprintf(&line, "%.1f,%.1f ", x(i), y(l.value(r)))
			fmt.Fprintf(&labels, `<text x="%.1f" y="%.1f" text-anchor="middle" font-size="12"`+
				` fill="%s">%.1f×</text>`+"\n",
				x(i), y(l.value(r))-10, l.color, l.value(r)/l.value(results[0]))
		}
		fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n%s",
			line.String(), l.color, labels.String())
		fmt.Fprintf(&out, `<text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			left+10, top+20+20*n, l.color, l.name)
	}
	out.WriteString("</svg>\n")
	return out.Bytes()
}
