package schema

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// The progress of a replacement is written on the streams themselves, so that it continues after a
// crash.
const (
	metaCopyOf = conn.MetaCopyOf
	// metaWhole marks a copy that was verified to have all messages of its original.
	metaWhole = "receiver-copy-whole"
	// parkedSubject takes the place of a stream's own while it is copied, so that nothing is
	// stored in it any more: callbacks are answered 503 then.
	parkedSubject = "receiver.copying."
)

// ErrCopy is returned by Copy when the streams are not as a copying leaves them. Nothing was
// removed then.
var ErrCopy = errors.New("the stream cannot be copied")

// Copy replaces a stream by one that is as configured and has the same messages, sequences
// and times, through a mirror and back. It removes nothing before it has seen that the other
// stream has the same first and last sequence, as many messages, and all of its copies. It
// continues what an earlier Copy began. The action is recorded before anything changes; done
// is called after each step.
func (s *Survey) Copy(ctx context.Context, stream string, action job.Action, done func(step string)) error {
	c := copying{Survey: s, name: stream, copy: stream + conn.CopySuffix, action: action}
	i := slices.IndexFunc(copiedStreams(s.opts.Streams), func(w jetstream.StreamConfig) bool { return w.Name == stream })
	if i < 0 {
		return fmt.Errorf("%w: only JOBS, ATTEMPTS, REPLAYS, ACTIONS and CHECKPOINTS can be copied, no work queue and no bucket", ErrCopy)
	}
	c.want = copiedStreams(s.opts.Streams)[i]
	account, err := s.account(ctx)
	if err != nil {
		return err
	}
	if account.API.Level < atomicLevel {
		return fmt.Errorf("%w: %s", ErrCopy, tooOld)
	}
	for {
		step, err := c.step(ctx)
		if err != nil || step == "" {
			return err
		}
		done(step)
	}
}

// copiedStreams are the streams that Copy takes.
func copiedStreams(s conn.Streams) []jetstream.StreamConfig {
	all := slices.DeleteFunc(s.Configs(), func(c jetstream.StreamConfig) bool { return c.MaxMsgsPerSubject > 0 })
	return append(all, s.CheckpointsConfig())
}

// copying is one stream on its way.
type copying struct {
	*Survey
	name, copy string
	want       jetstream.StreamConfig
	action     job.Action
}

