package sealing

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
)

// conclude makes the outcome known: to the metrics always, to the log when it is bad.
func (k *Keeper) conclude(ctx context.Context, l *kept, err error) {
	if err != nil && ctx.Err() != nil {
		return // it was interrupted, which says nothing about the log
	}
	l.state.Err = err
	var fork *audit.ForkError
	if errors.As(err, &fork) || errors.Is(err, audit.ErrRewound) {
		l.state.Fork = true
		k.forks.add(l.Stream)
	}
	l.state.Odd = l.odd.take()
	if k.o.Observe != nil {
		k.o.Observe(l.state)
	}
	switch {
	case err == nil:
		l.told = alarm{}
	case !l.told.due(time.Now()):
	case l.state.Fork:
		k.prove(l, fork)
		k.o.Log.Error().Err(err).Str("stream", l.Stream).
			Msg("the audit log contradicts itself and is no longer sealed; run receiver audit verify and find the cause")
	default:
		level := zerolog.WarnLevel
		if damaged(err) {
			level = zerolog.ErrorLevel
		}
		k.o.Log.WithLevel(level).Err(err).Str("stream", l.Stream).Int64("unsealed", l.state.Unsealed).Msg("sealing the audit log failed and is tried again")
	}
}

// forks are the streams whose logs contradict themselves, for who must not wait for a round.
type forks struct {
	mu      sync.Mutex
	streams []string
}

func (f *forks) add(stream string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.streams, stream) {
		f.streams = append(f.streams, stream)
	}
}

// Forked returns the streams whose logs were seen to contradict themselves.
func (k *Keeper) Forked() []string {
	k.forks.mu.Lock()
	defer k.forks.mu.Unlock()
	return slices.Clone(k.forks.streams)
}

// damaged tells damage, which needs an operator, from an outage, which ends by itself.
func damaged(err error) bool {
	for _, damage := range []error{audit.ErrTile, audit.ErrSignature, audit.ErrCosignature, audit.ErrCheckpoint, audit.ErrSource} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

func (k *Keeper) prove(l *kept, fork *audit.ForkError) {
	if l.proved || fork == nil {
		return
	}
	where, err := k.o.Prove(fork)
	if err != nil {
		k.o.Log.Error().Err(err).Str("stream", l.Stream).Msg("storing the proof of the fork failed")
		return
	}
	l.proved = true
	k.o.Log.Error().Str("stream", l.Stream).Str("file", where).Msg("the receiver stored the checkpoints of the fork as proof")
}

// alarm is when something was said last, so that it is not said all the time.
type alarm struct{ said time.Time }

// alarmPause is the shortest time between two times that the same thing is said.
const alarmPause = time.Minute

// due reports whether it is time to say it (again), and if so takes it for said.
func (a *alarm) due(now time.Time) bool {
	if !a.said.IsZero() && now.Sub(a.said) < alarmPause {
		return false
	}
	a.said = now
	return true
}
