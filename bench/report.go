package main

import (
	"encoding/json"
	"fmt"
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
	Results []result `json:"results"`
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

func readReport(dir string) (r report, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// The table is between these lines of docs/performance.md.
const (
	tableBegins = "<!-- results of make bench -->\n"
	tableEnds   = "<!-- end of results -->\n"
)

// publishResults writes a run into the documentation.
func publishResults(dir string) error {
	const page, pictures = "docs/performance.md", "docs/performance"
	r, err := readReport(dir)
	if err != nil {
		return err
	}
	if err := r.write(pictures); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(pictures, "results.md")); err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tableBegins)
	_, after, ended := strings.Cut(rest, tableEnds)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table", page)
	}
	return os.WriteFile(page, []byte(before+tableBegins+r.markdown()+tableEnds+after), 0o644)
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
	for name, wanted := range plots {
		files[name] = []byte(plot(r.Results, wanted))
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
	out.WriteString("| workload | unit | to reach | ")
	for _, sys := range systems {
		out.WriteString(sys.name + " | ")
	}
	out.WriteString("Coggo / coglet | Coggo / best peer |\n")
	out.WriteString("|---|---|---|" + strings.Repeat("---|", len(systems)+2) + "\n")
	for _, w := range r.Results {
		fmt.Fprintf(&out, "| %s | %s | %s | ", w.Workload, w.Unit, w.Target)
		for _, sys := range systems {
			out.WriteString(w.cell(sys.name) + " | ")
		}
		coglet := "–"
		if own, other := w.Samples["coggo"], w.Samples["coglet"]; len(own) > 0 && len(other) > 0 {
			coglet = fmt.Sprintf("%.2f", against(own, other))
		}
		out.WriteString(coglet + " | " + w.ratio() + " |\n")
	}
	return out.String()
}

func (w result) cell(name string) string {
	text := "–"
	if samples := w.Samples[name]; len(samples) > 0 {
		text = fmt.Sprintf("%s (%s … %s)",
			short(middle(samples)), short(slices.Min(samples)), short(slices.Max(samples)))
	} else if w.Errors[name] != "" {
		text = "failed"
	}
	if w.Wrong[name] > 0 {
		text += fmt.Sprintf(", %d wrong", w.Wrong[name])
	}
	return text
}

// ratio returns the median over the rounds of Coggo's figure divided by that of the best other
// runtime in the same round.
func (w result) ratio() string {
	own := w.Samples["coggo"]
	best := ""
	for _, sys := range systems {
		other := w.Samples[sys.name]
		bound := sys.bound && !strings.HasPrefix(w.Workload, "health, 8")
		if sys.name == "coggo" || bound || len(other) == 0 {
			continue
		}
		if best == "" || w.Higher == (middle(other) > middle(w.Samples[best])) {
			best = sys.name
		}
	}
	if best == "" || len(own) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f × %s", against(own, w.Samples[best]), best)
}

// against returns the median of the ratios of each round. Because a round takes a short time, a
// drift of the machine's speed does not affect it.
func against(a, b []float64) float64 {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	return middle(ratios)
}

func (w result) line() string {
	var out strings.Builder
	for _, sys := range systems {
		if cell := w.cell(sys.name); cell != "–" {
			fmt.Fprintf(&out, "  %-9s %s\n", sys.name, cell)
		}
	}
	return out.String() + "  " + w.ratio()
}

// short formats a number with three digits.
func short(v float64) string {
	digits := 0
	for limit := 100.0; digits < 3 && v < limit; limit /= 10 {
		digits++
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
