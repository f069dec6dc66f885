package main

import (
	"context"
	"errors"
	"time"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/publish"
	"receiver/internal/web"
)

// edge is how the embedded server is a leaf node of the hub; nil where it is none.
func edge(cfg *config.Config) *publish.Edge {
	if cfg.NATS.Mode != config.ModeEdge {
		return nil
	}
	return &publish.Edge{Name: cfg.NATS.Edge.Name, Hub: external(cfg), Domain: cfg.NATS.Domain}
}

// localStreams are the limits of the streams that this receiver works with.
func localStreams(cfg *config.Config) publish.Streams {
	streams := hubStreams(cfg)
	if cfg.NATS.Mode == config.ModeEdge {
		streams.Replicas, streams.Forwarded = 1, true
	}
	return streams
}

// hubStreams are the limits that are configured, which an edge makes streams at the hub by.
func hubStreams(cfg *config.Config) publish.Streams {
	return publish.Streams{
		JobsMaxAge: cfg.NATS.JobsMaxAge, Replicas: cfg.NATS.Replicas,
		AttemptsMaxBytes: int64(cfg.NATS.AttemptsMaxBytes), AttemptsMaxAge: cfg.NATS.AttemptsMaxAge,
	}
}

// localDomain is the JetStream domain of the streams, as the server connected to knows it.
func localDomain(cfg *config.Config) string {
	if cfg.NATS.Embeds() {
		return ""
	}
	return cfg.NATS.Domain
}

// forward begins to forward what is stored to the hub, if there is one, until ctx is done.
func (in *instance) forward(ctx context.Context) error {
	if in.cfg.NATS.Mode != config.ModeEdge {
		return nil
	}
	f, err := in.server.Forwarder(in.bus, publish.ForwarderOptions{
		Hub: hubStreams(in.cfg), Keep: in.cfg.NATS.JobsMaxAge, Log: in.log,
	})
	if err != nil {
		return err
	}
	in.metrics.ShowEdge(func() (web.EdgeLine, error) { return edgeLine(f) })
	in.background.Go(func() { f.Run(ctx) })
	return nil
}

// scrapePatience bounds the looks at the streams for one scrape.
const scrapePatience = 2 * time.Second

func edgeLine(f *publish.Forwarder) (web.EdgeLine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapePatience)
	defer cancel()
	line, err := f.Line(ctx)
	shown := web.EdgeLine{Up: line.Up}
	for _, s := range line.Streams {
		shown.Streams = append(shown.Streams, web.EdgeStream{
			Stream: s.Stream, Behind: s.Behind, Oldest: s.Oldest, Sent: s.Sent, Repeated: s.Repeated, Missed: s.Missed,
		})
	}
	return shown, err
}

// edge looks at the line to the hub, through the receiver that runs.
func (x examination) edge(ctx context.Context) []doctor.Finding {
	facts, err := publish.SurveyEdge(ctx, x.cfg.Abs(x.cfg.NATS.Embedded.Folder), publish.Options{
		Domain: x.cfg.NATS.Domain, Streams: hubStreams(x.cfg), Log: x.log,
	})
	switch {
	case errors.Is(err, publish.ErrNotRunning):
		return doctor.Edge{Stopped: true}.Findings(time.Now())
	case err != nil:
		return doctor.Unseen(err.Error())
	}
	e := doctor.Edge{Err: facts.Err, Hub: streams(facts.Hub)}
	for _, s := range facts.Streams {
		e.Behind = append(e.Behind, doctor.Behind{Stream: s.Stream, Records: s.Behind, Oldest: s.Oldest})
	}
	return e.Findings(time.Now())
}
