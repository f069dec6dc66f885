package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"receiver/internal/bench"
)

// lanes returns two lanes that give these rates in turn, and notes their order.
func lanes(asked *[]string, rates map[string][]float64) []bench.Lane {
	turn := map[string]int{}
	var all []bench.Lane
	for _, name := range []string{"ceiling", "receiver"} {
		all = append(all, bench.Lane{Name: name, Store: "always", Run: func(context.Context) (bench.Sample, error) {
			*asked = append(*asked, name)
			rate := rates[name][turn[name]]
			turn[name]++
			return bench.Sample{Result: bench.Result{Requests: 1, Rate: rate, Latency: bench.Latency{P99: 1000 / rate}}}, nil
		}})
	}
	return all
}

var targets = []bench.Target{
	{Of: 1, To: 0, Figure: bench.ByRate, Goal: 0.9},
	{Of: 1, To: 0, Figure: bench.ByP99, Goal: 1.2},
	{Of: 1, To: 0, Figure: bench.ByCPU},
}

func TestLanesTakeTurnsAndAreComparedWithinOne(t *testing.T) {
	var asked []string
	// The machine slows down to a tenth; the ratios do not.
	l := lanes(&asked, map[string][]float64{"ceiling": {1000, 500, 100}, "receiver": {950, 450, 80}})
	got, err := bench.Alternate(t.Context(), l, targets, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "ceiling receiver receiver ceiling ceiling receiver"; strings.Join(asked, " ") != want {
		t.Errorf("measured in the order %v, want %s", asked, want)
	}
	if got.Alternations != 3 || !got.Complete {
		t.Errorf("%d alternations, complete %v, want 3, complete", got.Alternations, got.Complete)
	}
	if want := (bench.Spread{Median: 500, Low: 100, High: 1000}); got.Lanes[0].Rate != want {
		t.Errorf("the ceiling's rate is %+v, want %+v", got.Lanes[0].Rate, want)
	}
	for i, want := range []struct {
		spread bench.Spread
		met    bool
	}{
		{bench.Spread{Median: 0.9, Low: 0.8, High: 0.95}, true},
		{bench.Spread{Median: 1.11, Low: 1.05, High: 1.25}, true},
		{bench.Spread{}, false}, // a system that does not tell the CPU time
	} {
		r := got.Ratios[i]
		if fmt.Sprintf("%.2f", r.Spread) != fmt.Sprintf("%.2f", want.spread) || r.Met != want.met {
			t.Errorf("ratio of %s is %.3f, met %v, want %.3f, %v", r.Figure, r.Spread, r.Met, want.spread, want.met)
		}
	}
}

func TestMissedTargetIsReported(t *testing.T) {
	var asked []string
	l := lanes(&asked, map[string][]float64{"ceiling": {1000}, "receiver": {500}})
	got, err := bench.Alternate(t.Context(), l, targets, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Ratios[0].Met || got.Ratios[1].Met {
		t.Errorf("half the rate and twice the p99 meet the targets: %+v", got.Ratios)
	}
}

func TestOnlyWholeAlternationsAreReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var asked []string
	l := lanes(&asked, map[string][]float64{"ceiling": {1000, 1}, "receiver": {900, 1}})
	told := 0
	got, err := bench.Alternate(ctx, l, targets, 5, func(n int, _ bench.Lane, _ bench.Sample) {
		if told++; told == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Alternate = %v, want context.Canceled", err)
	}
	if got.Alternations != 1 || got.Complete || got.Ratios[0].Median != 0.9 {
		t.Errorf("Alternate = %d alternations, complete %v, ratio %v, want the first one, incomplete, 0.9",
			got.Alternations, got.Complete, got.Ratios[0].Median)
	}
}

func TestFiguresOfWrongAnswersAreNone(t *testing.T) {
	for _, s := range []bench.Sample{
		{Result: bench.Result{Requests: 10, Unexpected: 1, Answers: map[string]uint64{"503": 1}}},
		{Result: bench.Result{Requests: 10, Failed: 1}},
	} {
		l := []bench.Lane{{Name: "receiver", Store: "always", Run: func(context.Context) (bench.Sample, error) { return s, nil }}}
		if _, err := bench.Alternate(t.Context(), l, nil, 1, nil); err == nil || !strings.Contains(err.Error(), "receiver, always") {
			t.Errorf("Alternate with %+v = %v, want an error that names the lane", s.Result, err)
		}
	}
}

// The shape of the JSON is an interface.
func TestJSONShape(t *testing.T) {
	var asked []string
	l := lanes(&asked, map[string][]float64{"ceiling": {1000}, "receiver": {900}})
	report, err := bench.Alternate(t.Context(), l, targets, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	lane := got["lanes"].([]any)[0].(map[string]any)
	for _, tt := range []struct {
		what string
		got  any
		want string
	}{
		{"the report", got, "alternations complete lanes load machine ratios"},
		{"machine", got["machine"], "arch cpus go os"},
		{"load", got["load"], "body_bytes connections rate seconds"},
		{"a lane", lane, "cpu_us_per_request generator_cpu_us_per_request lane p50_ms p99_ms peak_rss_bytes requests_per_second samples server_cpu_us_per_request store"},
		{"a spread", lane["p99_ms"], "high low median"},
		{"a sample", lane["samples"].([]any)[0], "answers behind cpu_us_per_request elapsed_seconds failed generator_cpu_us_per_request " +
			"latency_ms peak_rss_bytes requests requests_per_second server_cpu_us_per_request unexpected"},
		{"a ratio", got["ratios"].([]any)[0], "figure goal high low median met ratio store"},
	} {
		names := slices.Sorted(maps.Keys(tt.got.(map[string]any)))
		if strings.Join(names, " ") != tt.want {
			t.Errorf("%s has %v, want %s", tt.what, names, tt.want)
		}
	}
}

// A ratio says what is the same of both lanes once.
func TestRatiosAreNamed(t *testing.T) {
	run := func(context.Context) (bench.Sample, error) {
		return bench.Sample{Result: bench.Result{Requests: 1}}, nil
	}
	l := []bench.Lane{
		{Name: "receiver", Store: "always", Run: run}, {Name: "receiver", Store: "interval", Run: run},
		{Name: "ceiling", Store: "always", Run: run}, {Name: "ceiling", Run: run},
	}
	got, err := bench.Alternate(t.Context(), l, []bench.Target{{Of: 0, To: 1}, {Of: 0, To: 2}, {Of: 0, To: 3}}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"receiver, always / interval", "receiver / ceiling, always", "receiver / ceiling, always"} {
		if r := got.Ratios[i]; r.Name+", "+r.Store != want {
			t.Errorf("a ratio is %s, %s, want %s", r.Name, r.Store, want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   bench.Spread
	}{
		{nil, bench.Spread{}},
		{[]float64{3}, bench.Spread{Median: 3, Low: 3, High: 3}},
		{[]float64{4, 1, 3, 2}, bench.Spread{Median: 2.5, Low: 1, High: 4}},
		{[]float64{9, 1, 5}, bench.Spread{Median: 5, Low: 1, High: 9}},
	} {
		if got := bench.SpreadOf(tt.values); got != tt.want {
			t.Errorf("SpreadOf(%v) = %+v, want %+v", tt.values, got, tt.want)
		}
	}
}
