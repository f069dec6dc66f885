// Package sealing keeps the logs of a running receiver sealed: it decides when a replica
// seals and when it leaves that to another, where checkpoints are kept besides, and what
// is done when a log contradicts itself.
//
// It knows no broker and no key: sealing is audit's, and streams, leases and anchors come
// in as interfaces. It never stops a receiver: a log that cannot be sealed is said loudly,
// while callbacks are accepted as before.
package sealing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
)

// Sealer advances one log, or follows it. audit.Sealer is one.
type Sealer interface {
	// Seal seals everything, SealSome at most so many more leaves.
	Seal(ctx context.Context) (audit.Checkpoint, error)
	SealSome(ctx context.Context, most int64) (audit.Checkpoint, error)
	Follow(ctx context.Context) (audit.Checkpoint, error)
}

// Lease is the right to seal, which one replica has at a time. publish.Lease is one.
type Lease interface {
	// Hold takes or renews it, and reports whether it is ours.
	Hold(ctx context.Context) (bool, error)
	Release(ctx context.Context) error
}

// Anchor is a place that gets a checkpoint from time to time.
type Anchor struct {
	Name string
	// Size and Time are of what it received in an earlier life.
	Size int64
	Time time.Time
	// Tell hands over a checkpoint and returns the one to keep: the same, or the same with
	// a cosignature.
	Tell func(ctx context.Context, cp audit.Checkpoint) (audit.Checkpoint, error)
	// Told keeps, once what Tell returned is kept, that the place has it; nil for nothing.
	Told func(cp audit.Checkpoint) error
}

// Log is one log to keep sealed. All but Kept, Anchors, Inspect and Limited must be set.
type Log struct {
	Stream string
	Sealer Sealer
	// Open is true of a stream that strangers fill: once there were some hundreds of
	// checkpoints, records wait for up to a minute for the next, or until there are many.
	Open bool
	// Last returns the newest sequence of the stream. Sequence 1 is the log's first.
	Last func(ctx context.Context) (uint64, error)
	// Kept is the checkpoint of this log that Keep was given last, in an earlier life.
	Kept    []byte
	Anchors []Anchor
	// Inspect and Limited are as those of audit.SealerOptions; Wire reads them.
	Inspect func(audit.Record) error
	Limited bool
	odd     *odd
}

// Options says how the logs are kept.
type Options struct {
	Logs  []Log
	Lease Lease
	// Interval is the longest that a record stays unsealed while this replica seals, but when
	// records come so quickly that sealing gives way to them, and in a Log that is Open.
	Interval time.Duration
	// AnchorInterval is the shortest time between two checkpoints for anchors.
	AnchorInterval time.Duration
	// Keep stores a checkpoint where a rollback of the streams does not reach. It gets every
	// distinct checkpoint of every log, by any signer.
	Keep func(ctx context.Context, cp audit.Checkpoint) error
	// Prove stores the checkpoints of a fork, once for each.
	Prove func(fork *audit.ForkError) (where string, err error)
	// Observe is called with the state of a log whenever it was looked at; nil for no calls.
	Observe func(State)
	// Told is called with what each anchor has at the start, zero for nothing, and when one has
	// taken a checkpoint of so many leaves; nil for no calls.
	Told func(stream, anchor string, size int64, at time.Time)
	Log  zerolog.Logger
}

// State is the state of one log.
type State struct {
	Stream string
	// Size is the number of sealed leaves, and Unsealed of records behind them.
	Size, Unsealed int64
	// Took is how long the last sealing lasted; zero when this replica does not seal.
	Took time.Duration
	// Odd is how many records, since the last call, were sealed though their time contradicts
	// others or they were removed before.
	Odd int
	// Fork is true from the moment on that the log was seen to contradict itself.
	Fork bool
	// Err is what is wrong, or nil.
	Err error
}

// Keeper keeps logs sealed. Its methods may be called concurrently.
type Keeper struct {
	o      Options
	mu     sync.Mutex // one round at a time
	logs   []*kept
	leased alarm // of the lease
	forks  forks

	busySince time.Time // records come quickly; zero if they do not
}

// kept is a log with what the keeper remembers of it; anchored and anchors belong to the goroutine
// of the anchors, the rest to the holder of the lock.
type kept struct {
	Log
	state    State
	sealedAt time.Time
	note     []byte // the last that was given to Keep
	anchored []byte // the last that all anchors have
	toldAt   time.Time
	proved   bool
	told     alarm
	anchors  map[string]*alarm // by name
	pace     pace
	ration   ration
}

// New returns a keeper. Nothing happens before Run or Seal.
func New(o Options) *Keeper {
	k := &Keeper{o: o}
	for _, l := range o.Logs {
		for _, a := range l.Anchors {
			k.told(l.Stream, a.Name, a.Size, a.Time)
		}
		k.logs = append(k.logs, &kept{Log: l, state: State{Stream: l.Stream}, note: l.Kept, anchors: map[string]*alarm{}})
	}
	return k
}

// many is how many unsealed records of one log are sealed before the interval is over.
const many = 4096

// look is how often a replica looks at its logs at least.
const look = time.Second

