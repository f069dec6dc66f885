package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"receiver/internal/bench"
)

// printReport prints two tables: what was measured, and what became of the targets.
func (a *app) printReport(r bench.Report) error {
	if r.Alternations == 0 {
		a.say("no measurement was completed")
		return nil
	}
	l := r.Load
	pace := "closed loop"
	if l.Rate > 0 {
		pace = fmt.Sprintf("%.0f requests/s", l.Rate)
	}
	fmt.Fprintf(a.out, "%d alternations of %v s; %d connections, %s; body %d bytes; %s/%s, %d CPUs, %s\n\n",
		r.Alternations, l.Seconds, l.Connections, pace, l.Body, r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.Go)
	rows := make([][]string, 0, len(r.Lanes))
	for _, l := range r.Lanes {
		rows = append(rows, []string{
			l.Name, l.Store, fmt.Sprintf("%.0f (%.0f-%.0f)", l.Rate.Median, l.Rate.Low, l.Rate.High),
			fmt.Sprintf("%.2f", l.P50.Median), fmt.Sprintf("%.2f (%.2f-%.2f)", l.P99.Median, l.P99.Low, l.P99.High),
			fmt.Sprintf("%.0f", l.CPU.Median), fmt.Sprintf("%.0f", l.Servers.Median), fmt.Sprintf("%.0f", l.Sending.Median),
			fmt.Sprintf("%.0f", l.Peak.Median/(1<<20)),
		})
	}
	err := a.table([]string{
		"program", "store", "requests/s", "p50 ms", "p99 ms", "CPU µs", "NATS µs", "load µs", "peak MiB",
	}, rows)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	return a.printRatios(r.Ratios)
}

func (a *app) printRatios(ratios []bench.Ratio) error {
	rows := make([][]string, 0, len(ratios))
	for _, t := range ratios {
		goal, met := "", ""
		if t.Goal > 0 {
			goal, met = fmt.Sprintf("at most %.2f", t.Goal), "no"
			if t.Figure == bench.ByRate {
				goal = fmt.Sprintf("at least %.2f", t.Goal)
			}
			if t.Met {
				met = "yes"
			}
		}
		rows = append(rows, []string{
			t.Name, t.Store, string(t.Figure), fmt.Sprintf("%.2f", t.Median), fmt.Sprintf("%.2f-%.2f", t.Low, t.High), goal, met,
		})
	}
	return a.table([]string{"ratio", "store", "of", "median", "spread", "target", "met"}, rows)
}

// table prints rows in columns, which are a table in Markdown, too.
func (a *app) table(head []string, rows [][]string) error {
	t := tabwriter.NewWriter(a.out, 0, 4, 1, ' ', 0)
	line := slices.Repeat([]string{"---"}, len(head))
	for _, row := range append([][]string{head, line}, rows...) {
		fmt.Fprintf(t, "| %s\t|\n", strings.Join(row, "\t| "))
	}
	return t.Flush()
}
