package main

import (
	"slices"

	"receiver/internal/bench"
)

// subject is something that is measured: a program, and where it stores.
type subject struct{ program, store string }

// The programs.
const (
	receiver = "receiver"
	refused  = "receiver, refused"
	sealed   = "receiver, sealing"
	bare     = "bare handler"
	hmacOnly = "Echo+HMAC"
	peer     = "peer"
)

// Where they store: in the server of their own process, with an fsync before each acknowledgement
// or not; at a server in another process, without or with; at all of a cluster of three.
const (
	always         = "always"
	interval       = "interval"
	external       = "external"
	externalAlways = "external, always"
	cluster3       = "cluster, R3"
	nowhere        = ""
)

// comparison is of two subjects, and what their ratios should come to: of rates at least, of p99 at
// most; zero if nothing was agreed.
type comparison struct {
	lane      string // the word of --lanes
	of, to    subject
	rate, p99 float64
}

// The words of --lanes that are not measured unless they are named, or there is a peer.
const (
	lanePeer    = "peer"
	laneSealing = "sealing"
)

// comparisons are all that can be measured. The goals are those of issue 14, and of issue 4 for
// sealing.
var comparisons = []comparison{
	{lane: "always", of: subject{receiver, always}, to: subject{bare, always}},
	{lane: "always", of: subject{receiver, always}, to: subject{receiver, interval}, rate: 0.9},
	{lane: "interval", of: subject{receiver, interval}, to: subject{bare, interval}, rate: 0.75},
	{lane: "external", of: subject{receiver, external}, to: subject{bare, external}, rate: 0.75},
	{lane: lanePeer, of: subject{receiver, external}, to: subject{peer, external}, rate: 1.5, p99: 1},
	{lane: "external-always", of: subject{receiver, externalAlways}, to: subject{bare, externalAlways}, rate: 0.75},
	{lane: "cluster", of: subject{receiver, cluster3}, to: subject{bare, cluster3}, rate: 0.75},
	{lane: "refused", of: subject{refused, always}, to: subject{hmacOnly, nowhere}, rate: 0.85},
	{lane: laneSealing, of: subject{sealed, always}, to: subject{receiver, always}, rate: 0.98},
	{lane: laneSealing, of: subject{sealed, interval}, to: subject{receiver, interval}, rate: 0.98},
}

// laneNames are the words of --lanes.
func laneNames() (names []string) {
	for _, c := range comparisons {
		if !slices.Contains(names, c.lane) {
			names = append(names, c.lane)
		}
	}
	return names
}

// lanes returns what is measured for these words, each subject once, and what it should come to.
func (b *selfBench) lanes(words []string) (lanes []bench.Lane, targets []bench.Target) {
	place := func(s subject) int {
		l := bench.Lane{Name: s.program, Store: s.store}
		i := slices.IndexFunc(lanes, func(have bench.Lane) bool { return have.String() == l.String() })
		if i < 0 {
			i, l.Run = len(lanes), b.run(s)
			lanes = append(lanes, l)
		}
		return i
	}
	for _, c := range comparisons {
		if slices.Contains(words, c.lane) {
			of, to := place(c.of), place(c.to)
			targets = append(targets,
				bench.Target{Of: of, To: to, Figure: bench.ByRate, Goal: c.rate},
				bench.Target{Of: of, To: to, Figure: bench.ByP99, Goal: c.p99},
				bench.Target{Of: of, To: to, Figure: bench.ByCPU},
			)
		}
	}
	return lanes, targets
}
