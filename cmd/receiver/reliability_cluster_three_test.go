//go:build e2e

package main_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/bench"
	"receiver/internal/cluster"
)

// TestReliabilityClusterThreeReceivers sends each callback to three receivers at the same
// moment, while the node that leads JOBS is killed, and again when it is back, until each of
// the three has answered 200.
func TestReliabilityClusterThreeReceivers(t *testing.T) {
	const jobs, atOnce = 1000, 16
	c := startCluster(t, cluster.Options{})
	_, receivers := c.balanced(t, 3, quickTimeout)
	var callers []caller
	for _, r := range receivers {
		callers = append(callers, newCaller(r.public))
	}
	c.copied("JOBS")
	leader := c.leader("JOBS")
	want := map[string]bool{}
	var accepted, duplicate, refused atomic.Int64
	began := time.Now()
	for round := range 2 {
		slots := make(chan struct{}, atOnce)
		var all sync.WaitGroup
		for i := range jobs {
			if round == 0 && i == jobs/2 {
				leader.kill9()
			}
			id := fmt.Sprint(i)
			want[id] = true
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				var three sync.WaitGroup
				for _, to := range callers {
					three.Go(func() {
						outcome := untilAnswered(t, to, id, &refused)
						switch outcome {
						case "accepted":
							accepted.Add(1)
						case "duplicate":
							duplicate.Add(1)
						default:
							t.Errorf("job %s was answered 200 with outcome %q", id, outcome)
						}
					})
				}
				three.Wait()
			})
		}
		all.Wait()
		if round == 0 {
			leader.start()
			c.ready()
		}
	}
	c.copied("JOBS")
	took := time.Since(began)
	got := c.finished()
	eachOnce(t, got, want)
	doubled := 0
	for _, n := range got {
		if n > 1 {
			doubled++
		}
	}
	// An answer lost with the leader was for a stored event: the repeat is a duplicate.
	if n := accepted.Load(); n > jobs {
		t.Errorf("%d callbacks were answered accepted, want at most one for each of the %d jobs", n, jobs)
	}
	t.Logf("in %.1f s, of %d callbacks answered 200, %d were accepted and %d known", took.Seconds(), accepted.Load()+duplicate.Load(), accepted.Load(), duplicate.Load())
	fmt.Fprintf(t.Output(), "| each callback to three receivers at once, and again; `kill -9` of the node that leads JOBS | `%s` | %d | %d | %d | %d | |\n",
		t.Name(), accepted.Load()+duplicate.Load(), len(got), doubled, refused.Load())
}

// untilAnswered calls back until that is answered 200, and returns the outcome.
func untilAnswered(t *testing.T, to caller, id string, refused *atomic.Int64) (outcome string) {
	for {
		outcome, ok, err := to.finished(t.Context(), id)
		if ok {
			return outcome
		}
		refused.Add(1)
		select {
		case <-time.After(repeatAfter):
		case <-t.Context().Done():
			t.Errorf("job %s was never answered 200: %v", id, err)
			return ""
		}
	}
}

// TestReliabilityReceiversInTurns measures one receiver and three, each behind the same
// plain TCP balancer, in turns. All of it shares one machine, so that more receivers have no
// more processors: the ratio says what they cost each other, not what three machines bear.
func TestReliabilityReceiversInTurns(t *testing.T) {
	times := 5
	if testing.Short() {
		times = 2
	}
	c := startCluster(t, cluster.Options{})
	one, _ := c.balanced(t, 1, "")
	three, _ := c.balanced(t, 3, "")
	var seed uint64
	lane := func(name string, f *front) bench.Lane {
		return bench.Lane{Name: name, Store: "cluster", Run: func(ctx context.Context) (bench.Sample, error) {
			seed++ // or the second turn would send duplicates
			g, err := bench.Start(ctx, bench.Load{
				URL: "http://" + f.addr + "/callbacks/demo", Key: bench.Key(signatureKey), Seed: seed,
				Connections: 48, Duration: 2 * time.Second, Warmup: 500 * time.Millisecond, Body: 246,
			})
			if err != nil {
				return bench.Sample{}, err
			}
			defer g.Close()
			r, err := g.Measure(ctx)
			if err == nil && (r.Unexpected > 0 || r.Failed > 0 || r.Answers["200 accepted"] != r.Requests) {
				err = errors.New("not every callback was accepted: " + fmt.Sprint(r.Answers, r.Failed))
			}
			return bench.Sample{Result: r}, err
		}}
	}
	report, err := bench.Alternate(t.Context(), []bench.Lane{lane("one", one), lane("three", three)},
		[]bench.Target{{Of: 1, To: 0, Figure: bench.ByRate}, {Of: 1, To: 0, Figure: bench.ByP99}},
		times, nil)
	if err != nil {
		t.Fatal(err)
	}
	rate, p99 := report.Ratios[0], report.Ratios[1]
	fmt.Fprintf(t.Output(), "| %d | %.0f | %.0f | %.2f (%.2f to %.2f) | %.2f (%.2f to %.2f) | `%s` |\n", report.Machine.CPUs,
		report.Lanes[0].Rate.Median, report.Lanes[1].Rate.Median, rate.Median, rate.Low, rate.High, p99.Median, p99.Low, p99.High, t.Name())
}
