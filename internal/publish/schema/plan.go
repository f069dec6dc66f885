package schema

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Plan is how the streams that exist differ from the configuration.
type Plan struct {
	// Streams are the streams of callbacks, and then what else of ours exists.
	Streams []StreamPlan `json:"streams"`
}

// StreamPlan is how one stream differs.
type StreamPlan struct {
	// Stream is its name; the stream of a bucket is OBJ_ or KV_ and the bucket's.
	Stream string `json:"stream"`
	// Missing is a stream that is not there. Opening a store makes it; Apply does not.
	Missing bool `json:"missing,omitempty"`
	// Changes are the settings that differ; none if it is as configured.
	Changes []Change `json:"changes"`
}

// Change is one setting of a stream that differs.
type Change struct {
	Setting string `json:"setting"`
	Have    string `json:"have"`
	Want    string `json:"want"`
	// Refused is true if no receiver starts on the stream as it is.
	Refused bool `json:"refused,omitempty"`
	// Blocked says why Apply leaves it, and what to do; empty if Apply makes the change.
	Blocked string `json:"blocked,omitempty"`
	// Drops is how many stored messages go when the change is made. For a limit of bytes it
	// is reckoned from their mean size.
	Drops uint64 `json:"drops,omitempty"`

	set func(to, from *jetstream.StreamConfig)
}

// ErrDrops is returned by Apply when stored messages would go and the caller did not say
// that they may. Nothing was changed then.
var ErrDrops = errors.New("the change would drop stored messages")

// ErrStale is returned by Apply when a stream is not as the plan says any more. Make
// another plan.
var ErrStale = errors.New("the stream has changed since the plan was made")

// Changes returns how many changes Apply would make, and how many are blocked.
func (p Plan) Changes() (apply, blocked int) {
	for _, s := range p.Streams {
		for _, c := range s.Changes {
			if c.Blocked == "" {
				apply++
			} else {
				blocked++
			}
		}
	}
	return apply, blocked
}

// Drops returns how many stored messages go when the plan is applied.
func (p Plan) Drops() uint64 {
	var n uint64
	for _, s := range p.Streams {
		n += s.drops()
	}
	return n
}

// drops does not count a message twice that two changes would drop.
func (s StreamPlan) drops() uint64 {
	var n uint64
	for _, c := range s.Changes {
		n = max(n, c.Drops)
	}
	return n
}

// Plan compares the streams with the configuration. It changes nothing.
func (s *Survey) Plan(ctx context.Context) (Plan, error) {
	var p Plan
	for _, w := range wantedStreams(s.opts.Streams) {
		planned, _, _, err := s.plan(ctx, w)
		if err != nil {
			return Plan{}, err
		}
		if !planned.Missing || !w.spare {
			p.Streams = append(p.Streams, planned)
		}
	}
	return p, nil
}

// wanted is a stream as we would have it.
type wanted struct {
	name  string
	spare bool // it is made when it is first needed
	of    func(have jetstream.StreamConfig) jetstream.StreamConfig
}

// wantedStreams returns all streams that the program may own. Of a bucket, NATS decides on the
// configuration; only what we said when making it is ours.
func wantedStreams(s conn.Streams) []wanted {
	s = s.WithDefaults()
	var all []wanted
	for _, c := range s.Configs() {
		all = append(all, wanted{c.Name, false, func(jetstream.StreamConfig) jetstream.StreamConfig { return c }})
	}
	bucket := func(name string, own func(*jetstream.StreamConfig)) wanted {
		return wanted{name, true, func(have jetstream.StreamConfig) jetstream.StreamConfig {
			have.Replicas = s.Replicas
			own(&have)
			return have
		}}
	}
	checkpoints := func(jetstream.StreamConfig) jetstream.StreamConfig { return s.CheckpointsConfig() }
	return append(all,
		wanted{conn.CheckpointsStream, true, checkpoints},
		bucket("OBJ_"+conn.TilesBucket, func(*jetstream.StreamConfig) {}),
		bucket("OBJ_"+conn.PayloadBucket, func(c *jetstream.StreamConfig) { c.MaxAge = conn.PayloadMaxAge(s.Configs()[0].MaxAge) }),
		bucket("OBJ_"+conn.LedgerBucket, func(*jetstream.StreamConfig) {}),
		bucket("KV_"+conn.LeasesBucket, func(*jetstream.StreamConfig) {}),
	)
}

