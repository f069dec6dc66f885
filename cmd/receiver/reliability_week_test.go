//go:build e2e

package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

// TestReliabilityWeek is a week in which the receiver is unreachable for four days. A day takes ten
// seconds, under -short one, with the times of the platform and of the receiver alike.
func TestReliabilityWeek(t *testing.T) {
	week(t, unlessShort(10*time.Second, time.Second), unlessShort(time.Hour, 2*time.Hour))
}

// The week: the address is cut off from the second day to the sixth, and on the seventh
// the operator has the platform call again.
const (
	cutAfter  = 24 * time.Hour
	cutUntil  = cutAfter + 4*24*time.Hour
	backfills = 6 * 24 * time.Hour
	weekEnds  = 7 * 24 * time.Hour
)

// The faults that the platform applies to every so many-th job.
const (
	forgotten  = "http=404:all"                // says that it knows nothing of it, and calls back
	unheard    = "callback=never"              // does not call back
	unknowable = "callback=never,http=503:all" // neither calls back nor answers
)

func week(t *testing.T, day, every time.Duration) {
	t.Parallel()
	hour := day / 24
	w := newWorld(t, plan{replicas: 2, timeout: 2 * time.Second, source: scaledWatch(hour), platform: simulator.Options{
		TimeScale: float64(day) / float64(24*time.Hour), Seed: 11, JobDuration: 2 * time.Hour,
	}})
	ofKind := map[string][]string{}
	tick := time.NewTicker(time.Duration(every.Hours() * float64(hour)))
	defer tick.Stop()
	var after []string // the jobs submitted when the platform calls again
	for now, n := time.Duration(0), 1; now < weekEnds; now, n = now+every, n+1 {
		<-tick.C
		if now < backfills && now+every >= backfills {
			if text := w.backfill(); !strings.Contains(text, "missing") || !strings.Contains(text, "present") {
				t.Errorf("backfill found not both, what is missing here and what is present:\n%s", text)
			}
		}
		w.front.setCut(now >= cutAfter && now < cutUntil)
		dials := dialsOf(n)
		id := w.submitted(t, upload{dials: dials})
		ofKind[dials] = append(ofKind[dials], id)
		if now >= backfills && dials == "" {
			after = append(after, id)
		}
	}
	w.settled(ofKind)
	w.stop()
	f := w.judge(t)
	w.weekIsAsTold(ofKind, after, f)
	w.report(t, fmt.Sprintf("a week in scaled time (a day takes %v), the callback address unreachable for four days, then `backfill`", day), f)
}

// scaledWatch is a plan for jobs that take two hours.
func scaledWatch(hour time.Duration) string {
	return fmt.Sprintf(`    watch:
      expected: %v
      retry: %v
      cap: %v
      deadline: %v
      slow: %v
      retention: %v`, 3*hour, max(hour/2, 10*time.Millisecond), 2*hour, 12*hour, 6*hour, 72*hour)
}

func dialsOf(n int) string {
	switch {
	case n%5 == 0:
		return forgotten
	case n%7 == 0:
		return unheard
	case n%11 == 0:
		return unknowable
	}
	return ""
}

// backfill brings the platform to call again, in the operator's way.
func (w *world) backfill() string {
	w.t.Helper()
	code, text := w.replicas[0].command(w.t, "backfill", "--source", "demo")
	if code != 0 || !strings.Contains(text, "redelivery") {
		w.t.Fatalf("backfill = exit %d, want 0, and callbacks sent again:\n%s", code, tail(text))
	}
	return text
}

// settled waits until every job is in its last state: ended; or overdue, if its end cannot be
// known, and one of those lost.
func (w *world) settled(ofKind map[string][]string) {
	w.t.Helper()
	// Half a second is half a day here: a busy machine can use up the platform's retries
	// once more, and as with a real one it is won back.
	for w.platformAtRest().Queued > 0 {
		w.backfill()
	}
	w.ledger.await(w.t, "every job to end or to be overdue", func(l *ledger) bool {
		for dials, ids := range ofKind {
			kind := "finished"
			if dials == unknowable {
				kind = "overdue"
			}
			if slices.ContainsFunc(ids, func(id string) bool { return len(l.of(id, kind)) == 0 }) {
				return false
			}
		}
		return slices.ContainsFunc(ofKind[unknowable], func(id string) bool { return len(l.of(id, "lost")) > 0 })
	})
}

func (w *world) weekIsAsTold(ofKind map[string][]string, after []string, f figures) {
	t, l := w.t, w.ledger
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	evidence := map[string]int{}
	for _, id := range slices.Concat(ofKind[""], ofKind[forgotten], ofKind[unheard]) {
		for _, m := range l.of(id, "finished") {
			evidence[m.header.Get("ce-evidence")]++
		}
	}
	lostThenFound := 0
	for _, id := range ofKind[forgotten] {
		if len(l.of(id, "lost")) == 1 {
			lostThenFound++
		}
	}
	lost := 0
	for _, id := range ofKind[unknowable] {
		lost += len(l.of(id, "lost"))
	}
	called := slices.ContainsFunc(after, func(id string) bool {
		m := l.of(id, "finished")
		return len(m) == 1 && m[0].header.Get("ce-evidence") == "callback"
	})
	if !called {
		t.Errorf("none of the %d jobs submitted after the backfill was finished by its callback", len(after))
	}
	if f.open != len(ofKind[unknowable]) || lost == 0 || lostThenFound == 0 {
		t.Errorf("%d jobs are open and %d of them given up as lost, want the %d that nobody can know of; %d came back from that",
			f.open, lost, len(ofKind[unknowable]), lostThenFound)
	}
	if evidence["poll"] == 0 || evidence["callback"] == 0 || len(l.attempts["late"]) == 0 {
		t.Errorf("the run was too kind: ends by evidence %v, %d callbacks told late", evidence, len(l.attempts["late"]))
	}
	t.Logf("ends by evidence %v; %d lost for good, %d lost until the backfill; %d callbacks told late",
		evidence, lost, lostThenFound, len(l.attempts["late"]))
}
