package sealing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/sealing"
)

// world is a stream with its log, sealed by anybody, and a lease.
type world struct {
	mu       sync.Mutex
	last     uint64
	sealed   int64
	mark     string // tells two checkpoints of one size apart
	seals    int
	follows  int
	err      error // of every sealing
	held     bool
	released bool
	holds    int
	kept     []string
	proved   int
	states   []sealing.State
	talk     bytes.Buffer
}

func (w *world) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) checkpoint() audit.Checkpoint {
	tree := tlog.Tree{N: w.sealed, Hash: tlog.RecordHash([]byte(fmt.Sprint(w.sealed)))}
	note := fmt.Sprintf("receiver/test/JOBS\n%d\n%s\n\n— receiver/test/JOBS AAAAAAAA%s\n", tree.N, tree.Hash, w.mark)
	return audit.Checkpoint{Origin: "receiver/test/JOBS", Tree: tree, Note: []byte(note)}
}

func (w *world) Seal(context.Context) (audit.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seals++
	if w.err != nil {
		return audit.Checkpoint{}, w.err
	}
	w.sealed = int64(w.last)
	return w.checkpoint(), nil
}

func (w *world) SealSome(ctx context.Context, _ int64) (audit.Checkpoint, error) { return w.Seal(ctx) }

func (w *world) Follow(context.Context) (audit.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follows++
	return w.checkpoint(), w.err
}

func (w *world) Hold(context.Context) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holds++
	return w.held, nil
}

func (w *world) Release(context.Context) error {
	w.do(func() { w.released = true })
	return nil
}

func (w *world) options(anchors ...sealing.Anchor) sealing.Options {
	return sealing.Options{
		Logs: []sealing.Log{{Stream: "JOBS", Sealer: w, Anchors: anchors, Last: func(context.Context) (last uint64, _ error) {
			w.do(func() { last = w.last })
			return last, nil
		}}},
		Lease: w, Interval: 10 * time.Second, AnchorInterval: time.Minute, Log: zerolog.New(&w.talk),
		Keep: func(_ context.Context, cp audit.Checkpoint) error {
			w.do(func() { w.kept = append(w.kept, string(cp.Note)) })
			return nil
		},
		Prove:   func(*audit.ForkError) (string, error) { w.do(func() { w.proved++ }); return "proof", nil },
		Observe: func(s sealing.State) { w.do(func() { w.states = append(w.states, s) }) },
	}
}

// run runs a keeper beside the test until the test is over.
func run(t *testing.T, k *sealing.Keeper) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	return func() { cancel(); <-done }
}

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a synctest bubble
	synctest.Wait()
}

func TestARecordWaitsForTheIntervalOrForABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true, last: 1}
		defer run(t, sealing.New(w.options()))()
		pass(0)
		w.expect(t, "at once at the start", 1)
		w.do(func() { w.last = 50 })
		pass(5 * time.Second)
		w.expect(t, "not before the interval is over", 1)
		pass(6 * time.Second)
		w.expect(t, "when it is over", 50)
		w.do(func() { w.last = 4200 })
		pass(2 * time.Second)
		w.expect(t, "before it is over when there are many", 4200)
		if got := w.states[len(w.states)-1]; got.Size != 4200 || got.Unsealed != 0 || got.Fork || got.Err != nil || got.Stream != "JOBS" {
			t.Errorf("state = %+v, want 4200 sealed and none waiting", got)
		}
	})
}

func (w *world) expect(t *testing.T, when string, sealed int64) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed != sealed {
		t.Errorf("%s: %d records are sealed, want %d", when, w.sealed, sealed)
	}
}

func TestEveryDistinctCheckpointIsKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true, last: 1}
		o := w.options()
		o.Logs[0].Kept = func() []byte { w.sealed = 1; return w.checkpoint().Note }()
		defer run(t, sealing.New(o))()
		pass(time.Minute)
		if len(w.kept) != 0 {
			t.Errorf("kept %q again, which an earlier life had kept", w.kept)
		}
		w.do(func() { w.last = 2 })
		pass(time.Minute)
		if len(w.kept) != 1 || !strings.Contains(w.kept[0], "\n2\n") {
			t.Errorf("kept %q, want the checkpoint of 2 once", w.kept)
		}
	})
}

func TestWithoutTheLeaseAReplicaFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{last: 5, sealed: 3}
		stop := run(t, sealing.New(w.options()))
		pass(time.Minute)
		if w.seals != 0 || w.follows < 5 || len(w.kept) != 1 {
			t.Errorf("it sealed %d times, followed %d times and kept %d checkpoints, want 0, more than 5 and 1", w.seals, w.follows, len(w.kept))
		}
		if got := w.states[len(w.states)-1]; got.Size != 3 || got.Unsealed != 2 {
			t.Errorf("state = %+v, want 3 sealed by another and 2 waiting", got)
		}
		w.do(func() { w.held = true })
		pass(11 * time.Second)
		stop()
		w.expect(t, "after it got the lease", 5)
	})
}

func TestForkIsLoggedAndProvedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true, last: 5}
		good := &world{held: true, last: 7}
		o := w.options()
		o.Logs = append(o.Logs, good.options().Logs...)
		defer run(t, sealing.New(o))()
		pass(time.Second)
		w.do(func() {
			w.err = fmt.Errorf("sealing: %w", &audit.ForkError{Known: w.checkpoint(), Found: w.checkpoint()})
		})
		good.do(func() { good.last = 8 })
		pass(5 * time.Minute)
		if n := strings.Count(w.talk.String(), "the audit log contradicts itself"); n < 4 || n > 6 {
			t.Errorf("it was said %d times in 5 minutes, want once a minute:\n%s", n, &w.talk)
		}
		if w.proved != 1 {
			t.Errorf("the fork was proved %d times, want once", w.proved)
		}
		fork := false
		for _, s := range w.states {
			fork = fork || s.Fork && s.Size == 5
		}
		if !fork {
			t.Errorf("no state tells of a fork at size 5: %+v", w.states)
		}
		good.expect(t, "the other log, meanwhile", 8)
	})
}

func TestTroubleIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			err   error
			level string
		}{{errors.New("the store is away"), "warn"}, {audit.ErrTile, "error"}} {
			w := &world{held: true, last: 5, err: row.err}
			stop := run(t, sealing.New(w.options()))
			pass(59 * time.Second)
			if n := strings.Count(w.talk.String(), `"level":"`+row.level+`"`); n != 1 {
				t.Errorf("%v was said %d times at level %s in a minute, want once:\n%s", row.err, n, row.level, &w.talk)
			}
			w.do(func() { w.err = nil })
			pass(11 * time.Second)
			stop()
			w.expect(t, "after the trouble", 5)
			if got := w.states[len(w.states)-1]; got.Err != nil || got.Fork {
				t.Errorf("state = %+v, want no trouble any more", got)
			}
		}
	})
}

func TestAnchorsGetCheckpointsAtIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true, last: 1}
		var told []int64
		down := true
		witness := sealing.Anchor{Name: "witness", Tell: func(_ context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
			cp.Note = append(bytes.Clone(cp.Note), "— witness AAAAAAAA\n"...)
			return cp, nil
		}}
		folder := sealing.Anchor{Name: "folder", Tell: func(_ context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
			if !strings.Contains(string(cp.Note), "witness") {
				t.Error("the second anchor was not told of the cosignature of the first")
			}
			if down {
				return cp, errors.New("folder is away")
			}
			told = append(told, cp.Tree.N)
			return cp, nil
		}}
		k := sealing.New(w.options(witness, folder))
		stop := run(t, k)
		for i := range 300 {
			w.do(func() { w.last++; down = i < 30 })
			pass(time.Second)
		}
		stop()
		if n := len(told); n < 4 || n > 5 {
			t.Errorf("the folder was told %d times in 5 minutes, want about once a minute: %v", n, told)
		}
		if n := strings.Count(w.talk.String(), "folder is away"); n != 1 {
			t.Errorf("that it was away was said %d times, want once", n)
		}
		if !strings.Contains(strings.Join(w.kept, ""), "— witness") {
			t.Error("no cosigned checkpoint was kept")
		}
		if err := k.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told[len(told)-1] != int64(w.last) {
			t.Errorf("at the end the folder was told of %d, want %d", told[len(told)-1], w.last)
		}
	})
}