// plan compares one stream, and returns both configurations with it.
func (s *Survey) plan(ctx context.Context, w wanted) (p StreamPlan, have, want jetstream.StreamConfig, err error) {
	p = StreamPlan{Stream: w.name, Changes: []Change{}}
	stream, err := s.Stream(ctx, w.name)
	if errors.Is(err, conn.ErrMissing) {
		p.Missing = true
		return p, have, want, nil
	}
	if err != nil {
		return p, have, want, err
	}
	info := stream.CachedInfo()
	have, want = info.Config, w.of(info.Config)
	differences := compare(want, have)
	all := untouchable(differences, have.Sealed)
	for _, d := range differences {
		c := Change{Setting: d.setting.name, Have: d.have, Want: d.want, Refused: d.breaks, Blocked: all, set: d.setting.set}
		if all == "" {
			c.Blocked, err = s.blocked(ctx, d)
		}
		if err == nil && c.Blocked == "" {
			c.Drops, err = drops(ctx, s.js, stream, d.setting.name, want)
		}
		if err != nil {
			return p, have, want, fmt.Errorf("%w: planning %s of stream %s: %v", conn.ErrUnavailable, c.Setting, w.name, err)
		}
		p.Changes = append(p.Changes, c)
	}
	return p, have, want, nil
}

// untouchable says why nothing of a stream is changed; empty if something may be.
func untouchable(differences []difference, sealed bool) string {
	switch {
	case slices.ContainsFunc(differences, func(d difference) bool { return d.setting.instead == notOurs }):
		return notOurs
	case sealed:
		return recopy
	}
	return ""
}

// blocked says why one setting is not changed.
func (s *Survey) blocked(ctx context.Context, d difference) (string, error) {
	switch {
	case d.setting.set == nil:
		return d.setting.instead, nil
	case d.setting.name == "num_replicas" && s.nc.ConnectedClusterName() == "" && d.want != strconv.Itoa(1):
		return standAlone, nil
	case d.setting.name == "allow_atomic" && d.want == strconv.FormatBool(true):
		account, err := s.account(ctx)
		if err == nil && account.API.Level < atomicLevel {
			return tooOld, nil
		}
		return "", err
	}
	return "", nil
}

// atomicLevel is the level of the JetStream API that atomic batches came with.
const atomicLevel = 2

// drops counts the messages that go when the stream takes over one setting.
func drops(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream, setting string, want jetstream.StreamConfig) (uint64, error) {
	info := stream.CachedInfo()
	state := info.State
	over := func(limit int64, have uint64) uint64 {
		if limit < 0 || have <= uint64(limit) {
			return 0
		}
		return have - uint64(limit)
	}
	switch setting {
	case "max_age":
		if want.MaxAge == 0 || state.Msgs == 0 {
			return 0, nil
		}
		now := info.TimeStamp
		if now.IsZero() { // a server before 2.10 does not tell its time
			now = time.Now()
		}
		return reader.OlderThan(ctx, js, stream, now.Add(-want.MaxAge))
	case "max_msgs":
		return over(want.MaxMsgs, state.Msgs), nil
	case "max_msgs_per_subject":
		if want.MaxMsgsPerSubject < 0 {
			return 0, nil
		}
		return over(want.MaxMsgsPerSubject*int64(state.NumSubjects), state.Msgs), nil
	case "max_bytes":
		bytes := over(want.MaxBytes, state.Bytes)
		if bytes == 0 {
			return 0, nil
		}
		mean := max(state.Bytes/max(state.Msgs, 1), 1)
		return min((bytes+mean-1)/mean, state.Msgs), nil
	}
	return 0, nil
}
