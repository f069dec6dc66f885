package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams and the bucket that the program owns.
const (
	// JobsStream holds every event: authentic ones and our own.
	JobsStream = "JOBS"
	// AttemptsStream holds refused, duplicate and late callbacks.
	AttemptsStream = "ATTEMPTS"
	// WatchStream holds one message for each job that is being asked after.
	WatchStream = "WATCH"
	// PayloadBucket holds bodies that are too large for a message, together with their
	// headers. Objects are named by the SHA-256 of their bytes and a random word.
	PayloadBucket = "PAYLOADS"
)

// Streams are the limits of the streams.
type Streams struct {
	// JobsMaxAge is how long events are kept; they are never dropped for size.
	// Default 90 days.
	JobsMaxAge time.Duration
	// Forwarded makes JOBS without a limit of age: a Forwarder removes what is older than
	// JobsMaxAge, once the hub has it.
	Forwarded bool
	// AttemptsMaxBytes bounds the stream of attempts; the oldest go first.
	// Default 1 GiB.
	AttemptsMaxBytes int64
	// AttemptsMaxAge is how long attempts are kept at most; 0 means as long as there is room.
	AttemptsMaxAge time.Duration
	// Replicas is on how many servers each stream is kept. Default 1.
	Replicas int
}

func (s Streams) withDefaults() Streams {
	if s.JobsMaxAge == 0 {
		s.JobsMaxAge = 90 * 24 * time.Hour
	}
	if s.AttemptsMaxBytes == 0 {
		s.AttemptsMaxBytes = 1 << 30
	}
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	return s
}

// base is what all streams have in common: messages stay, on disk, without limits.
func (s Streams) base() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		Replicas: s.Replicas, Discard: jetstream.DiscardOld, AllowDirect: true,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
	}
}

// desired returns the configuration of each stream of the callbacks, by its limits.
func (s Streams) desired() []jetstream.StreamConfig {
	s = s.withDefaults()
	base := s.base()
	jobs, attempts := base, base
	jobs.Name, jobs.Subjects, jobs.MaxAge = JobsStream, []string{"jobs.>"}, s.JobsMaxAge
	jobs.Description = "verified events of bulk jobs; one finished event for each job"
	if s.Forwarded {
		jobs.MaxAge = 0
	}
	jobs.AllowAtomicPublish = true
	attempts.Name, attempts.Subjects, attempts.MaxBytes = AttemptsStream, []string{"attempts.>"}, s.AttemptsMaxBytes
	attempts.MaxAge = s.AttemptsMaxAge
	attempts.Description = "callbacks that made no event: refused, duplicate, late"
	attempts.AllowAtomicPublish = true
	watch := base
	watch.Name, watch.Subjects = WatchStream, []string{"watch.>"}
	watch.Retention, watch.MaxMsgsPerSubject = jetstream.WorkQueuePolicy, 1
	watch.Description = "jobs without an end, and when the platform is asked after each"
	actions := base
	actions.Name, actions.Subjects = ActionsStream, []string{"actions.>"}
	actions.Description = "what was done to the installation, and by whom"
	return []jetstream.StreamConfig{jobs, attempts, watch, actions}
}

// checkpoints returns the configuration of the stream of the checkpoints. All are kept:
// the more there are, the narrower a rewriting of history is pinned down.
func (s Streams) checkpoints() jetstream.StreamConfig {
	c := s.withDefaults().base()
	c.Name, c.Subjects, c.AllowDirect = CheckpointsStream, []string{"checkpoints.>"}, false
	c.Description = "signed checkpoints of the logs over the streams"
	return c
}

// ErrStream is returned when a stream exists that cannot keep our promises, such as
// one that drops events for size. What to change stands in the error; only
// Survey.Apply changes a stream.
var ErrStream = errors.New("the stream exists with another configuration")

func (b *Bus) ensureStreams(ctx context.Context) error {
	for _, want := range b.opts.Streams.desired() {
		if b.opts.only != nil && !slices.Contains(b.opts.only, want.Name) {
			continue
		}
		s, err := b.ensureStream(ctx, want)
		if err != nil {
			return err
		}
		switch want.Name {
		case JobsStream:
			b.jobs = s
		case AttemptsStream:
			b.attempts = s
		case WatchStream:
			b.watch = s
		}
	}
	return nil
}

// openStream returns a stream, and makes it if it is missing.
func (b *Bus) openStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !b.opts.ReadOnly {
		if err := b.halfCopied(ctx, want.Name); err != nil {
			return nil, err
		}
		want.FirstSeq = b.opts.resume[want.Name]
		s, err = b.js.CreateStream(ctx, want)
		// Two replicas may start at once; the other's stream is as good as ours.
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = b.js.Stream(ctx, want.Name)
		}
	}
	return s, err
}

// halfCopied is an ErrStream if a stream is gone because Survey.Copy is replacing it: its
// messages are in the copy, and an empty one must not take its place.
func (b *Bus) halfCopied(ctx context.Context, stream string) error {
	c, err := b.js.Stream(ctx, stream+copySuffix)
	if err != nil || c.CachedInfo().Config.Metadata[metaCopyOf] != stream {
		return nil //nolint:nilerr // what is wrong with the server, making the stream tells
	}
	return fmt.Errorf("%w: %s holds what was in %s, which was not copied to the end; `receiver streams copy %s` goes on",
		ErrStream, stream+copySuffix, stream, stream)
}

// openPatience is how long each stream is waited for if nobody says; a callback is waited
// for less. Three servers that just began take their time over a new stream.
const openPatience = 10 * time.Second

// troublePause is how long a cluster is left alone that has trouble of its own with a
// stream, as one has that began a moment ago: no leader yet, or no folder.
const troublePause = 200 * time.Millisecond

// inTrouble reports whether an error says that the trouble is the cluster's, and that nothing
// was stored. A server that has not heard yet of a stream on another says that nobody answers.
func inTrouble(err error) bool {
	if errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return true
	}
	var said *jetstream.APIError
	return errors.As(err, &said) && said.Code >= 500
}

// patiently does something again for as long as the cluster is in trouble, until ctx is done;
// without a deadline for openPatience, or Options.Timeout if that is longer.
func patiently[T any](ctx context.Context, o Options, do func(context.Context) (T, error)) (T, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, max(openPatience, o.Timeout))
		defer cancel()
	}
	v, err := do(ctx)
	for inTrouble(err) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(troublePause):
			if now, problem := do(ctx); ctx.Err() == nil { // or what it said first says more
				v, err = now, problem
			}
		}
	}
	return v, err
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := patiently(ctx, b.opts, func(ctx context.Context) (jetstream.Stream, error) { return b.openStream(ctx, want) })
	if err != nil {
		return nil, fmt.Errorf("opening stream %s%s: %w", want.Name, b.opts.where(), err)
	}
	info := s.CachedInfo()
	for _, d := range compare(want, info.Config) {
		if !d.breaks {
			b.opts.Log.Warn().Str("stream", want.Name).Stringer("difference", d).
				Msg("stream exists with other limits than configured; left as it is")
		}
	}
	if err := breaking(want, info.Config); err != nil {
		return nil, err
	}
	return s, nil
}
