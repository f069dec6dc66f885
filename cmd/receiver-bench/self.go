package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"receiver/internal/bench"
	"receiver/internal/config"
	"receiver/internal/verify"
)

// benchSource is the name of the one source that is measured.
const benchSource = "bench"

// selfBench measures a receiver in this process against its ceiling.
type selfBench struct {
	load     bench.Load
	folder   string // removed at the end
	profile  string // where profiles go; empty if none are made
	verifier *verify.Verifier
	padding  int // what the receiver stores with a body, in bytes

	stored, covered uint64 // records, and of them sealed, when the load ended
}

func (a *app) benchSelf(ctx context.Context, f benchFlags) (err error) {
	for _, s := range f.sync {
		if !slices.Contains([]string{config.SyncAlways, config.SyncInterval}, s) {
			return usagef("--sync %q is not %s or %s", s, config.SyncAlways, config.SyncInterval)
		}
	}
	b, err := newSelfBench(f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	if b.padding, err = b.probe(ctx); err != nil {
		return fmt.Errorf("trying one callback: %w", err)
	}
	lanes, targets := b.lanes(f.sync)
	if f.sealing {
		lanes, targets = b.sealingLanes(f.sync)
	}
	each := f.load.Duration + f.load.Warmup + benchOverhead
	a.say("%d subjects, %d measurements each, %v each: about %v; Ctrl-C stops and prints the results so far",
		len(lanes), f.alternations, f.load.Duration, (time.Duration(len(lanes)*f.alternations) * each).Round(time.Second))
	report, err := bench.Alternate(ctx, lanes, targets, f.alternations, func(n int, l bench.Lane, s bench.Sample) {
		a.say("%d/%d  %-45s %8.0f requests/s  p99 %7.3f ms", n+1, f.alternations, l, s.Rate, s.Latency.P99)
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	if f.sealing {
		a.say("of %d records %d were sealed when the load ended; the rest is sealed after it", b.stored, b.covered)
	}
	report.Load = bench.LoadShape{
		Connections: f.load.Connections, Rate: f.load.Rate, Seconds: f.load.Duration.Seconds(),
		Body: f.load.Body, Stored: f.load.Body + b.padding,
	}
	if f.json {
		return json.NewEncoder(a.out).Encode(report)
	}
	return a.printReport(report)
}

// benchOverhead is about what starting and stopping takes each time.
const benchOverhead = 500 * time.Millisecond

func newSelfBench(f benchFlags) (*selfBench, error) {
	b := &selfBench{load: f.load, profile: f.profile}
	b.load.Key = bench.Key(rand.Text())
	b.load.URL = "http://127.0.0.1/" // stands for the real one until there is one
	if err := b.load.Check(); err != nil {
		return nil, usageError{err}
	}
	if f.alternations < 1 {
		return nil, usagef("--alternations %d, want at least 1", f.alternations)
	}
	key, err := verify.NewKey(benchSource, b.load.Key, verify.Window{})
	if err != nil {
		return nil, err
	}
	if b.verifier, err = verify.New(key); err != nil {
		return nil, err
	}
	if b.folder, err = os.MkdirTemp(f.folder, "receiver-bench-"); err != nil {
		return nil, usagef("--folder: %w", err)
	}
	return b, nil
}

const (
	gathered = "gathered"
	oneByOne = "one by one"
)

// lanes returns what is measured under each sync setting, and what it should come to.
func (b *selfBench) lanes(syncs []string) (lanes []bench.Lane, targets []bench.Target) {
	fresh, repeats, forgeries := b.load, b.load, b.load
	repeats.Duplicates, forgeries.Refusals = 1, 1
	forgeries.Prime = 0 // the baseline accepts nothing; beside accepted ones refusals give way
	for _, sync := range syncs {
		add := func(name, publishing string, l bench.Load, up bringUp) int {
			lane := bench.Lane{Name: name, Sync: sync, Publishing: publishing}
			lane.Run = b.run(lane, l, up)
			lanes = append(lanes, lane)
			return len(lanes) - 1
		}
		alone := add("ceiling", oneByOne, fresh, b.ceiling(true))
		together := add("ceiling", gathered, fresh, b.ceiling(false))
		publishing := gathered
		if sync == config.SyncInterval {
			publishing = oneByOne
		}
		accepted := add("receiver, accepted", publishing, fresh, b.receiver)
		duplicates := add("receiver, duplicates", publishing, repeats, b.receiver)
		refused := add("receiver, refused", "", forgeries, b.receiver)
		baseline := add("Echo+HMAC", "", forgeries, b.baseline)
		targets = append(targets,
			bench.Target{Name: "accepted / ceiling", Of: accepted, To: alone, Figure: bench.ByRate, Goal: 0.9},
			bench.Target{Name: "accepted / ceiling", Of: accepted, To: alone, Figure: bench.ByP99, Goal: 1.2},
			bench.Target{Name: "accepted / ceiling", Of: accepted, To: alone, Figure: bench.ByCPU},
			bench.Target{Name: "duplicates / ceiling", Of: duplicates, To: alone, Figure: bench.ByRate, Goal: 0.8},
			bench.Target{Name: "refused / Echo+HMAC", Of: refused, To: baseline, Figure: bench.ByRate, Goal: 0.8},
		)
		gathers := []bench.Target{
			{Name: "accepted / ceiling gathered", Of: accepted, To: together, Figure: bench.ByRate},
			{Name: "accepted / ceiling gathered", Of: accepted, To: together, Figure: bench.ByP99},
			{Name: "ceiling gathered / one by one", Of: together, To: alone, Figure: bench.ByRate, Goal: 3},
			{Name: "ceiling gathered / one by one", Of: together, To: alone, Figure: bench.ByP99, Goal: 1},
		}
		if sync == config.SyncInterval { // which gathers nothing
			gathers = []bench.Target{{Name: "ceiling gathered / one by one", Of: together, To: alone, Figure: bench.ByRate}}
		}
		targets = append(targets, gathers...)
	}
	return lanes, targets
}
