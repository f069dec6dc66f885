package sealing_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/sealing"
)

// flow is a stream that grows by so many records a second, and a log over it whose sealing
// takes its time.
type flow struct {
	mu     sync.Mutex
	rate   float64
	since  time.Time
	before float64 // records until since
	sealed int64
	cost   time.Duration // of a leaf
	worked time.Duration
	rounds int // that sealed something
}

func (f *flow) flows(rate float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.since, f.rate = f.there(), time.Now(), rate
}

func (f *flow) there() float64 {
	if f.since.IsZero() {
		return f.before
	}
	return f.before + f.rate*time.Since(f.since).Seconds()
}

func (f *flow) Last(context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return uint64(f.there()), nil
}

func (f *flow) SealSome(_ context.Context, most int64) (audit.Checkpoint, error) {
	last, _ := f.Last(context.Background())
	leaves := min(most, int64(last)-f.sealed)
	took := time.Duration(leaves) * f.cost
	time.Sleep(took) //nolint:forbidigo // in a synctest bubble; no other process seals
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sealed += leaves
	f.worked += took
	if leaves > 0 {
		f.rounds++
	}
	tree := tlog.Tree{N: f.sealed}
	return audit.Checkpoint{Tree: tree, Note: fmt.Append(nil, tree.N)}, nil
}

func (f *flow) Seal(ctx context.Context) (audit.Checkpoint, error) { return f.SealSome(ctx, 1<<62) }

func (f *flow) Follow(context.Context) (audit.Checkpoint, error) { return audit.Checkpoint{}, nil }

// take returns how long was worked, and in how many rounds, since the last take.
func (f *flow) take() (worked time.Duration, rounds int, unsealed int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	worked, rounds = f.worked, f.rounds
	f.worked, f.rounds = 0, 0
	return worked, rounds, int64(f.there()) - f.sealed
}

// keep keeps a flow sealed until the test ends.
func (f *flow) keep(t *testing.T) (stop func()) {
	t.Helper()
	o := (&world{held: true}).options()
	o.Logs = []sealing.Log{{Stream: "JOBS", Sealer: f, Last: f.Last}}
	o.Interval = time.Second
	return run(t, sealing.New(o))
}

func TestABurstIsSealedALittleAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flow{cost: 10 * time.Microsecond}
		defer f.keep(t)()
		f.flows(20_000)
		pass(2 * time.Second) // until it is seen
		f.take()
		pass(10 * time.Second)
		worked, rounds, unsealed := f.take()
		if share := worked.Seconds() / 10; share > 0.1 || rounds < 9 {
			t.Errorf("in 10 s it worked %v, in %d rounds, want a small part and about 10", worked, rounds)
		}
		if unsealed < 100_000 {
			t.Errorf("%d records are unsealed, want most of the burst", unsealed)
		}
		f.flows(100)
		pass(7 * time.Second)
		if worked, _, unsealed := f.take(); unsealed > 200 {
			t.Errorf("7 s after it %d records are unsealed and %v was worked, want none but the last second's", unsealed, worked)
		}
	})
}

func TestALoadThatLastsIsSealedAFewSecondsBehind(t *testing.T) {
	for _, rate := range []float64{1_500, 20_000} {
		synctest.Test(t, func(t *testing.T) {
			f := &flow{cost: 10 * time.Microsecond}
			defer f.keep(t)()
			f.flows(rate)
			pass(10 * time.Minute)
			f.take()
			pass(time.Minute)
			worked, rounds, unsealed := f.take()
			if behind := float64(unsealed) / rate; behind > 10 || rounds < 50 {
				t.Errorf("%v a second: %.0f s behind after ten minutes, %d rounds in one, want 10 at most, and about 60", rate, behind, rounds)
			}
			if worked > 13*time.Second || rate == 1_500 && worked > 2*time.Second {
				t.Errorf("%v a second: it worked %v of a minute, want what the records take", rate, worked)
			}
		})
	}
}

// A burst of 70 s is sealed soon after it, and in its first half minute sealing gives way.
func TestALongBurstIsSealedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flow{cost: 10 * time.Microsecond}
		defer f.keep(t)()
		f.flows(20_000)
		pass(29 * time.Second)
		if worked, _, unsealed := f.take(); worked > 3*time.Second || unsealed < 300_000 {
			t.Errorf("after 29 s it worked %v, and %d records are unsealed, want a tenth of the time at most", worked, unsealed)
		}
		pass(41 * time.Second)
		if worked, _, unsealed := f.take(); worked > 13*time.Second || unsealed > 200_000 {
			t.Errorf("after 70 s it worked %v of the last 41, and %d records are unsealed, want a third of the time, and 10 s worth", worked, unsealed)
		}
		f.flows(0)
		pass(6 * time.Second)
		if _, _, unsealed := f.take(); unsealed > 0 {
			t.Errorf("6 s after it %d records are unsealed, want none", unsealed)
		}
	})
}

// A backlog of hours does not take the machine from a load that lasts.
func TestABacklogIsSealedLittleByLittleUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flow{before: 1_000_000, cost: 10 * time.Microsecond}
		f.flows(2_000)
		defer f.keep(t)()
		pass(35 * time.Second)
		f.take()
		pass(10 * time.Second)
		if worked, _, unsealed := f.take(); worked > 1500*time.Millisecond || unsealed > 300_000 {
			t.Errorf("in 10 s it worked %v, and %d records are unsealed, want a sixth of the time at most, and less than before", worked, unsealed)
		}
	})
}

// After a day without a sealer, and with callbacks that come slowly.
func TestABacklogIsSealedAtOnceWhenNothingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flow{before: 1_000_000, cost: 10 * time.Microsecond}
		defer f.keep(t)()
		f.flows(50)
		pass(15 * time.Second)
		if worked, rounds, unsealed := f.take(); unsealed > 100 || worked < 10*time.Second || rounds < 30 {
			t.Errorf("after 15 s %d are unsealed, with %v of work in %d rounds, want none, 10s, in slices", unsealed, worked, rounds)
		}
	})
}
