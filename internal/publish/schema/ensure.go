package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// openStream returns a stream, and makes it if it is missing.
func openStream(ctx context.Context, js jetstream.JetStream, o conn.Options, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !o.ReadOnly {
		if err := HalfCopied(ctx, js, want.Name); err != nil {
			return nil, err
		}
		want.FirstSeq = o.Resume[want.Name]
		s, err = js.CreateStream(ctx, want)
		// Two replicas may start at once; the other's stream is as good as ours.
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = js.Stream(ctx, want.Name)
		}
	}
	return s, err
}

// HalfCopied is an ErrStream if a stream is gone because Survey.Copy is replacing it: its
// messages are in the copy, and an empty one must not take its place.
func HalfCopied(ctx context.Context, js jetstream.JetStream, stream string) error {
	c, err := js.Stream(ctx, stream+conn.CopySuffix)
	if err != nil || c.CachedInfo().Config.Metadata[metaCopyOf] != stream {
		return nil //nolint:nilerr // what is wrong with the server, making the stream tells
	}
	return fmt.Errorf("%w: %s contains the messages of %s, whose replacement was interrupted; continue with `receiver streams copy %s`",
		conn.ErrStream, stream+conn.CopySuffix, stream, stream)
}

// Ensure returns a stream, and creates it if it is missing. The error is a conn.ErrStream if it
// cannot keep the guarantees; a stream with other limits than configured stays as it is.
func Ensure(ctx context.Context, js jetstream.JetStream, o conn.Options, want jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := conn.Retry(ctx, o, func(ctx context.Context) (jetstream.Stream, error) { return openStream(ctx, js, o, want) })
	if err != nil {
		return nil, fmt.Errorf("opening stream %s%s: %w", want.Name, o.InDomain(), err)
	}
	info := s.CachedInfo()
	for _, d := range compare(want, info.Config) {
		if !d.breaks {
			o.Log.Warn().Str("stream", want.Name).Stringer("difference", d).
				Msg("the stream has other limits than configured; the receiver does not change them")
		}
	}
	if err := Breaking(want, info.Config); err != nil {
		return nil, err
	}
	return s, nil
}

// Breaking is an error if a stream cannot keep the guarantees.
func Breaking(want, have jetstream.StreamConfig) error {
	var broken []difference
	for _, d := range compare(want, have) {
		if d.breaks {
			broken = append(broken, d)
		}
	}
	if broken == nil {
		return nil
	}
	return fmt.Errorf("stream %s: %w: %v; see `receiver streams plan`, or give the receiver its own account", want.Name, conn.ErrStream, broken)
}
