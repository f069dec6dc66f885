package schema

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// Facts are what a NATS server, its JetStream and our streams say of themselves.
type Facts struct {
	// URL is where the server was reached, without credentials; Version is its own.
	URL, Version string
	// Cluster is the name of its cluster; empty if it stands alone.
	Cluster string
	// MaxPayload is the largest message it takes, in bytes.
	MaxPayload int64
	// APILevel is the level of the JetStream API; atomic batches came with 2.
	APILevel int
	// StoreUsed and StoreLimit are the bytes on disk of our account; no limit is -1.
	StoreUsed, StoreLimit int64
	// Clock is what the server's clock showed between Asked and Answered, by ours. It is
	// zero if there is no stream to ask about.
	Clock, Asked, Answered time.Time
	// Streams are ours, in the order of Plan.
	Streams []StreamFacts
}

// StreamFacts are what one stream is like.
type StreamFacts struct {
	Name string
	// Missing streams have no other facts.
	Missing bool
	// Memory streams are lost with their server.
	Memory bool
	// DiscardNew streams refuse new messages when they are full.
	DiscardNew bool
	Atomic     bool
	Replicas   int
	// MaxAge, MaxBytes and MaxMessages are limits; not positive is none.
	MaxAge                time.Duration
	MaxBytes, MaxMessages int64
	// Messages and Bytes are what it holds, and First and Last the times of the oldest and
	// the newest; all zero where only the configuration is known.
	Messages, Bytes uint64
	First, Last     time.Time
	// Lost is how many messages the server knows to be lost for damage to its files.
	Lost int
	// Offline and Behind are the servers that do not keep up with a copy.
	Offline, Behind []string
	// Breaking and Other are how it differs from the configuration: in ways for which it
	// is refused, and in others. Each names the setting and both values.
	Breaking, Other []string
}

// Facts asks for all of them. A stream that is missing is no error; the others are
// ErrUnavailable, and what was found out before stands in the answer.
func (s *Survey) Facts(ctx context.Context) (Facts, error) {
	f := Facts{
		URL: s.nc.ConnectedUrlRedacted(), Version: s.nc.ConnectedServerVersion(),
		Cluster: s.nc.ConnectedClusterName(), MaxPayload: s.nc.MaxPayload(),
	}
	account, err := s.account(ctx)
	if err != nil {
		return f, err
	}
	f.APILevel, f.StoreUsed, f.StoreLimit = account.API.Level, int64(account.Store), account.Limits.MaxStore
	for _, want := range s.opts.Streams.Configs() {
		asked := time.Now()
		stream, err := s.Stream(ctx, want.Name)
		if errors.Is(err, conn.ErrMissing) {
			f.Streams = append(f.Streams, StreamFacts{Name: want.Name, Missing: true})
			continue
		}
		if err != nil {
			return f, err
		}
		info := stream.CachedInfo()
		if f.Clock.IsZero() && !info.TimeStamp.IsZero() {
			f.Clock, f.Asked, f.Answered = info.TimeStamp, asked, time.Now()
		}
		f.Streams = append(f.Streams, FactsOf(want, info))
	}
	return f, nil
}

// FactsOf are the facts of a stream that is there, compared with what is wanted.
func FactsOf(want jetstream.StreamConfig, info *jetstream.StreamInfo) StreamFacts {
	c, state := info.Config, info.State
	f := StreamFacts{
		Name: c.Name, Memory: c.Storage == jetstream.MemoryStorage, DiscardNew: c.Discard == jetstream.DiscardNew,
		Atomic: c.AllowAtomicPublish, Replicas: c.Replicas, MaxAge: c.MaxAge, MaxBytes: c.MaxBytes, MaxMessages: c.MaxMsgs,
		Messages: state.Msgs, Bytes: state.Bytes, First: state.FirstTime, Last: state.LastTime,
	}
	if state.Lost != nil {
		f.Lost = len(state.Lost.Msgs)
	}
	if info.Cluster != nil {
		for _, p := range info.Cluster.Replicas {
			switch {
			case p.Offline:
				f.Offline = append(f.Offline, p.Name)
			case !p.Current:
				f.Behind = append(f.Behind, p.Name)
			}
		}
	}
	for _, d := range compare(want, c) {
		if d.breaks {
			f.Breaking = append(f.Breaking, d.String())
		} else {
			f.Other = append(f.Other, d.String())
		}
	}
	return f
}

// ConfigFacts returns what the configurations of the streams alone tell, of streams whose server
// does not run. config returns one, and conn.ErrMissing if there is no such stream.
func ConfigFacts(want conn.Streams, config func(stream string) (jetstream.StreamConfig, error)) ([]StreamFacts, error) {
	var all []StreamFacts
	for _, w := range want.Configs() {
		have, err := config(w.Name)
		switch {
		case errors.Is(err, conn.ErrMissing):
			all = append(all, StreamFacts{Name: w.Name, Missing: true})
		case err != nil:
			return nil, err
		default:
			all = append(all, FactsOf(w, &jetstream.StreamInfo{Config: have}))
		}
	}
	return all, nil
}
