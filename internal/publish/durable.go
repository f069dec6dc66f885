package publish

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is a durable consumer of ours, as it must be.
type durable struct {
	stream string
	made   jetstream.ConsumerConfig // what it is made with
	have   jetstream.ConsumerConfig // what the server made of that
}

// Restored returns how often a durable consumer of ours was not as we made it, and was made
// anew.
func (b *Bus) Restored() uint64 { return b.restored.Load() }

// openDurable opens a durable consumer as it must be. One that cannot be brought to that by an
// update, or that waits until somebody's time is over, is made anew.
func (b *Bus) openDurable(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := b.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	var refused *jetstream.APIError
	switch {
	case err == nil && !spoilt(cfg, c.CachedInfo()):
		return c, nil
	case err != nil && (!errors.As(err, &refused) || refused.Code == 503):
		return nil, err
	}
	if _, failed := b.js.Consumer(ctx, stream, cfg.Durable); err != nil && failed != nil && !errors.Is(failed, jetstream.ErrNotPullConsumer) {
		return nil, err // there is none, and none can be made
	}
	b.tellAltered(stream, cfg.Durable, "it was not as it must be when it was opened")
	return b.remakeDurable(ctx, stream, cfg)
}

// spoilt reports whether an update has left something that keeps messages from us.
func spoilt(want jetstream.ConsumerConfig, info *jetstream.ConsumerInfo) bool {
	have := info.Config
	return info.Paused || have.PauseUntil != nil || have.DeliverSubject != "" || have.DeliverPolicy != want.DeliverPolicy ||
		have.AckPolicy != want.AckPolicy || have.AckWait != want.AckWait || have.MaxDeliver != want.MaxDeliver ||
		have.MaxAckPending != want.MaxAckPending || have.HeadersOnly != want.HeadersOnly || have.InactiveThreshold != 0 ||
		have.RateLimit != 0 || len(have.PriorityGroups) > 0 || len(have.BackOff) > 0 || !reflect.DeepEqual(filters(have), filters(want))
}

// filters are the subjects of a consumer, in whichever way it has them.
func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return append([]string{c.FilterSubject}, c.FilterSubjects...)
	}
	return c.FilterSubjects
}

// remakeDurable makes a durable consumer anew. It begins at the first message: what was done
// is found done, and what somebody else took and acknowledged comes to us again.
func (b *Bus) remakeDurable(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if err := b.js.DeleteConsumer(ctx, stream, cfg.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return b.js.CreateOrUpdateConsumer(ctx, stream, cfg)
}

func (b *Bus) tellAltered(stream, name, what string) {
	b.restored.Add(1)
	b.opts.Log.Error().Str("stream", stream).Str("consumer", name).Str("what", what).
		Msg("a consumer of ours was altered by somebody; it is made anew")
}

// heed has Guard look after a consumer.
func (b *Bus) heed(stream string, cfg jetstream.ConsumerConfig, c jetstream.Consumer) {
	b.durables.Store(cfg.Durable, durable{stream, cfg, plain(c.CachedInfo().Config)})
}

// plain leaves out what the server writes down for itself.
func plain(c jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	c.Metadata = nil
	return c
}

// guardDurables holds each durable consumer that is in use against how we made it.
func (b *Bus) guardDurables(ctx context.Context) (all error) {
	b.durables.Range(func(_, value any) bool {
		if d, ok := value.(durable); ok && ctx.Err() == nil {
			all = errors.Join(all, b.guardDurable(ctx, d))
		}
		return true
	})
	return all
}

// guardDurable restores one consumer if need be; the error says that it was. One that cannot be
// asked for is as it was.
func (b *Bus) guardDurable(ctx context.Context, d durable) error {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	name, what := d.made.Durable, ""
	c, err := b.js.Consumer(ctx, d.stream, name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		what = "it was removed"
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		what = "it was turned into a push consumer"
	case err != nil:
		return nil
	case c.CachedInfo().Paused:
		what = "it was paused"
	default:
		what = differs(d.have, plain(c.CachedInfo().Config))
	}
	if what == "" {
		return nil
	}
	if now, ok := b.durables.Load(name); !ok || !reflect.DeepEqual(now, d) {
		return nil // it is being opened anew, by us
	}
	b.tellAltered(d.stream, name, what)
	if _, err := b.remakeDurable(ctx, d.stream, d.made); err != nil {
		return fmt.Errorf("consumer %s of stream %s was altered by somebody: %s, and making it anew fails: %w", name, d.stream, what, err)
	}
	return fmt.Errorf("consumer %s of stream %s was altered by somebody: %s; it is made anew; give the receiver an account of its own", name, d.stream, what)
}

// differs names the first setting in which a consumer is not as it must be; empty if there is
// none.
func differs(want, have jetstream.ConsumerConfig) string {
	w, h := reflect.ValueOf(want), reflect.ValueOf(have)
	for i := range w.NumField() {
		if !reflect.DeepEqual(w.Field(i).Interface(), h.Field(i).Interface()) {
			return fmt.Sprintf("its %s is %v and not %v", w.Type().Field(i).Name, h.Field(i).Interface(), w.Field(i).Interface())
		}
	}
	return ""
}