// find returns what is said of a stream; nil if it is not there.
func (s *Survey) find(ctx context.Context, name string) (*jetstream.StreamInfo, error) {
	stream, err := s.Stream(ctx, name)
	if errors.Is(err, conn.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return stream.CachedInfo(), nil
}

// step does the next thing, and says which; empty if there is nothing to do.
func (c copying) step(ctx context.Context) (string, error) {
	here, err := c.find(ctx, c.name)
	if err != nil {
		return "", err
	}
	there, err := c.find(ctx, c.copy)
	if err != nil {
		return "", err
	}
	switch {
	case there != nil && there.Config.Metadata[metaCopyOf] != c.name:
		return "", fmt.Errorf("%w: stream %s exists, but this command did not make it", ErrCopy, c.copy)
	case here == nil && there == nil:
		return "", fmt.Errorf("%w: %s", conn.ErrMissing, c.name)
	case here == nil:
		return c.back(ctx, there)
	case here.Config.Mirror != nil:
		return c.promote(ctx, here, there)
	case here.Config.Metadata[metaCopyOf] == c.name:
		return c.finish(ctx, here, there)
	case there == nil:
		return c.begin(ctx, here)
	default:
		return c.away(ctx, here, there)
	}
}

// begin has nothing stored in the original any more, and makes the copy.
func (c copying) begin(ctx context.Context, here *jetstream.StreamInfo) (string, error) {
	parked := slices.Equal(here.Config.Subjects, []string{parkedSubject + c.name})
	differs := slices.ContainsFunc(compare(c.want, here.Config), func(d difference) bool { return d.setting.instead == recopy })
	switch {
	case !parked && !differs:
		return "", nil
	case !parked && !slices.Equal(slices.Sorted(slices.Values(here.Config.Subjects)), slices.Sorted(slices.Values(c.want.Subjects))):
		return "", fmt.Errorf("%w: %s", ErrCopy, notOurs)
	case here.State.LastSeq > 0:
		last, err := place{c.Survey, c.name}.message(ctx, here.State.LastSeq)
		if err != nil {
			return "", err
		}
		if last == nil {
			return "", fmt.Errorf("%w: the last message of %s was removed, and a copy cannot keep its sequence, %d", ErrCopy, c.name, here.State.LastSeq)
		}
	}
	if !parked {
		if err := c.record(ctx, map[string]any{"copy": c.name, "messages": here.State.Msgs, "last": here.State.LastSeq}, c.action); err != nil {
			return "", err
		}
	}
	if !parked && !here.Config.Sealed {
		to := here.Config
		to.Subjects = []string{parkedSubject + c.name}
		if err := c.update(ctx, to); err != nil {
			return "", err
		}
	}
	return c.name + " is being copied to " + c.copy, c.create(ctx, c.mirror(c.copy, c.name, c.opts.Streams.BaseConfig(), here.Config))
}

// mirror is the configuration of a mirror. Messages grow too old in it when they do in the
// other; no other limit may remove any.
func (c copying) mirror(name, of string, m, other jetstream.StreamConfig) jetstream.StreamConfig {
	m.Name, m.Subjects, m.Replicas, m.MaxAge, m.MaxBytes = name, nil, other.Replicas, other.MaxAge, -1
	m.AllowAtomicPublish = false
	m.Mirror = &jetstream.StreamSource{Name: of}
	m.Metadata = map[string]string{metaCopyOf: c.name}
	return m
}

// away waits until the copy is whole, and removes the original.
func (c copying) away(ctx context.Context, here, there *jetstream.StreamInfo) (string, error) {
	if there.Config.Mirror == nil || here.Created.After(there.Created) {
		return "", fmt.Errorf("%w: a new %s was made while only the copy %s of the old one existed; stop the receivers, "+
			"compare both, and remove the new one (`nats stream rm %s`) if you do not need its messages", ErrCopy, c.name, c.copy, c.name)
	}
	if err := whole(ctx, place{c.Survey, c.name}, place{c.Survey, c.copy}); err != nil {
		return "", err
	}
	if err := c.mark(ctx, c.copy); err != nil {
		return "", err
	}
	return c.copy + " is complete; " + c.name + " is removed", c.remove(ctx, c.name)
}

// back makes a stream of its own of the copy, and the stream again as a mirror of that.
func (c copying) back(ctx context.Context, there *jetstream.StreamInfo) (string, error) {
	if there.Config.Mirror == nil {
		return c.copy + " is being copied to a new " + c.name, c.create(ctx, c.mirror(c.name, c.copy, c.want, there.Config))
	}
	if there.Config.Metadata[metaWhole] == "" {
		return "", fmt.Errorf("%w: %s was removed, but not by this command, and %s may be incomplete; it has sequences %d to %d",
			ErrCopy, c.name, c.copy, there.State.FirstSeq, there.State.LastSeq)
	}
	to := there.Config
	to.Mirror = nil
	return c.copy + " is no longer a mirror", c.update(ctx, to)
}

// promote waits until the stream is whole again, and gives it its subjects.
func (c copying) promote(ctx context.Context, here, there *jetstream.StreamInfo) (string, error) {
	if there == nil || here.Config.Metadata[metaCopyOf] != c.name || here.Config.Mirror.Name != c.copy {
		return "", fmt.Errorf("%w: %s is a mirror that this command did not make, or %s was removed", ErrCopy, c.name, c.copy)
	}
	if err := whole(ctx, place{c.Survey, c.copy}, place{c.Survey, c.name}); err != nil {
		return "", err
	}
	to := c.want
	to.Metadata = map[string]string{metaCopyOf: c.name}
	to.Replicas, to.MaxAge = here.Config.Replicas, here.Config.MaxAge // Apply changes them, and asks
	if to.MaxBytes >= 0 && here.State.Bytes > uint64(to.MaxBytes) {
		to.MaxBytes = -1
	}
	return c.name + " is complete and as configured", c.update(ctx, to)
}

// finish removes the copy, and then the mark.
func (c copying) finish(ctx context.Context, here, there *jetstream.StreamInfo) (string, error) {
	if there != nil {
		if here.State.LastSeq < there.State.LastSeq {
			return "", fmt.Errorf("%w: %s ends at sequence %d, before %s", ErrCopy, c.name, here.State.LastSeq, c.copy)
		}
		return c.copy + " is removed", c.remove(ctx, c.copy)
	}
	to := here.Config
	to.Metadata = maps.Clone(to.Metadata)
	delete(to.Metadata, metaCopyOf)
	return c.name + " is done", c.update(ctx, to)
}

// mark writes on a copy that it is whole.
func (c copying) mark(ctx context.Context, name string) error {
	info, err := c.find(ctx, name)
	if err != nil || info == nil {
		return errors.Join(err, conn.ErrMissing)
	}
	to := info.Config
	to.Metadata = maps.Clone(to.Metadata)
	to.Metadata[metaWhole] = fmt.Sprintf("%d messages, %d to %d", info.State.Msgs, info.State.FirstSeq, info.State.LastSeq)
	return c.update(ctx, to)
}

func (s *Survey) update(ctx context.Context, to jetstream.StreamConfig) error {
	ctx, cancel := s.opts.Bound(ctx)
	defer cancel()
	if _, err := s.js.UpdateStream(ctx, to); err != nil {
		return fmt.Errorf("changing stream %s: %w", to.Name, err)
	}
	return nil
}

func (c copying) create(ctx context.Context, config jetstream.StreamConfig) error {
	ctx, cancel := c.opts.Bound(ctx)
	defer cancel()
	if _, err := c.js.CreateStream(ctx, config); err != nil {
		return fmt.Errorf("making stream %s: %w", config.Name, err)
	}
	return nil
}

func (s *Survey) remove(ctx context.Context, name string) error {
	ctx, cancel := s.opts.Bound(ctx)
	defer cancel()
	if err := s.js.DeleteStream(ctx, name); err != nil {
		return fmt.Errorf("removing stream %s: %w", name, err)
	}
	return nil
}

// place is one of two streams that are to have the same messages, and where it is.
type place struct {
	*Survey
	name string
}

// whole waits until one stream has all that the other has, on all its servers. A mirror's lag is
// not asked: it is 0 before anything is copied.
func whole(ctx context.Context, from, to place) error {
	for missing := ""; ; {
		a, err := from.find(ctx, from.name)
		b := a
		if err == nil {
			b, err = to.find(ctx, to.name)
		}
		switch {
		case err != nil && missing != "":
			return fmt.Errorf("%s: %s still has all messages; run the command again to continue: %w", missing, from.name, cmp.Or(ctx.Err(), err))
		case err != nil:
			return err
		case a == nil || b == nil:
			return fmt.Errorf("%w: %s or %s was removed while it was copied", ErrCopy, from.name, to.name)
		case a.State.Msgs == b.State.Msgs && a.State.LastSeq == b.State.LastSeq && (a.State.Msgs == 0 || a.State.FirstSeq == b.State.FirstSeq):
			if err := to.Copied(ctx, to.name); err != nil {
				return err
			}
			return same(ctx, from, to, a.State)
		}
		missing = fmt.Sprintf("the count of messages in %s is %d, sequences %d to %d, and in %s %d, sequences %d to %d",
			from.name, a.State.Msgs, a.State.FirstSeq, a.State.LastSeq, to.name, b.State.Msgs, b.State.FirstSeq, b.State.LastSeq)
		select {
		case <-time.After(copyPause):
		case <-ctx.Done(): // the next request fails
		}
	}
}

// same compares the first and the last message of two streams.
func same(ctx context.Context, from, to place, state jetstream.StreamState) error {
	if state.Msgs == 0 {
		return nil
	}
	for _, seq := range []uint64{state.FirstSeq, state.LastSeq} {
		a, err := from.message(ctx, seq)
		if err != nil {
			return err
		}
		b, err := to.message(ctx, seq)
		if err != nil {
			return err
		}
		if a == nil && b == nil {
			continue
		}
		if a == nil || b == nil || a.Subject != b.Subject || !a.Time.Equal(b.Time) || !bytes.Equal(a.Data, b.Data) {
			return fmt.Errorf("%w: sequence %d in %s differs from that in %s", ErrCopy, seq, to.name, from.name)
		}
	}
	return nil
}

// message reads a message; nil if it was removed, as the last one of a stream may be.
func (p place) message(ctx context.Context, seq uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := p.opts.Bound(ctx)
	defer cancel()
	s, err := p.js.Stream(ctx, p.name)
	if err != nil {
		return nil, fmt.Errorf("%w: asking NATS for stream %s: %v", conn.ErrUnavailable, p.name, err)
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading sequence %d of stream %s: %w", seq, p.name, err)
	}
	return m, nil
}

// record records an action with its details, if the stream of actions is there.
func (s *Survey) record(ctx context.Context, details any, a job.Action) (err error) {
	if a.Details, err = json.Marshal(details); err != nil {
		return fmt.Errorf("recording the action %s: %w", a.What, err)
	}
	return s.send(ctx, a)
}
