package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// report has the results of one run.
type report struct {
	Began   string   `json:"began"`
	Rounds  int      `json:"rounds"`
	Quick   bool     `json:"quick"`
	Systems []string `json:"systems"` // in the order of their columns
	Results []result `json:"results"`
	board   board
}

// board is how and where the results of a set of systems are shown.
type board struct {
	command  string              // what measures it; it marks the place in docs/performance.md
	pictures string              // directory of its results and pictures, below docs
	plots    map[string][]string // prefixes of the workloads in each picture
	bounds   []string            // systems that only bound the others
	beside   string              // the peer with a ratio of its own, if any
}

// runtimeBoard shows the results of `make bench`.
var runtimeBoard = board{
	command: "make bench", pictures: "performance", plots: plots, beside: "coglet",
	bounds: []string{"floor", "bare"},
}

// add adds a result. It replaces an earlier one of the same workload.
func (r *report) add(w result) {
	at := slices.IndexFunc(r.Results, func(old result) bool { return old.Workload == w.Workload })
	if at < 0 {
		r.Results = append(r.Results, w)
	} else {
		r.Results[at] = w
	}
}

func readReport(dir string, b board) (report, error) {
	r := report{board: b}
	data, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// publishResults writes a run into the documentation.
func publishResults(dir string, b board) error {
	const page = "docs/performance.md"
	pictures := filepath.Join("docs", b.pictures)
	r, err := readReport(dir, b)
	if err != nil {
		return err
	}
	if err := r.write(pictures); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(pictures, "results.md")); err != nil {
		return err
	}
	return publish(page, b.command, r.markdown())
}

// publish puts a text where a page has the results of a command.
func publish(page, command, results string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	begins, ends := "<!-- results of "+command+" -->\n", "<!-- end of results -->\n"
	before, rest, found := strings.Cut(string(text), begins)
	_, after, ended := strings.Cut(rest, ends)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the results of %s", page, command)
	}
	return os.WriteFile(page, []byte(before+begins+results+ends+after), 0o644)
}

// write makes results.json, results.md and the plots.
func (r report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"results.json": append(data, '\n'),
		"results.md":   []byte(r.markdown()),
	}
	for name, wanted := range r.board.plots {
		files[name] = []byte(plot(r, wanted))
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// markdown returns the table: for each system the median and, in brackets, the smallest and the
// largest figure of a round.
func (r report) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %d processors, %d rounds in turns.\n\n",
		r.Began, runtime.NumCPU(), r.Rounds)
	heads := append([]string{"workload", "unit"}, r.Systems...)
	if r.board.beside != "" {
		heads = slices.Insert(heads, 2, "to reach")
		heads = append(heads, "Coggo / "+r.board.beside)
	}
	heads = append(heads, "Coggo / best peer")
	fmt.Fprintf(&out, "| %s |\n|%s\n", strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	for _, w := range r.Results {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(r.cells(w), " | "))
	}
	return out.String()
}

// cells returns the row of a workload.
func (r report) cells(w result) []string {
	cells := []string{w.Workload, w.Unit}
	if r.board.beside != "" {
		cells = append(cells, w.Target)
	}
	for _, name := range r.Systems {
		cells = append(cells, w.cell(name))
	}
	if r.board.beside != "" {
		cells = append(cells, w.compare(r.board.beside, ""))
	}
	return append(cells, r.ratio(w))
}

// tasks is the unit of a count.
const tasks = "tasks"

func (w result) cell(name string) string {
	text := "–"
	samples := w.Samples[name]
	switch {
	case len(samples) == 1 && w.Unit == tasks:
		text = fmt.Sprintf("%.0f", samples[0])
	case len(samples) == 1:
		text = short(samples[0])
	case len(samples) > 0:
		text = fmt.Sprintf("%s (%s … %s)",
			short(middle(samples)), short(slices.Min(samples)), short(slices.Max(samples)))
	case w.Why[name] != "":
		text = "– (" + w.Why[name] + ")"
	case w.Errors[name] != "" || len(w.LeftOut[name]) > 0:
		text = "failed"
	}
	if left := len(w.LeftOut[name]); left > 0 && len(samples) > 0 {
		text += fmt.Sprintf(", %d left out", left)
	}
	if w.Wrong[name] > 0 {
		text += fmt.Sprintf(", %d wrong", w.Wrong[name])
	}
	return text
}

// ratio compares Coggo with the best other system.
func (r report) ratio(w result) string {
	best := ""
	for _, name := range r.Systems {
		other := w.Samples[name]
		bound := slices.Contains(r.board.bounds, name) && !strings.HasPrefix(w.Workload, "health, 8")
		if name == "coggo" || bound || len(other) == 0 {
			continue
		}
		if best == "" || w.Higher == (middle(other) > middle(w.Samples[best])) {
			best = name
		}
	}
	return w.compare(best, " × "+best)
}

// compare returns Coggo's figure divided by that of another system, as the median over the rounds,
// and its unit. Of two that cannot be divided, or need not be, it says how they compare.
func (w result) compare(other, unit string) string {
	own, its := w.Samples["coggo"], w.Samples[other]
	switch {
	case len(own) == 0 || len(its) == 0 || w.Neutral:
		return "–"
	case middle(own) == middle(its) && (middle(own) == 0 || w.Unit == tasks):
		return "equal"
	case middle(its) == 0:
		return fmt.Sprintf("%.3g against 0", middle(own))
	}
	return fmt.Sprintf("%.2f", against(w.rounds("coggo"), w.rounds(other))) + unit
}

// rounds returns the figures of a system by round. One that is left out is not a number.
func (w result) rounds(name string) []float64 {
	all := slices.Clone(w.Samples[name])
	for _, at := range w.LeftOut[name] {
		all = slices.Insert(all, at, math.NaN())
	}
	return all
}

// against returns the median of the ratios of each round. Because a round takes a short time, a
// drift of the machine's speed does not affect it.
func against(a, b []float64) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 && !math.IsNaN(a[i]) && !math.IsNaN(b[i]) {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return middle(ratios)
}

// lines returns the row of a workload for a terminal.
func (r report) lines(w result) string {
	var out strings.Builder
	for _, name := range r.Systems {
		if cell := w.cell(name); cell != "–" {
			fmt.Fprintf(&out, "  %-9s %s\n", name, cell)
		}
	}
	return out.String() + "  " + r.ratio(w)
}

// short formats a number with three digits.
func short(v float64) string {
	digits := 0
	for limit := 100.0; digits < 3 && v < limit; limit /= 10 {
		digits++
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
