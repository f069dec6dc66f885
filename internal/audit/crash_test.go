package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

var errCrash = errors.New("crashed")

// crashing counts the calls of a storage and a checkpoint store and dies at one of them:
// before it does anything, or after it did it but before the caller learns. The dead do
// nothing more.
type crashing struct {
	store *audittest.Storage
	cps   *audittest.Checkpoints
	at    int // the call to die at, from 1
	after bool
	calls int
}

func (c *crashing) call(do func() error) error {
	c.calls++
	if c.calls > c.at || c.calls == c.at && !c.after {
		return errCrash
	}
	err := do()
	if c.calls == c.at {
		return errCrash
	}
	return err
}

func (c *crashing) Get(ctx context.Context, name string) (data []byte, err error) {
	err = c.call(func() error { data, err = c.store.Get(ctx, name); return err })
	return data, err
}

func (c *crashing) Put(ctx context.Context, name string, data []byte) error {
	return c.call(func() error { return c.store.Put(ctx, name, data) })
}

func (c *crashing) Delete(ctx context.Context, name string) error {
	return c.call(func() error { return c.store.Delete(ctx, name) })
}

func (c *crashing) Load(ctx context.Context) (data []byte, rev uint64, err error) {
	err = c.call(func() error { data, rev, err = c.cps.Load(ctx); return err })
	return data, rev, err
}

func (c *crashing) Store(ctx context.Context, data []byte, rev uint64) (next uint64, err error) {
	err = c.call(func() error { next, err = c.cps.Store(ctx, data, rev); return err })
	return next, err
}

// A sealer dies at every single call to its stores. For any change of the stream after that, the
// next sealer continues with the leaves that a checkpoint promised: no fork, no gap, and the same
// tree as without the crash.
func TestSealSurvivesACrashAtEveryCall(t *testing.T) {
	after := map[string]func(s *audittest.Stream){
		"nothing happens":           func(*audittest.Stream) {},
		"the newest record expires": func(s *audittest.Stream) { s.Remove(270) },
		"more records come":         func(s *audittest.Stream) { s.Add(30) },
	}
	for name, happen := range after {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, applied %v", name, applied), func(t *testing.T) {
				calls := 1
				for died := true; died; calls++ {
					died = crashOnce(t, calls, applied, happen)
				}
				if calls < 15 {
					t.Errorf("only %d calls to die at", calls)
				}
			})
		}
	}
}

func crashOnce(t *testing.T, at int, applied bool, happen func(*audittest.Stream)) bool {
	t.Helper()
	w := audittest.NewWorld(t, 250)
	w.Seal(t)
	w.Stream.Add(20)
	dying := &crashing{store: w.Store, cps: w.Checkpoints, at: at, after: applied}
	s := audittest.NewSealer(t, w.OpenLog(t, dying, dying), audit.SealerOptions{})
	s.SetBatch(12)
	_, err := s.Seal(t.Context())
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("crash at call %d: error %v", at, err)
	}

	// The sealed records are promised now, whatever happens to the stream.
	promised, _ := audit.ReadCheckpoint(w.Checkpoints.Current)
	reference := &audittest.Stream{}
	reference.Add(270)
	happen(w.Stream)
	happen(reference)
	if promised.Tree.N == 270 {
		reference.Held[270] = audittest.Record(270)
	}

	if r := w.Verify(t, verification.Options{To: 269}); !r.Proved {
		t.Errorf("crash at call %d: before anybody repairs it, the log is not proved: %v", at, r.Faults)
	}
	want := audittest.WantTrees(t, reference, 1, int64(reference.Newest))
	if cp := w.Seal(t); cp.Tree != want(int64(reference.Newest)) {
		t.Errorf("crash at call %d: tree %v, want %v", at, cp.Tree, want(int64(reference.Newest)))
	}
	checkHistory(t, w, want)
	w.Stream.Held = reference.Held
	if r := w.Verify(t, verification.Options{}); !r.OK() {
		t.Errorf("crash at call %d: %v", at, r.Faults)
	}
	for _, signed := range w.Checkpoints.History {
		cp, _ := audit.ReadCheckpoint(signed)
		if _, left := w.Store.Files[fmt.Sprintf("stage/%d-%x", cp.Tree.N, cp.Tree.Hash[:])]; left {
			t.Errorf("crash at call %d: the stage of %d leaves was left behind", at, cp.Tree.N)
		}
	}
	return err != nil
}

