// Package durables keeps the durable consumers: those that hand the work of a receiver to its
// replicas, restored when another client changes them, and those by which other programs read
// events.
package durables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/publish/conn"
)

// Set is the durable consumers of the receiver's own, which all replicas share, and what those of
// other programs are made by.
type Set struct {
	js       jetstream.JetStream
	bound    func(context.Context) (context.Context, context.CancelFunc)
	local    func() bool // the server is in this process and goes by our clock
	log      zerolog.Logger
	durables sync.Map      // by name, a *durable
	restored atomic.Uint64 // consumers of ours that somebody had altered
	newsMu   sync.Mutex
	news     map[string]error // of them, by name, since the last look of Guard
}

// New returns the consumers of a server. A request lasts as long as bound says; local tells
// whether the server is in this process.
func New(js jetstream.JetStream, bound func(context.Context) (context.Context, context.CancelFunc), local func() bool, log zerolog.Logger) *Set {
	return &Set{js: js, bound: bound, local: local, log: log, news: map[string]error{}}
}

// durable is a durable consumer of ours that is in use, as it must be.
type durable struct {
	stream string
	made   jetstream.ConsumerConfig // what it is made with
	have   jetstream.ConsumerConfig // what the server made of that
	stop   func()                   // ends the use
	over   atomic.Bool              // this program ends it, or its end was logged

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
func (s *Set) Restored() uint64 { return s.restored.Load() }

// openDurable opens a durable consumer as it must be. One that cannot be brought to that by an
// update, that is paused, or waits for a message that does not exist, is created anew.
func (s *Set) openDurable(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	c, err := s.js.CreateOrUpdateConsumer(ctx, stream, cfg)
	var refused *jetstream.APIError
	ahead := false
	if err == nil {
		ahead, err = s.ahead(ctx, c.CachedInfo())
	}
	switch {
	case err == nil && !ahead && !altered(cfg, c.CachedInfo()):
		return c, nil
	case err != nil && (!errors.As(err, &refused) || conn.NotReady(refused)):
		return nil, err
	}
	if _, failed := s.js.Consumer(ctx, stream, cfg.Durable); err != nil && failed != nil && !errors.Is(failed, jetstream.ErrNotPullConsumer) {
		return create(ctx, s.js.CreateOrUpdateConsumer, stream, cfg) // there is none: another one may be on its way out
	}
	s.altered(stream, cfg.Durable, "its configuration or position was wrong when the receiver opened it")
	return s.remakeDurable(ctx, stream, cfg)
}

// ahead reports whether a consumer goes on behind the end of its stream, where another client has
// put it.
func (s *Set) ahead(ctx context.Context, c *jetstream.ConsumerInfo) (bool, error) {
	if c.Delivered.Stream == 0 {
		return false, nil
	}
	stream, err := s.js.Stream(ctx, c.Stream)
	return err == nil && c.Delivered.Stream > stream.CachedInfo().State.LastSeq, err
}

// altered reports whether an update has left something that keeps messages from us.
func altered(want jetstream.ConsumerConfig, info *jetstream.ConsumerInfo) bool {
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

// remakeDurable makes a durable consumer anew. It begins at the first message: tasks that are done
// are found done, and tasks that another client took and acknowledged are handed out again.
func (s *Set) remakeDurable(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if err := s.remove(ctx, stream, cfg.Durable); err != nil {
		return nil, err
	}
	return s.createFirst(ctx, s.js.CreateOrUpdateConsumer, stream, cfg)
}

// creator is one of the library's ways to create a consumer.
type creator func(context.Context, string, jetstream.ConsumerConfig) (jetstream.Consumer, error)

// create makes a durable consumer where there is none. Where one of its name was removed just
// before, the server may still be writing that one's position to the same file, and fails to make
// another (nats-server 2.15); so a failure of the server is tried again.
func create(ctx context.Context, by creator, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	return conn.Retry(ctx, conn.Options{}, func(ctx context.Context) (jetstream.Consumer, error) { return by(ctx, stream, cfg) })
}

// creations is how often a consumer is made that does not begin at the first message, and
// creationPause how long the server gets each time to forget the one before.
const (
	creations     = 5
	creationPause = 200 * time.Millisecond
)

// createFirst is create for a consumer that must begin at the first message. Instead of failing,
// the server may also give it the position of the removed one.
func (s *Set) createFirst(ctx context.Context, by creator, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	for range creations {
		c, err := create(ctx, by, stream, cfg)
		if err != nil || c.CachedInfo().Delivered.Consumer == 0 {
			return c, err
		}
		if err := errors.Join(s.remove(ctx, stream, cfg.Durable), conn.Sleep(ctx, creationPause)); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the server gave consumer %s the position of a removed one, %d times", cfg.Durable, creations)
}

// remove removes a consumer; one that is not there is none to remove.
func (s *Set) remove(ctx context.Context, stream, name string) error {
	if err := s.js.DeleteConsumer(ctx, stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	return nil
}

// Rewind has a durable consumer of ours begin at the first message again. If there is none, its
// next user creates it so.
func (s *Set) Rewind(ctx context.Context, stream, name string) error {
	c, err := s.js.Consumer(ctx, stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	if err == nil {
		s.disown(name) // what uses it now opens it again
		_, err = s.remakeDurable(ctx, stream, plain(c.CachedInfo().Config))
	}
	return err
}

// altered counts and says that a consumer was altered, and has the next look of Guard return it.
func (s *Set) altered(stream, name, what string) {
	s.restored.Add(1)
	s.log.Error().Str("stream", stream).Str("consumer", name).Str("difference", what).
		Msg("another client changed a consumer of the receiver; the receiver makes it again")
	s.newsMu.Lock()
	defer s.newsMu.Unlock()
	s.news[name] = fmt.Errorf("another client changed consumer %s of stream %s: %s; the receiver makes it again; give the receiver its own account", name, stream, what)
}

// watchConsumer makes Guard check a consumer until the function that it returns is called, with the
// reason why its use has ended. If Guard creates it again, it ends the use by stop.
func (s *Set) watchConsumer(stream string, cfg jetstream.ConsumerConfig, c jetstream.Consumer, stop func()) (ended func(context.Context, error)) {
	d := &durable{stream: stream, made: cfg, have: plain(c.CachedInfo().Config), stop: stop, came: s.progressOf(c.CachedInfo())}
	s.durables.Store(cfg.Durable, d)
	return func(ctx context.Context, why error) {
		s.durables.CompareAndDelete(cfg.Durable, d)
		if why == nil || ctx.Err() != nil || d.over.Load() {
			return
		}
		ctx, cancel := s.bound(ctx)
		defer cancel()
		if what := s.alteration(ctx, d); what != "" && d.over.CompareAndSwap(false, true) {
			s.altered(stream, cfg.Durable, what) // its next user creates it as it must be
		}
	}
}

// disown marks a later end of a consumer as caused by this program.
func (s *Set) disown(name string) {
	if d, ok := s.durables.LoadAndDelete(name); ok {
		d.(*durable).over.Store(true)
	}
}

// plain leaves out what the server writes down for itself.
func plain(c jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	c.Metadata = nil
	return c
}

func (s *Set) progressOf(c *jetstream.ConsumerInfo) progress {
	p := progress{reconnects: s.js.Conn().Stats().Reconnects, delivered: c.Delivered}
	if c.Cluster != nil {
		p.leader = c.Cluster.Leader
	}
	return p
}

// Guard compares each durable consumer in use with its configuration, and returns what was wrong
// since the last check.
func (s *Set) Guard(ctx context.Context) error {
	s.durables.Range(func(_, value any) bool {
		if d, ok := value.(*durable); ok && ctx.Err() == nil {
			s.guardDurable(ctx, d)
		}
		return true
	})
	s.newsMu.Lock()
	defer s.newsMu.Unlock()
	var all []error
	for _, name := range slices.Sorted(maps.Keys(s.news)) {
		all = append(all, s.news[name])
	}
	clear(s.news)
	return errors.Join(all...)
}

// guardDurable restores one consumer if need be. One that cannot be asked for is as it was.
func (s *Set) guardDurable(ctx context.Context, d *durable) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	what := s.alteration(ctx, d)
	if what == "" || !d.over.CompareAndSwap(false, true) {
		return
	}
	s.altered(d.stream, d.made.Durable, what)
	if _, err := s.remakeDurable(ctx, d.stream, d.made); err != nil {
		s.log.Error().Err(err).Str("stream", d.stream).Str("consumer", d.made.Durable).Msg("making a consumer of the receiver again failed")
		d.over.Store(false) // the next look tries again
		return
	}
	d.stop()
}

// alteration says what is not with a consumer as it must be; empty if nothing.
func (s *Set) alteration(ctx context.Context, d *durable) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := s.js.Consumer(ctx, d.stream, d.made.Durable)
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
	was, now := d.came, s.progressOf(c.CachedInfo())
	d.came = now
	skipped := now.delivered.Consumer < was.delivered.Consumer && now.delivered.Stream >= was.delivered.Stream
	if now.leader != was.leader || now.reconnects != was.reconnects {
		return ""
	}
	if !skipped && now.delivered.Stream > was.delivered.Stream && now.delivered.Consumer == was.delivered.Consumer {
		skipped, _ = s.ahead(ctx, c.CachedInfo())
	}
	if skipped {
		return "it was reset to another position"
	}
	return ""
}

// differs names the first setting in which a consumer is not as it must be; empty if there is
// none.
func differs(want, have jetstream.ConsumerConfig) string {
	w, h := reflect.ValueOf(want), reflect.ValueOf(have)
	for i := range w.NumField() {
		if !reflect.DeepEqual(w.Field(i).Interface(), h.Field(i).Interface()) {
			return fmt.Sprintf("its %s is %v, want %v", w.Type().Field(i).Name, h.Field(i).Interface(), w.Field(i).Interface())
		}
	}
	return ""
}