// A slow anchor delays neither the sealing of any log nor the renewal of the lease.
func TestSlowAnchorDelaysNoSealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{held: true, last: 1}
		told := 0
		slow := sealing.Anchor{Name: "slow", Tell: func(ctx context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
			select {
			case <-ctx.Done():
				return cp, ctx.Err()
			case <-time.After(45 * time.Second):
			}
			w.do(func() { told++ })
			cp.Note = append(bytes.Clone(cp.Note), "— witness AAAAAAAA\n"...)
			return cp, nil
		}}
		o := w.options(slow)
		o.Interval = time.Second
		k := sealing.New(o)
		stop := run(t, k)
		holds := 0
		for i := range 120 {
			w.do(func() { w.last++; holds = w.holds })
			pass(2 * time.Second)
			w.expect(t, fmt.Sprintf("after %d records", i+1), int64(w.last))
			w.do(func() {
				if w.holds == holds {
					t.Errorf("the lease was not renewed in 2 s, after %d records", i+1)
				}
			})
		}
		if told < 3 {
			t.Errorf("the anchor was told %d times in 4 minutes, want at least 3", told)
		}
		// A checkpoint is kept once, also when an older one came back cosigned meanwhile.
		seen := map[string]bool{}
		for _, note := range w.kept {
			if seen[note] {
				t.Errorf("kept twice: %q", note)
			}
			seen[note] = true
		}
		if !strings.Contains(strings.Join(w.kept, ""), "— witness") {
			t.Error("no cosigned checkpoint was kept")
		}
		stop()
		began := time.Now()
		go func() {
			pass(time.Second)
			w.do(func() {
				if !w.released {
					t.Error("the lease was not given back before the anchor was told for the last time")
				}
			})
		}()
		if err := k.Finish(t.Context()); err != nil || time.Since(began) < 45*time.Second {
			t.Errorf("Finish = %v after %v, want the anchor told", err, time.Since(began))
		}
	})
}

func TestFinishSealsWhatIsLeftIfTheLeaseIsOurs(t *testing.T) {
	for _, held := range []bool{true, false} {
		w := &world{held: held, last: 9}
		if err := sealing.New(w.options()).Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int64{true: 9, false: 0}[held]; w.sealed != want || w.released != held {
			t.Errorf("lease %v: %d sealed, released %v, want %d and %v", held, w.sealed, w.released, want, held)
		}
	}
	w := &world{held: true, err: errors.New("away")}
	if err := sealing.New(w.options()).Finish(t.Context()); err == nil || !w.released {
		t.Errorf("Finish without a store = %v, released %v, want an error and the lease given back", err, w.released)
	}
}

func TestSealWaitsForAnotherReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{last: 4, sealed: 2}
		k := sealing.New(w.options())
		go func() {
			pass(3 * time.Second)
			w.do(func() { w.last, w.sealed = 6, 5 }) // the other replica
		}()
		began := time.Now()
		got, err := k.Seal(t.Context())
		if err != nil || len(got) != 1 || got[0].Tree.N != 5 {
			t.Fatalf("Seal = %+v, %v, want the other replica's checkpoint of 5", got, err)
		}
		if took := time.Since(began); took < 3*time.Second || w.seals != 0 {
			t.Errorf("it took %v and sealed %d times itself, want 3s and none", took, w.seals)
		}
		w.do(func() { w.held = true })
		if got, err := k.Seal(t.Context()); err != nil || got[0].Tree.N != 6 {
			t.Errorf("Seal with the lease = %+v, %v, want its own checkpoint of 6", got, err)
		}
		w.do(func() { w.held, w.last = false, 7 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := k.Seal(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Seal while nobody seals = %v, want a deadline", err)
		}
	})
}
