package edge

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
)

// Facts are the state of a running edge towards its hub, as another process reads it.
type Facts struct {
	// Hub are the hub's streams to which records are forwarded, and Err is why they could not be
	// read: the link is down, or the hub refuses.
	Hub []schema.StreamFacts
	Err error
	// Streams are the lags of the hub.
	Streams []Lag
}

// Survey asks the server that another process runs on a folder, and through it the hub, whose
// streams are compared with those that o describes. It returns ErrNotRunning if there is no such
// server.
func Survey(ctx context.Context, at conn.Endpoint, folder string, o conn.Options) (Facts, error) {
	var f Facts
	f.Hub, f.Err = surveyHub(ctx, at, o)
	o.Domain = ""
	local, err := schema.SurveyEndpoint(ctx, at, o)
	if err != nil {
		return f, err
	}
	defer local.Close()
	for _, from := range forwarded {
		at, err := readPosition(positionFile(folder, from.stream))
		var stream jetstream.Stream
		if err == nil {
			stream, err = local.Stream(ctx, from.stream)
		}
		lag := Lag{Stream: from.stream}
		if err == nil {
			err = lag.measure(ctx, local.JetStream(), stream, from.subject, at.Sequence)
		}
		if err != nil {
			return f, fmt.Errorf("counting the records of %s that are not at the hub: %w", from.stream, err)
		}
		f.Streams = append(f.Streams, lag)
	}
	return f, nil
}

func surveyHub(ctx context.Context, at conn.Endpoint, o conn.Options) ([]schema.StreamFacts, error) {
	hub, err := schema.SurveyEndpoint(ctx, at, o)
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	var all []schema.StreamFacts
	for _, want := range o.Streams.Configs() {
		if want.Name != conn.JobsStream && want.Name != conn.AttemptsStream {
			continue
		}
		stream, err := hub.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, conn.ErrMissing):
			all = append(all, schema.StreamFacts{Name: want.Name, Missing: true})
		case err != nil:
			return nil, err
		default:
			all = append(all, schema.FactsOf(want, stream.CachedInfo()))
		}
	}
	return all, nil
}
