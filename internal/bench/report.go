package bench

import (
	"runtime"
	"slices"
)

// Report is what taking turns came to.
type Report struct {
	// Alternations is how often every lane was measured; Complete is false if that is less
	// than was asked for.
	Alternations int  `json:"alternations"`
	Complete     bool `json:"complete"`
	// Machine is where.
	Machine Machine `json:"machine"`
	// Load is what was sent, but for what the lanes change about it.
	Load LoadShape `json:"load"`
	// Lanes are the lanes in their order, Ratios what became of the targets.
	Lanes  []LaneReport `json:"lanes"`
	Ratios []Ratio      `json:"ratios"`
}

// Machine says where something was measured.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// LoadShape is what of a load is worth telling.
type LoadShape struct {
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate"`
	Seconds     float64 `json:"seconds"`
	Body        int     `json:"body_bytes"`
}

// LaneReport is a lane with its samples, in the order of the alternations.
type LaneReport struct {
	Lane
	Rate    Spread   `json:"requests_per_second"`
	P50     Spread   `json:"p50_ms"`
	P99     Spread   `json:"p99_ms"`
	CPU     Spread   `json:"cpu_us_per_request"`
	Servers Spread   `json:"server_cpu_us_per_request"`
	Sending Spread   `json:"generator_cpu_us_per_request"`
	Peak    Spread   `json:"peak_rss_bytes"`
	Samples []Sample `json:"samples"`
}

// Ratio is what became of a target.
type Ratio struct {
	Name   string `json:"ratio"`
	Store  string `json:"store"`
	Figure Figure `json:"figure"`
	// Of each alternation, one ratio.
	Spread
	Goal float64 `json:"goal,omitempty"`
	// Met is whether the median reaches the goal; false without a goal.
	Met bool `json:"met"`
}

// Spread is the middle of several values, and the least and the greatest of them.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// SpreadOf returns the spread of values, in any order. That of none is zero.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := slices.Sorted(slices.Values(values))
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	return Spread{Median: median, Low: v[0], High: v[len(v)-1]}
}

func report(lanes []Lane, targets []Target, samples [][]Sample, times int) Report {
	r := Report{
		Machine: Machine{runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()},
		Lanes:   make([]LaneReport, 0, len(lanes)), Ratios: make([]Ratio, 0, len(targets)),
	}
	for i, l := range lanes {
		r.Alternations, r.Complete = len(samples[i]), len(samples[i]) == times
		r.Lanes = append(r.Lanes, laneReport(l, samples[i]))
	}
	if r.Alternations == 0 {
		return r
	}
	for _, t := range targets {
		r.Ratios = append(r.Ratios, t.ratio(lanes[t.Of], lanes[t.To], samples[t.Of], samples[t.To]))
	}
	return r
}

func laneReport(l Lane, samples []Sample) LaneReport {
	spread := func(of func(Sample) float64) Spread {
		values := make([]float64, 0, len(samples))
		for _, s := range samples {
			values = append(values, of(s))
		}
		return SpreadOf(values)
	}
	return LaneReport{
		Lane: l, Samples: samples,
		Rate:    spread(func(s Sample) float64 { return s.Rate }),
		P50:     spread(func(s Sample) float64 { return s.Latency.P50 }),
		P99:     spread(func(s Sample) float64 { return s.Latency.P99 }),
		CPU:     spread(func(s Sample) float64 { return s.CPU }),
		Servers: spread(func(s Sample) float64 { return s.Servers }),
		Sending: spread(func(s Sample) float64 { return s.GeneratorCPU }),
		Peak:    spread(func(s Sample) float64 { return float64(s.Peak) }),
	}
}

// names says of two lanes what is in one and what is in the other, once if that is the same.
func names(of, to string) string {
	if to == of || to == "" {
		return of
	}
	return of + " / " + to
}

func (t Target) ratio(a, b Lane, of, to []Sample) Ratio {
	values := make([]float64, 0, len(of))
	for i := range of {
		if base := t.Figure.of(to[i]); base > 0 { // else the system does not tell
			values = append(values, t.Figure.of(of[i])/base)
		}
	}
	r := Ratio{Name: names(a.Name, b.Name), Store: names(a.Store, b.Store), Figure: t.Figure, Spread: SpreadOf(values), Goal: t.Goal}
	if t.Goal > 0 {
		r.Met = r.Median <= t.Goal
		if t.Figure == ByRate {
			r.Met = r.Median >= t.Goal
		}
	}
	return r
}