// Run looks after the logs until ctx is done.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(k.tick())
	defer tick.Stop()
	sealed := make(chan struct{}, 1)
	var anchoring sync.WaitGroup
	anchoring.Go(func() { k.tellAnchors(ctx, sealed) })
	defer anchoring.Wait()
	for {
		ours, more := k.round(ctx)
		if ours {
			select {
			case sealed <- struct{}{}:
			default: // the anchors are still busy, and will be called again
			}
		}
		if more && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tick is the time between two rounds.
func (k *Keeper) tick() time.Duration { return min(k.o.Interval, look) }

// round looks at every log once, and reports whether sealing is ours, and whether there is more to
// do at once: much is left, and the machine is idle.
func (k *Keeper) round(ctx context.Context) (ours, more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ours = k.hold(ctx)
	now := k.load()
	for _, l := range k.logs {
		if ctx.Err() != nil {
			return ours, false
		}
		k.attend(ctx, l, ours, now)
		more = more || l.state.Err == nil && uint64(l.state.Unsealed) >= many
	}
	return ours, more && ours && now == calm
}

func (k *Keeper) hold(ctx context.Context) bool {
	ours, err := k.o.Lease.Hold(ctx)
	if err != nil && ctx.Err() == nil && k.leased.due(time.Now()) {
		k.o.Log.Warn().Err(err).Msg("determining which replica seals failed and is tried again")
	}
	return ours && err == nil
}

// attend seals or follows one log if it is time to.
func (k *Keeper) attend(ctx context.Context, l *kept, ours bool, now load) {
	last, err := l.Last(ctx)
	if err == nil {
		l.pace.see(last)
		l.state.Unsealed = max(0, int64(last)-l.state.Size)
		// Half a look early is better than half a look late.
		due := time.Since(l.sealedAt) >= k.o.Interval-k.tick()/2
		if !due && uint64(l.state.Unsealed) < many {
			return
		}
		seal := ours && (!l.Open || l.ration.allows(l.state.Unsealed))
		err = k.advance(ctx, l, seal, l.pace.most(l.state.Unsealed, k.tick(), now))
	}
	k.conclude(ctx, l, err)
}

// advance brings the log and its state up to now: it seals at most so many leaves, or follows.
func (k *Keeper) advance(ctx context.Context, l *kept, seal bool, most int64) error {
	began := time.Now()
	var cp audit.Checkpoint
	var err error
	if seal {
		cp, err = l.Sealer.SealSome(ctx, most)
	} else {
		cp, err = l.Sealer.Follow(ctx)
	}
	l.sealedAt, l.state.Took = time.Now(), 0
	if seal {
		l.state.Took = time.Since(began)
	}
	if err != nil {
		return err
	}
	leaves := cp.Tree.N - l.state.Size
	l.pace.sealed(leaves, l.state.Took)
	if seal && l.Open {
		l.ration.spend(leaves)
	}
	l.state.Unsealed = max(0, l.state.Unsealed-leaves)
	l.state.Size = cp.Tree.N
	return k.keep(ctx, l, cp)
}

func (k *Keeper) keep(ctx context.Context, l *kept, cp audit.Checkpoint) error {
	if cp.Note == nil || bytes.Equal(cp.Note, l.note) {
		return nil
	}
	if err := k.o.Keep(ctx, cp); err != nil {
		return err
	}
	l.note = cp.Note
	return nil
}

// Seal seals every log now, or waits until the holder of the lease has sealed the records that
// existed at the call. It returns the checkpoints in the order of Options.Logs.
func (k *Keeper) Seal(ctx context.Context) ([]audit.Checkpoint, error) {
	goals := make([]uint64, len(k.logs))
	for i, l := range k.logs {
		last, err := l.Last(ctx)
		if err != nil {
			return nil, err
		}
		goals[i] = last
	}
	tick := time.NewTicker(k.tick())
	defer tick.Stop()
	for {
		checkpoints, done, err := k.reach(ctx, goals)
		if done || err != nil {
			return checkpoints, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the replica that seals: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// reach does one round for Seal, and reports whether every log has reached its goal.
func (k *Keeper) reach(ctx context.Context, goals []uint64) (_ []audit.Checkpoint, done bool, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ours, err := k.o.Lease.Hold(ctx)
	if err != nil {
		return nil, false, err
	}
	checkpoints := make([]audit.Checkpoint, 0, len(k.logs))
	done = true
	for i, l := range k.logs {
		work := l.Sealer.Follow
		if ours {
			work = l.Sealer.Seal
		}
		cp, err := work(ctx)
		if err == nil {
			l.state.Size = cp.Tree.N
			err = k.keep(ctx, l, cp)
		}
		k.conclude(ctx, l, err)
		if err != nil {
			return nil, false, err
		}
		done = done && cp.Note != nil && uint64(cp.Tree.N) >= goals[i]
		checkpoints = append(checkpoints, cp)
	}
	return checkpoints, done, nil
}

// Finish seals what is left, gives the lease back and tells the anchors. Nothing may be
// written to the streams any more, and Run must have returned. A replica without the
// lease leaves all that to the one that has it.
func (k *Keeper) Finish(ctx context.Context) error {
	ours, err := k.sealRest(ctx)
	if ours {
		for _, l := range k.logs {
			k.anchor(ctx, l, true)
		}
	}
	if err != nil {
		return fmt.Errorf("sealing for the last time: %w", err)
	}
	return nil
}

func (k *Keeper) sealRest(ctx context.Context) (ours bool, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ours, err := k.o.Lease.Hold(ctx)
	if err != nil || !ours {
		return false, err
	}
	errs := make([]error, 0, len(k.logs)+1)
	for _, l := range k.logs {
		err := k.advance(ctx, l, true, math.MaxInt64)
		k.conclude(ctx, l, err)
		errs = append(errs, err)
	}
	return true, errors.Join(append(errs, k.o.Lease.Release(ctx))...)
}
