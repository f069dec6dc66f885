package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
)

// durable is a durable consumer of ours that is in use, as it must be.
type durable struct {
	stream string
	made   jetstream.ConsumerConfig // what it is made with
	have   jetstream.ConsumerConfig // what the server made of that
	stop   func()                   // ends the use
	over   atomic.Bool              // its end is our doing, or has been told

	mu   sync.Mutex // of one look at a time
	came progress   // of the last look
}

// progress is how far a consumer has come, by the word of one server over one connection: another
// one, or a server that began anew, may not know as much.
type progress struct {
	leader     string
	reconnects uint64
	delivered  jetstream.SequenceInfo
}

// Restored returns how often a durable consumer of ours was not as we made it, and was made
// anew.
func (b *Bus) Restored() uint64 { return b.restored.Load() }

// openDurable opens a durable consumer as it must be. One that cannot be brought to that by an
// update, that waits until somebody's time is over, or for a message that there is not, is made
// anew.
func (b *Bus) openDurable(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := b.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	var refused *jetstream.APIError
	ahead := false
	if err == nil {
		ahead, err = b.ahead(ctx, c.CachedInfo())
	}
	switch {
	case err == nil && !ahead && !spoilt(cfg, c.CachedInfo()):
		return c, nil
	case err != nil && (!errors.As(err, &refused) || refused.Code == 503):
		return nil, err
	}
	if _, failed := b.js.Consumer(ctx, stream, cfg.Durable); err != nil && failed != nil && !errors.Is(failed, jetstream.ErrNotPullConsumer) {
		return nil, err // there is none, and none can be made
	}
	b.altered(stream, cfg.Durable, "it was not as it must be when it was opened")
	return b.remakeDurable(ctx, stream, cfg)
}

// ahead reports whether a consumer goes on behind the end of its stream, where somebody has put it.
func (b *Bus) ahead(ctx context.Context, c *jetstream.ConsumerInfo) (bool, error) {
	if c.Delivered.Stream == 0 {
		return false, nil
	}
	s, err := b.js.Stream(ctx, c.Stream)
	return err == nil && c.Delivered.Stream > s.CachedInfo().State.LastSeq, err
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

// altered counts and says that a consumer was altered, and has the next look of Guard return it.
func (b *Bus) altered(stream, name, what string) {
	b.restored.Add(1)
	b.opts.Log.Error().Str("stream", stream).Str("consumer", name).Str("what", what).
		Msg("a consumer of ours was altered by somebody; it is made anew")
	b.newsMu.Lock()
	defer b.newsMu.Unlock()
	b.news[name] = fmt.Errorf("consumer %s of stream %s was altered by somebody: %s; it is made anew; give the receiver an account of its own", name, stream, what)
}

// heed has Guard look after a consumer until the function that it returns is called, with why
// its use has ended. If Guard makes it anew, it ends the use by stop.
func (b *Bus) heed(stream string, cfg jetstream.ConsumerConfig, c jetstream.Consumer, stop func()) (ended func(context.Context, error)) {
	d := &durable{stream: stream, made: cfg, have: plain(c.CachedInfo().Config), stop: stop, came: b.progressOf(c.CachedInfo())}
	b.durables.Store(cfg.Durable, d)
	return func(ctx context.Context, why error) {
		b.durables.CompareAndDelete(cfg.Durable, d)
		if why == nil || ctx.Err() != nil || d.over.Load() {
			return
		}
		ctx, cancel := b.bound(ctx)
		defer cancel()
		if what := b.alteration(ctx, d); what != "" && d.over.CompareAndSwap(false, true) {
			b.altered(stream, cfg.Durable, what) // whoever uses it next makes it as it must be
		}
	}
}

// letGo has what becomes of a consumer from now on be our doing.
func (b *Bus) letGo(name string) {
	if d, ok := b.durables.LoadAndDelete(name); ok {
		d.(*durable).over.Store(true)
	}
}

// plain leaves out what the server writes down for itself.
func plain(c jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	c.Metadata = nil
	return c
}

func (b *Bus) progressOf(c *jetstream.ConsumerInfo) progress {
	p := progress{reconnects: b.nc.Stats().Reconnects, delivered: c.Delivered}
	if c.Cluster != nil {
		p.leader = c.Cluster.Leader
	}
	return p
}

// guardDurables holds each durable consumer that is in use against how we made it, and returns
// what was amiss since the last look.
func (b *Bus) guardDurables(ctx context.Context) error {
	b.durables.Range(func(_, value any) bool {
		if d, ok := value.(*durable); ok && ctx.Err() == nil {
			b.guardDurable(ctx, d)
		}
		return true
	})
	b.newsMu.Lock()
	defer b.newsMu.Unlock()
	var all []error
	for _, name := range slices.Sorted(maps.Keys(b.news)) {
		all = append(all, b.news[name])
	}
	clear(b.news)
	return errors.Join(all...)
}

// guardDurable restores one consumer if need be. One that cannot be asked for is as it was.
func (b *Bus) guardDurable(ctx context.Context, d *durable) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	what := b.alteration(ctx, d)
	if what == "" || !d.over.CompareAndSwap(false, true) {
		return
	}
	b.altered(d.stream, d.made.Durable, what)
	if _, err := b.remakeDurable(ctx, d.stream, d.made); err != nil {
		b.opts.Log.Error().Err(err).Str("stream", d.stream).Str("consumer", d.made.Durable).Msg("the consumer cannot be made anew")
		d.over.Store(false) // the next look tries again
		return
	}
	d.stop()
}

// alteration says what is not with a consumer as it must be; empty if nothing.
func (b *Bus) alteration(ctx context.Context, d *durable) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := b.js.Consumer(ctx, d.stream, d.made.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return "it was removed"
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		return "it was turned into a push consumer"
	case err != nil:
		return ""
	case c.CachedInfo().Paused:
		return "it was paused"
	}
	if what := differs(d.have, plain(c.CachedInfo().Config)); what != "" {
		return what
	}
	was, now := d.came, b.progressOf(c.CachedInfo())
	d.came = now
	skipped := now.delivered.Consumer < was.delivered.Consumer && now.delivered.Stream >= was.delivered.Stream
	if now.leader != was.leader || now.reconnects != was.reconnects {
		return ""
	}
	if !skipped && now.delivered.Stream > was.delivered.Stream && now.delivered.Consumer == was.delivered.Consumer {
		skipped, _ = b.ahead(ctx, c.CachedInfo())
	}
	if skipped {
		return "it was reset to go on elsewhere"
	}
	return ""
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
