package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// EdgeFacts are how an edge that runs stands to its hub, as another process sees it.
type EdgeFacts struct {
	// Hub are the hub's streams that everything goes to, and Err is why they could not be
	// asked after: the line is cut, or the hub refuses.
	Hub []StreamFacts
	Err error
	// Streams are how far the hub is behind.
	Streams []Lag
}

// SurveyEdge asks the server that another process runs on a folder, and through it the hub,
// whose streams are compared with what o would have. It returns ErrNotRunning if there is
// no such server.
func SurveyEdge(ctx context.Context, folder string, o Options) (EdgeFacts, error) {
	var f EdgeFacts
	f.Hub, f.Err = surveyHub(ctx, folder, o)
	if errors.Is(f.Err, ErrNotRunning) {
		return f, f.Err
	}
	o.Domain = ""
	here, err := SurveyFolder(ctx, folder, o)
	if err != nil {
		return f, err
	}
	defer here.Close()
	for name, subject := range map[string]string{JobsStream: "jobs.>", AttemptsStream: "attempts.>"} {
		at, err := readReached(reachedFile(folder, name))
		var stream jetstream.Stream
		if err == nil {
			stream, err = here.stream(ctx, name)
		}
		lag := Lag{Stream: name}
		if err == nil {
			err = lag.measure(ctx, here.js, stream, subject, at.Sequence)
		}
		if err != nil {
			return f, fmt.Errorf("how far the hub is behind in %s: %w", name, err)
		}
		f.Streams = append(f.Streams, lag)
	}
	return f, nil
}

func surveyHub(ctx context.Context, folder string, o Options) ([]StreamFacts, error) {
	hub, err := SurveyFolder(ctx, folder, o)
	if err != nil {
		return nil, err
	}
	defer hub.Close()
	var all []StreamFacts
	for _, want := range o.Streams.desired() {
		if want.Name != JobsStream && want.Name != AttemptsStream {
			continue
		}
		stream, err := hub.stream(ctx, want.Name)
		switch {
		case errors.Is(err, ErrMissing):
			all = append(all, StreamFacts{Name: want.Name, Missing: true})
		case err != nil:
			return nil, err
		default:
			all = append(all, streamFacts(want, stream.CachedInfo()))
		}
	}
	return all, nil
}
