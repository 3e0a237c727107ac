// Command bench compares Coggo with other runtimes, side by side and in turns. `make bench`
// prepares their environments.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

func main() {
	quick := flag.Bool("quick", false, "fewer rounds with fewer requests")
	rounds := flag.Int("rounds", 0, "rounds of each workload; 0: 7, or 3 with -quick")
	only := flag.String("only", "", "regular expression for the names of workloads")
	out := flag.String("out", "bench/results", "directory for the table, its JSON and the plots")
	publish := flag.Bool("publish", false,
		"put the table and the plots of -out into docs/performance.md, and do not measure")
	queue := flag.Bool("queue", false, "compare queues, of which -only chooses by name")
	curve := flag.Bool("curves", false, "show how costs grow, of one server and of a queue")
	shared := flag.Bool("shared", false,
		"measure a shared queue of each binary that follows, and compare it with one server of it")
	port := flag.String("serve", "", "be the bare server on this port")
	least := flag.String("floor", "", "be the server of the bare protocol on this port")
	flag.Parse()
	if *port != "" {
		exit(serveBare(*port))
	}
	if *least != "" {
		exit(serveFloor(*least))
	}
	if *curve && *publish {
		exit(publishCurves(*out))
	}
	if *queue && *publish {
		exit(publishResults(*out, queueBoard))
	}
	if *publish {
		exit(publishResults(*out, runtimeBoard))
	}
	if *rounds == 0 {
		*rounds = map[bool]int{true: 3, false: 7}[*quick]
	}
	if *curve {
		q := curves{extent: extent{*quick, *rounds, *out}}
		exit(q.measure(regexp.MustCompile(*only).MatchString))
	}
	if *queue {
		q := queueRun{extent: extent{*quick, *rounds, *out}, only: regexp.MustCompile(*only)}
		exit(q.run())
	}
	if *shared {
		exit(runShared(flag.Args(), *quick, *rounds, regexp.MustCompile(*only), *out))
	}
	exit(run(*quick, *rounds, regexp.MustCompile(*only), *out))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(quick bool, rounds int, only *regexp.Regexp, out string) error {
	k, err := newSink()
	if err != nil {
		return err
	}
	b := &bench{quick: quick, rounds: rounds, up: map[served]*server{}, idle: map[string]rest{}}
	defer b.stop()
	all := slices.Concat(
		bootWorkloads, requestWorkloads, streamWorkloads, controlWorkloads(k), largeWorkloads(k))
	report := report{
		Began: time.Now().UTC().Format(time.RFC3339), Rounds: rounds, Quick: quick, board: runtimeBoard,
	}
	for _, sys := range systems {
		report.Systems = append(report.Systems, sys.name)
	}
	if only.String() != "" { // keep the results of the workloads that do not run
		if old, err := readReport(out, runtimeBoard); err == nil {
			report.Results = old.Results
		}
	}
	for _, w := range all {
		if !only.MatchString(w.name) {
			continue
		}
		start := time.Now()
		r := b.measure(w)
		report.add(r)
		took := time.Since(start).Round(time.Second)
		fmt.Printf("%s (%s, %s)\n%s\n", w.name, w.unit, took, report.lines(r))
		// Written after each workload, so that an interrupted run has a table too.
		if err := report.write(out); err != nil {
			return err
		}
	}
	return nil
}
