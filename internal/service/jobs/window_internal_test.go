package jobs

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"receiver/api"
)

// A window holds a bounded part of the newest steps, and gives what follows a sequence, whole and
// in order, or says that it does not have it.
func TestAWindowIsBounded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	w := newWindow(10)
	var last uint64 = 10
	for range 5000 {
		last += 1 + r.Uint64N(3)
		w.add(step{Followed: api.Followed{Sequence: last, Data: bytes.Repeat([]byte("x"), r.IntN(64<<10))}})
		size := 0
		for _, s := range w.steps {
			size += len(s.Data)
		}
		if len(w.steps) > windowSteps || size > windowSize || size != w.size {
			t.Fatalf("the window has %d steps of %d bytes, and says %d", len(w.steps), size, w.size)
		}
		at := last - min(last, r.Uint64N(400))
		steps, there, grown := w.after(at)
		if there != (at >= w.begin) || there != w.has(at) || there && grown == nil {
			t.Fatalf("after %d of what follows %d: %v", at, w.begin, there)
		}
		size = 0
		for _, s := range steps {
			if size >= windowTake || s.Sequence <= at || s.Sequence > at+3 {
				t.Fatalf("after %d comes %d, with %d bytes before it", at, s.Sequence, size)
			}
			size, at = size+len(s.Data), s.Sequence
		}
		if there && len(steps) == 0 && at < last {
			t.Fatalf("nothing follows %d, and %d is there", at, last)
		}
	}
	w.add(step{Followed: api.Followed{Sequence: last + 1, Data: make([]byte, windowSize+1)}})
	if len(w.steps) != 0 || w.has(last) || !w.has(last+1) {
		t.Errorf("a step larger than the window: %d steps, begins behind %d", len(w.steps), w.begin)
	}
	w.end()
	if _, there, grown := w.after(last + 1); !there || grown != nil || !w.over() {
		t.Error("a window that has ended says that there will be more")
	}
}

// One who begins within a gap hears of the rest of it.
func TestAReaderWithinAGap(t *testing.T) {
	t.Parallel()
	for at, want := range map[uint64]string{5: `{"from":6,"to":8}`, 6: `{"from":7,"to":8}`, 7: `{"from":8,"to":8}`} {
		var got string
		r := following{at: at, yield: func(f api.Followed) bool { got = string(f.Data); return true }}
		if r.take(step{Followed: lost(6, 8), from: 6}); got != want || r.at != 8 {
			t.Errorf("behind %d: %s up to %d, want %s", at, got, r.at, want)
		}
	}
}
