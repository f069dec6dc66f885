package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// Apply makes those changes of a plan that are not blocked, stream by stream, and records
// them as an action first if the stream of actions is there. The error is ErrDrops unless
// drop says that stored messages may go, and ErrStale if a stream is not as in the plan any
// more; the streams before it in the plan are then changed already. done, if not nil, is
// called after each stream.
func (s *Survey) Apply(ctx context.Context, p Plan, drop bool, action job.Action, done func(stream string)) error {
	if n := p.Drops(); n > 0 && !drop {
		return fmt.Errorf("%w: %d of them", ErrDrops, n)
	}
	if err := s.record(ctx, p, action); err != nil {
		return err
	}
	for _, w := range wantedStreams(s.opts.Streams) {
		i := slices.IndexFunc(p.Streams, func(sp StreamPlan) bool { return sp.Stream == w.name })
		if i < 0 || !p.Streams[i].changes() {
			continue
		}
		if err := s.apply(ctx, w, p.Streams[i], drop); err != nil {
			return fmt.Errorf("changing stream %s: %w", w.name, err)
		}
		if done != nil {
			done(w.name)
		}
	}
	return nil
}

func (s StreamPlan) changes() bool {
	return slices.ContainsFunc(s.Changes, func(c Change) bool { return c.Blocked == "" })
}

func (s *Survey) apply(ctx context.Context, w wanted, planned StreamPlan, drop bool) error {
	now, have, want, err := s.plan(ctx, w)
	if err != nil {
		return err
	}
	if now.Missing || !slices.EqualFunc(now.Changes, planned.Changes, sameChange) {
		return ErrStale
	}
	if n := now.drops(); n > 0 && !drop { // some grew too old since
		return fmt.Errorf("%w: %d of them", ErrDrops, n)
	}
	to := have
	for _, c := range now.Changes {
		if c.Blocked == "" {
			c.set(&to, &want)
		}
	}
	ctx, cancel := s.opts.Bound(ctx)
	defer cancel()
	stream, err := s.js.UpdateStream(ctx, to)
	if err != nil {
		return fmt.Errorf("the server refused the change: %w", err)
	}
	// An older server takes a setting that it does not know, and forgets it.
	if left := compare(to, stream.CachedInfo().Config); len(left) > 0 {
		return fmt.Errorf("the server accepted the change, but did not apply %v", left)
	}
	return nil
}

func sameChange(a, b Change) bool {
	return a.Setting == b.Setting && a.Have == b.Have && a.Want == b.Want && a.Blocked == b.Blocked
}

// send records an action, if the stream of actions is there.
func (s *Survey) send(ctx context.Context, a job.Action) error {
	data, err := a.Data()
	if err != nil {
		return err
	}
	if _, err := s.Stream(ctx, conn.ActionsStream); errors.Is(err, conn.ErrMissing) {
		return nil // no receiver ever ran here that keeps a record
	}
	ctx, cancel := s.opts.Bound(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: a.Subject(), Data: data}); err != nil {
		return fmt.Errorf("%w: recording the action %s: %v", conn.ErrUnavailable, a.What, err)
	}
	return nil
}

// copyPause is how long Copied waits before it asks again.
const copyPause = 200 * time.Millisecond

// AwaitCopies waits until the copies that a plan changed the number of are up to date.
func (s *Survey) AwaitCopies(ctx context.Context, p Plan) error {
	for _, planned := range p.Streams {
		for _, c := range planned.Changes {
			if c.Setting != "num_replicas" || c.Blocked != "" {
				continue
			}
			if err := s.Copied(ctx, planned.Stream); err != nil {
				return err
			}
		}
	}
	return nil
}

// Copied waits until every copy of a stream is up to date, so that the loss of one server
// loses nothing. It returns an error that names the servers it waited for when ctx is done.
func (s *Survey) Copied(ctx context.Context, name string) error {
	var waiting []string // at the last answer
	for {
		now, err := s.copying(ctx, name)
		if err == nil && len(now) == 0 {
			return nil
		}
		if err == nil {
			waiting = now
		}
		select {
		case <-time.After(copyPause):
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the copies of stream %s on %v are not complete yet: %w", name, waiting, ctx.Err()), err)
		}
	}
}

// copying returns the servers that have no complete copy.
func (s *Survey) copying(ctx context.Context, name string) ([]string, error) {
	stream, err := s.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	f := FactsOf(info.Config, info)
	waiting := slices.Concat(f.Offline, f.Behind)
	if info.Cluster == nil {
		return waiting, nil
	}
	for range info.Config.Replicas - 1 - len(info.Cluster.Replicas) {
		waiting = append(waiting, "a server not yet chosen")
	}
	return waiting, nil
}
