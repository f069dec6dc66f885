//go:build e2e

package main_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"receiver/internal/simulator"
)

// TestReliabilityEveryFault holds the first promise of all: whatever the platform does
// and whichever receiver dies, a job has one finished event, and it is the right one.
func TestReliabilityEveryFault(t *testing.T) {
	everyFault(t, unlessShort(4000, 500), unlessShort(6, 1))
}

// soon asks at once after jobs that take a few milliseconds.
const soon = `    watch:
      expected: 500ms
      retry: 100ms
      cap: 1s
      deadline: 1h`

func everyFault(t *testing.T, jobs, kills int) {
	t.Parallel()
	w := newWorld(t, plan{replicas: 2, source: soon, platform: simulator.Options{
		TimeScale: 0.001, Seed: 7, Faults: simulator.Faults{Mix: simulator.EveryFault()},
	}})
	submitted := w.submitMany(jobs)
	for n := range kills {
		w.ledger.await(t, "more jobs to end", func(l *ledger) bool { return l.events["finished"] >= (n+1)*jobs/(kills+2) })
		made := w.killed(n % 2)
		t.Logf("killed with %d jobs made", made)
		if made == jobs {
			t.Error("the run was too kind: every job was made when a replica was killed")
		}
	}
	<-submitted
	f := w.allFinished(t, jobs)
	t.Logf("%v; %d callbacks refused; %d told late, %d again",
		w.ledger.events, w.refused(), len(w.ledger.attempts["late"]), len(w.ledger.attempts["duplicate"]))
	if w.refused() == 0 || w.ledger.events["conflict"] == 0 || len(w.ledger.attempts["duplicate"]) == 0 {
		t.Error("the run was too kind: nothing refused, contradicted or told again")
	}
	w.report(t, fmt.Sprintf("every fault of the simulator mixed, two replicas on one NATS; `kill -9` of one and restart, %d×", kills), f)
}

// allFinished waits for the end of every job, stops the receivers, and judges.
func (w *world) allFinished(t *testing.T, jobs int) figures {
	t.Helper()
	w.findLost()
	w.ledger.await(t, "every job to end", func(l *ledger) bool { return l.events["finished"] >= jobs })
	w.ledger.await(t, "the errors of rows", func(l *ledger) bool { return l.events["errors"] >= w.withErrors() })
	w.quiet()
	w.stop()
	f := w.judge(t)
	w.everyErrorOnce()
	if f.jobs != jobs || f.stored != jobs || f.open != 0 {
		t.Errorf("%+v, want %d jobs, each finished once", f, jobs)
	}
	return f
}

// killed kills a replica with no chance to do anything, starts it again, and returns how
// many jobs there were at that moment.
func (w *world) killed(n int) (made int) {
	w.t.Helper()
	r := w.replicas[n]
	made = len(w.Jobs())
	if code, err := r.end(syscall.SIGKILL); err != nil || code != -1 {
		w.t.Fatalf("serve = exit %d, %v after SIGKILL", code, err)
	}
	r.up(w.t)
	return made
}

// findLost adopts the jobs whose upload's answer was lost, as an operator does.
func (w *world) findLost() {
	w.t.Helper()
	if code, text := w.replicas[1].command(w.t, "jobs", "find"); code != 0 || !strings.Contains(text, "adopted") {
		w.t.Fatalf("jobs find = exit %d, want 0 and jobs adopted:\n%s", code, tail(text))
	}
}

// withErrors counts the jobs of which rows failed.
func (w *world) withErrors() int {
	n := 0
	for _, j := range w.Jobs() {
		if j.Failed > 0 {
			n++
		}
	}
	return n
}

// everyErrorOnce holds the errors events to the platform's counts.
func (w *world) everyErrorOnce() {
	w.t.Helper()
	for _, j := range w.Jobs() {
		want, got := 0, w.ledger.of(j.ID, "errors")
		if j.Failed > 0 {
			want = 1
		}
		if len(got) != want || want == 1 && !strings.Contains(string(got[0].data), fmt.Sprintf(`"count":%d`, j.Failed)) {
			w.t.Errorf("job %s (%s), of which %d rows failed, has %d errors events, want %d of as many rows", j.ID, j.Faults, j.Failed, len(got), want)
		}
	}
}

// unlessShort returns the size of a test: full, or short under -short.
func unlessShort[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}
