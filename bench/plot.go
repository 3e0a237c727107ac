package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plots has the prefixes of the workloads in each picture, by file name.
var plots = map[string][]string{
	"latency.svg": {
		"sync latency p50", "200-item", "end of the prediction",
		"cancel of an async", "cancel of time.sleep", "health p99",
	},
	"throughput.svg": {"sync no-op, 1", "async no-op, 32", "async sleep", "health, 8"},
	"boot.svg":       {"exec → READY", "exec → first", "idle memory"},
	"stream.svg": {
		"async generator", "sync generator over SSE: yield",
		"sync generator over SSE: burst", "continuous batching, SSE",
	},
	"large.svg": {
		"16 MiB string in", "16 MiB string out", "64 MiB file out as data URL",
		"64 MiB file out by upload", "64 MiB file in",
	},
}

var colors = map[string]string{
	"coggo": "#2f7d4f", "coglet": "#b3541e", "fastapi": "#3b6ea5", "mosec": "#8a5fa8",
	"litserve": "#8c8c3a", "floor": "#b0a040", "bare": "#777777",
	"celery": "#6b8e23", "rq": "#b3541e", "taskiq": "#3b6ea5", "rayserve": "#8a5fa8",
	"bentoml": "#8c8c3a",
}

const (
	rowHeight, left, width = 18, 340, 900
)

// plot draws bars on a logarithmic scale, with one group for each workload. Thin lines show the
// spread.
func plot(r report, wanted []string) string {
	var rows strings.Builder
	y := 20
	for _, prefix := range wanted {
		for _, w := range r.Results {
			if strings.HasPrefix(w.Workload, prefix) {
				y = group(&rows, w, r.Systems, y)
			}
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d"`+
		` font-family="sans-serif" font-size="12">`+
		`<rect width="100%%" height="100%%" fill="white"/>%s</svg>`+"\n",
		width, y+10, rows.String())
}

// group draws one workload from y on and returns the y of the next one.
func group(out *strings.Builder, w result, systems []string, y int) int {
	low, high := math.Inf(1), 0.0
	for _, samples := range w.Samples {
		for _, v := range samples {
			low, high = math.Min(low, math.Max(v, 1e-4)), math.Max(high, v)
		}
	}
	if high == 0 {
		return y
	}
	low /= 2
	span := math.Log(math.Max(high/low, 1.01))
	x := func(v float64) float64 {
		return left + (width-left-150)*math.Log(math.Max(v, low)/low)/span
	}
	better := map[bool]string{false: "less is better", true: "more is better"}[w.Higher]
	fmt.Fprintf(out, `<text x="10" y="%d" font-weight="bold">%s</text>`+
		`<text x="10" y="%d" fill="#555">%s, %s; log scale</text>`,
		y+4, html.EscapeString(w.Workload), y+20, w.Unit, better)
	y += 8
	for _, name := range systems {
		samples := w.Samples[name]
		if len(samples) == 0 {
			continue
		}
		m := middle(samples)
		low, high := samples[0], samples[0]
		for _, v := range samples {
			low, high = math.Min(low, v), math.Max(high, v)
		}
		y += rowHeight
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+4, name)
		fmt.Fprintf(out, `<rect x="%d" y="%d" width="%.1f" height="12" fill="%s"/>`,
			left, y-6, math.Max(1, x(m)-left), colors[name])
		fmt.Fprintf(out, `<path d="M%.1f %dH%.1f" stroke="black" stroke-width="1.5"/>`,
			x(low), y, x(high))
		fmt.Fprintf(out, `<text x="%.1f" y="%d">%s</text>`, x(high)+6, y+4, short(m))
	}
	return y + 2*rowHeight
}