// A sealer that slept through others' work wakes up and finishes its own: nothing that the
// log needs may be overwritten or removed by it.
func TestSealerWakesUpLate(t *testing.T) {
	for at := 1; ; at++ {
		w := audittest.NewWorld(t, 250)
		w.Seal(t)
		w.Stream.Add(280)
		slept := false
		sleepy := &sleeping{crashing: crashing{store: w.Store, cps: w.Checkpoints}, at: at, sleep: func() {
			slept = true
			w.Stream.Remove(400) // the others see another stream
			w.Seal(t)
			w.Stream.Add(300)
			w.Seal(t)
		}}
		_, err := audittest.NewSealer(t, w.OpenLog(t, sleepy, sleepy), audit.SealerOptions{}).Seal(t.Context())
		if err != nil {
			t.Errorf("asleep at call %d: %v", at, err)
		}
		w.Seal(t)
		r := w.Verify(t, verification.Options{})
		for _, f := range r.Faults {
			if f.Kind != audit.Missing || f.Seq != 400 { // sealed before it was removed
				t.Errorf("asleep at call %d: %v", at, f)
			}
		}
		if !slept {
			if at < 10 {
				t.Errorf("only %d calls to sleep at", at)
			}
			return
		}
	}
}

// sleeping lets the world go on before one of its calls.
type sleeping struct {
	crashing
	at    int
	calls int
	sleep func()
}

func (s *sleeping) wait() {
	if s.calls++; s.calls == s.at {
		s.sleep()
	}
}

func (s *sleeping) Get(ctx context.Context, name string) ([]byte, error) {
	s.wait()
	return s.store.Get(ctx, name)
}

func (s *sleeping) Put(ctx context.Context, name string, data []byte) error {
	s.wait()
	return s.store.Put(ctx, name, data)
}

func (s *sleeping) Delete(ctx context.Context, name string) error {
	s.wait()
	return s.store.Delete(ctx, name)
}

func (s *sleeping) Load(ctx context.Context) ([]byte, uint64, error) {
	s.wait()
	return s.cps.Load(ctx)
}

func (s *sleeping) Store(ctx context.Context, data []byte, rev uint64) (uint64, error) {
	s.wait()
	return s.cps.Store(ctx, data, rev)
}

// Two sealers may make the same tree one after the other, with a third's in between. The
// one that lost must not remove the stage that the other is about to rely on.
func TestLoserSparesAnothersStage(t *testing.T) {
	w := audittest.NewWorld(t, 250)
	w.Seal(t)
	w.Stream.Add(280)

	// second stages 530 leaves on top of 400, waits before its checkpoint, and dies after it.
	staged, proceed := make(chan struct{}), make(chan struct{})
	second := &hooked{World: w, store: func() error { close(staged); <-proceed; return nil }, after: errCrash}
	secondDone := make(chan error)

	// first stages 530 leaves on top of 250, loses to a checkpoint of 400, and dies when it
	// stages again.
	first := &hooked{World: w, put: 2, store: func() error {
		short := *w
		short.Stream = &audittest.Stream{Held: w.Stream.Held, Newest: 400}
		log := short.OpenLog(t, w.Store, w.Checkpoints)
		if _, err := audittest.NewSealer(t, log, audit.SealerOptions{}).Seal(t.Context()); err != nil {
			t.Error(err)
		}
		go func() {
			_, err := audittest.NewSealer(t, w.OpenLog(t, second, second), audit.SealerOptions{}).Seal(t.Context())
			secondDone <- err
		}()
		<-staged
		return nil
	}}
	if _, err := audittest.NewSealer(t, w.OpenLog(t, first, first), audit.SealerOptions{}).Seal(t.Context()); !errors.Is(err, errCrash) {
		t.Fatalf("first: error %v, want the crash", err)
	}
	close(proceed)
	if err := <-secondDone; !errors.Is(err, errCrash) {
		t.Fatalf("second: error %v, want the crash", err)
	}
	if cp := w.Seal(t); cp.Tree.N != 530 {
		t.Errorf("sealed %d, want 530", cp.Tree.N)
	}
	if r := w.Verify(t, verification.Options{}); !r.OK() {
		t.Errorf("%v", r.Faults)
	}
}

// hooked runs a func before its first Store, fails after it, and fails its put-th stage.
type hooked struct {
	*audittest.World
	store func() error
	after error
	put   int
	puts  int
}

func (h *hooked) Get(ctx context.Context, name string) ([]byte, error) {
	return h.World.Store.Get(ctx, name)
}

func (h *hooked) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "stage/") {
		if h.puts++; h.puts == h.put {
			return errCrash
		}
	}
	return h.World.Store.Put(ctx, name, data)
}

func (h *hooked) Delete(ctx context.Context, name string) error {
	return h.World.Store.Delete(ctx, name)
}

func (h *hooked) Load(ctx context.Context) ([]byte, uint64, error) { return h.Checkpoints.Load(ctx) }

func (h *hooked) Store(ctx context.Context, data []byte, rev uint64) (uint64, error) {
	if h.store != nil {
		if err := h.store(); err != nil {
			return 0, err
		}
		h.store = nil
	}
	next, err := h.Checkpoints.Store(ctx, data, rev)
	return next, errors.Join(err, h.after)
}
