//go:build e2e

package main_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"receiver/internal/simulator"
)

// The keys of the source demo as a configuration has them.
const (
	firstKeyLines  = "      - name: first\n        value: file:first.key\n"
	secondKeyLines = "      - name: second\n        value: file:second.key\n"
)

// TestReliabilityKeyRotation changes the signature key, in the order of docs/keys.md,
// while callbacks come in without a pause.
func TestReliabilityKeyRotation(t *testing.T) { rotation(t, unlessShort(2000, 100)) }

// rotation lets that many jobs end between one step and the next.
func rotation(t *testing.T, jobs int) {
	t.Parallel()
	w := newWorld(t, plan{replicas: 2, source: soon, platform: simulator.Options{TimeScale: 0.001, Seed: 5}})
	stop := w.load()
	w.more(jobs)
	w.reload(firstKeyLines, secondKeyLines+firstKeyLines, `"demo/second [^"]+","demo/first [^"]+"`)
	w.more(jobs)
	w.SetSignatureKey(secondKey)
	w.more(jobs)
	w.eventually(t, "the first key can go", func() bool {
		code, _ := w.replicas[0].command(t, "keys", "retire", "first", "--when-unused", "500ms")
		return code == 0
	})
	w.reload(firstKeyLines, "", `"demo/second [^"]+"`)
	w.more(jobs)
	stop()
	w.quiet()
	w.stop()
	f := w.judge(t)
	w.nothingRefused(f)
	used := map[string]int{}
	for id := range w.ledger.jobs {
		for _, m := range w.ledger.of(id, "finished") {
			used[m.header.Get("receiver-key")]++
		}
	}
	if used["first"] < 2*jobs || used["second"] < 2*jobs {
		t.Errorf("finished events by key %v, want at least %d of each", used, 2*jobs)
	}
	w.report(t, "the signature key changed under load: added here, changed at the platform, retired and removed here; two replicas", f)
}

// TestReliabilityBrokenReload has the receiver read broken configurations while
// callbacks come in without a pause.
func TestReliabilityBrokenReload(t *testing.T) { brokenReload(t, unlessShort(1000, 50)) }

func brokenReload(t *testing.T, jobs int) {
	t.Parallel()
	w := newWorld(t, plan{replicas: 1, source: soon, platform: simulator.Options{TimeScale: 0.001, Seed: 6}})
	stop := w.load()
	w.more(jobs)
	r := w.replicas[0]
	r.write(t, "second.key", secondKey+"\n")
	whole := r.read(t)
	for _, broken := range []struct{ name, old, new, at string }{
		{"a key that does not exist", "hub: marketing", "hubb: marketing", "hubb"},
		{"a secret whose file is missing", "file:first.key", "file:no-such.key", "no-such"},
		{"no keys at all", firstKeyLines, "", "signature_keys"},
		{"no YAML", "    timeouts:", "   timeouts: [", "timeouts"},
	} {
		text := strings.Replace(whole, broken.old, broken.new, 1)
		line := 1 + strings.Count(text[:strings.Index(text, broken.at)], "\n")
		mark := r.logged()
		r.write(t, "config.yaml", text)
		r.hup(t)
		r.awaitLog(t, mark, fmt.Sprintf(`"error":"[^\n]*config\.yaml:%d\b[^\n]*the previous keys and sources stay in force`, line))
		w.more(jobs)
	}
	r.write(t, "config.yaml", whole)
	w.reload(firstKeyLines, firstKeyLines+secondKeyLines, `"demo/first [^"]+","demo/second [^"]+"`)
	w.SetSignatureKey(secondKey)
	w.more(jobs)
	stop()
	w.quiet()
	w.stop()
	f := w.judge(t)
	w.nothingRefused(f)
	w.report(t, "SIGHUP with four broken configurations under load, then a good one; each error names its line", f)
}

// load submits jobs without a pause until it is stopped. Nothing it submits may fail.
func (w *world) load() (stop func()) {
	const sides, ahead = 4, 16
	var stopped atomic.Bool
	var number atomic.Int64
	var wg sync.WaitGroup
	for range sides {
		wg.Go(func() {
			for !stopped.Load() {
				// So many jobs under way are load enough; the rest would only wait.
				_ = w.Wait(w.t.Context(), func(s simulator.Stats) bool { return s.Jobs-s.Delivered < ahead })
				_, err := w.submit(upload{order: number.Add(1)})
				if w.t.Context().Err() != nil {
					return // the test has ended otherwise
				}
				if err != nil {
					w.t.Errorf("submitting: %v", err)
					return
				}
			}
		})
	}
	stop = func() {
		stopped.Store(true)
		wg.Wait()
	}
	w.t.Cleanup(stop)
	return stop
}

// more waits until that many more jobs have ended.
func (w *world) more(jobs int) {
	w.t.Helper()
	want := 0
	w.ledger.await(w.t, fmt.Sprintf("%d more jobs to end", jobs), func(l *ledger) bool {
		if want == 0 {
			want = l.events["finished"] + jobs
		}
		return l.events["finished"] >= want
	})
}

// reload edits the configuration of every replica and returns when the named keys are in
// force.
func (w *world) reload(old, new, keys string) {
	w.t.Helper()
	for _, r := range w.replicas {
		r.write(w.t, "second.key", secondKey+"\n")
		text := r.read(w.t)
		if !strings.Contains(text, old) {
			w.t.Fatalf("the configuration has no %q:\n%s", old, text)
		}
		mark := r.logged()
		r.write(w.t, "config.yaml", strings.Replace(text, old, new, 1))
		r.hup(w.t)
		r.awaitLog(w.t, mark, `"keys":\[`+keys+`\][^\n]*keys and sources reloaded`)
	}
}

// nothingRefused fails the test unless every job was finished by a callback that was
// believed the first time.
func (w *world) nothingRefused(f figures) {
	w.t.Helper()
	if f.stored != f.jobs || f.open != 0 || w.refused() != 0 {
		w.t.Errorf("%+v with %d callbacks refused, want every job finished and none refused", f, w.refused())
	}
	for verdict, m := range w.ledger.attempts {
		if verdict != "duplicate" && verdict != "late" {
			w.t.Errorf("%d callbacks were found %s", len(m), verdict)
		}
	}
}
