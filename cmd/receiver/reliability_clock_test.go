//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/cluster"
	"receiver/internal/simulator"
)

// off is how far clocks are set: farther than any time in the configuration of these runs
// but the age of JOBS.
const off = 50 * time.Minute

// TestReliabilityClusterClockJump sets the clock of one process ahead, back, and right again,
// under load: of a receiver, and of the node that leads JOBS.
func TestReliabilityClusterClockJump(t *testing.T) {
	b := buildWithClocks(t)
	t.Run("receiver", func(t *testing.T) {
		c := startCluster(t, cluster.Options{})
		clock := newWallClock(t)
		jumps, other := c.configured(t, quickTimeout), c.receiver(t, quickTimeout)
		jumps.program = clock.on(b.receiver)
		jumps.up(t)
		l := pourAt(t, jumps, other)
		l.more(c, enoughAcked)
		at := time.Now()
		for _, set := range []time.Duration{off, -off, 0} {
			clock.set(set)
			c.sees(set, func(m *jetstream.RawStreamMsg) string { return m.Header.Get("receiver-received") })
			l.more(c, enoughAcked)
		}
		l.judge(c, "the clock of one of two receivers set 50 minutes ahead, then 50 back, then right", l.silence(at))
	})
	t.Run("node", func(t *testing.T) {
		clocks := []wallClock{newWallClock(t), newWallClock(t), newWallClock(t)}
		c := startClusterOf(t, cluster.Options{}, func(n int) []string { return clocks[n-1].on(b.server) })
		r := c.receiver(t, quickTimeout)
		l := pourAt(t, r)
		l.more(c, enoughAcked)
		at := time.Now()
		for _, set := range []time.Duration{off, -off, 0} {
			for i, n := range c.nodes {
				if n == c.leader("JOBS") {
					clocks[i].set(set)
				} else {
					clocks[i].set(0)
				}
			}
			c.sees(set, func(m *jetstream.RawStreamMsg) string { return m.Time.Format(time.RFC3339Nano) })
			c.diagnosed(r, set)
			l.more(c, enoughAcked)
		}
		l.judge(c, "the clock of the node that leads JOBS set 50 minutes ahead, then 50 back, then right", l.silence(at))
	})
}

// TestANodeStartedBeyondTheAgeForgets checks a loss that docs/reliability.md names: the copy of a
// node whose clock is ahead by more than JOBS keeps events is empty after its start, and appears
// empty as soon as that node leads. The other copies are complete.
func TestANodeStartedBeyondTheAgeForgets(t *testing.T) {
	const jobs, day = 20, 24 * time.Hour
	b := buildWithClocks(t)
	clocks := []wallClock{newWallClock(t), newWallClock(t), newWallClock(t)}
	c := startClusterOf(t, cluster.Options{}, func(n int) []string { return clocks[n-1].on(b.server) })
	r := c.receiver(t, "  jobs_max_age: 96h\n"+quickTimeout)
	platform := newCaller(r.public)
	for i := range jobs {
		if _, ok, err := platform.finished(t.Context(), fmt.Sprint(i)); !ok {
			t.Fatal(err)
		}
	}
	c.copied("JOBS")
	right := c.leader("JOBS")
	ahead := c.others(right)[0]
	clocks[slices.Index(c.nodes, ahead)].set(5 * day)
	ahead.stop()
	ahead.start()
	c.ready()
	for _, step := range []struct {
		leads *natsNode
		want  int
	}{{ahead, 0}, {right, jobs}} {
		c.lead("JOBS", step.leads)
		if got := len(c.finished()); got != step.want {
			t.Errorf("with %s in the lead JOBS holds %d events, want %d", step.leads.Name, got, step.want)
		}
	}
}

// diagnosed has doctor look at the clocks of all nodes, of which one may be off.
func (c *natsCluster) diagnosed(r *replica, off time.Duration) {
	c.t.Helper()
	var monitors []string
	for _, n := range c.nodes {
		monitors = append(monitors, n.Monitor)
	}
	_, text := r.command(c.t, "doctor", "--nats-monitor", strings.Join(monitors, ","))
	wrong := regexp.MustCompile(`error +clock +the clock of http://\S+ is \S+ (ahead of|behind) the clock of this machine`)
	want := 0
	if off != 0 {
		want = 1
	}
	if got := len(wrong.FindAllString(text, -1)); got != want {
		c.t.Errorf("doctor named %d clocks of nodes, want %d of one that is off by %v:\n%s", got, want, off, text)
	}
}

// sees waits until the time of the last event of JOBS is wrong by off.
func (c *natsCluster) sees(off time.Duration, told func(*jetstream.RawStreamMsg) string) {
	c.t.Helper()
	js := c.jetstream()
	c.until("an event has a time that is off by "+off.String(), func(ctx context.Context) bool {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, "JOBS")
		if err != nil {
			return false
		}
		m, err := s.GetMsg(ctx, s.CachedInfo().State.LastSeq)
		if err != nil {
			return false
		}
		at, err := time.Parse(time.RFC3339Nano, told(m))
		return err == nil && (time.Until(at)-off).Abs() < off.Abs()/2+5*time.Minute
	})
}

// TestReliabilityClockJump runs every fault of the simulator with two receivers. The clock of one
// is set ahead, back, and right again while jobs are submitted and polled.
func TestReliabilityClockJump(t *testing.T) {
	const jobs = 500
	b, clock := buildWithClocks(t), newWallClock(t)
	w := newWorld(t, plan{replicas: 2, source: soon, platform: simulator.Options{
		TimeScale: 0.001, Seed: 7, Faults: simulator.Faults{Mix: simulator.EveryFault()},
	}, program: func(n int) []string {
		if n > 0 {
			return []string{"receiver"}
		}
		return clock.on(b.receiver)
	}})
	submitted := w.submitMany(jobs)
	for n, set := range []time.Duration{off, -off, 0} {
		w.ledger.await(t, "more jobs to end", func(l *ledger) bool { return l.events["finished"] >= (n+1)*jobs/5 })
		clock.set(set)
	}
	<-submitted
	f := w.allFinished(t, jobs)
	w.report(t, "every fault of the simulator mixed, two replicas; the clock of one set 50 minutes ahead, then 50 back, then right", f)
}
