package service

import (
	"context"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/metrics"
	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/edge"
	"receiver/internal/service/deliveries"
)

// leafNode is how the embedded server is a leaf node of the hub; nil where it is none.
func leafNode(cfg *config.Config) *natsserver.Edge {
	if cfg.NATS.Mode != config.ModeEdge {
		return nil
	}
	return &natsserver.Edge{Name: cfg.NATS.Edge.Name, Hub: external(cfg), Domain: cfg.NATS.Domain}
}

// localStreams are the limits of the streams that this receiver works with.
func localStreams(cfg *config.Config) conn.Streams {
	streams := hubStreams(cfg)
	if cfg.NATS.Mode == config.ModeEdge {
		streams.Replicas, streams.Forwarded = 1, true
	}
	return streams
}

// hubStreams are the limits that are configured, which an edge makes streams at the hub by.
func hubStreams(cfg *config.Config) conn.Streams {
	return conn.Streams{
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
func (in *Instance) forward(ctx context.Context) error {
	if in.cfg.NATS.Mode != config.ModeEdge {
		return nil
	}
	f, err := in.forwarder(ctx)
	if err != nil {
		return err
	}
	in.metrics.ShowEdge(func() (metrics.EdgeLine, error) { return edgeLine(f) })
	in.status.ShowEdge(func(ctx context.Context) (api.Edge, error) { return edgeState(ctx, f, leafNode(in.cfg)) })
	in.background.Go(func() { f.Run(ctx) })
	return nil
}

// forwarder returns what forwards from the store to the hub.
func (in *Instance) forwarder(ctx context.Context) (*edge.Forwarder, error) {
	hub, err := in.server.Hub()
	if err != nil {
		return nil, err
	}
	store, err := in.server.StoreKey()
	if err != nil {
		return nil, err
	}
	leaf := leafNode(in.cfg)
	return edge.New(ctx, edge.Options{
		Local: in.bus.JetStream(), Folder: in.cfg.Abs(in.cfg.NATS.Embedded.Folder), Name: leaf.Name, Store: store,
		Hub: hub, Domain: leaf.Domain, Servers: leaf.Hub.Redacted(), Uplink: in.server.Uplink,
		Streams: hubStreams(in.cfg), Keep: in.cfg.NATS.JobsMaxAge, Log: in.log,
	})
}

// scrapeTimeout bounds the looks at the streams for one scrape.
const scrapeTimeout = 2 * time.Second

func edgeLine(f *edge.Forwarder) (metrics.EdgeLine, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	line, err := f.Link(ctx)
	shown := metrics.EdgeLine{Up: line.Up}
	for _, s := range line.Streams {
		shown.Streams = append(shown.Streams, metrics.EdgeStream{
			Stream: s.Stream, Behind: s.Behind, Oldest: s.Oldest, Sent: s.Sent, Repeated: s.Repeated, Missed: s.Missed,
		})
	}
	return shown, err
}

// edgeState is the state of a link as the API shows it.
func edgeState(ctx context.Context, f *edge.Forwarder, leaf *natsserver.Edge) (api.Edge, error) {
	link, err := f.Link(ctx)
	shown := api.Edge{
		Mode: config.ModeEdge, Name: leaf.Name, Hub: leaf.Hub.Redacted(), Link: api.EdgeLinkDown, Since: link.Since.UTC(), Streams: []api.EdgeStream{},
	}
	if link.Up {
		shown.Link = api.EdgeLinkUp
	}
	for _, s := range link.Streams {
		shown.Streams = append(shown.Streams, api.EdgeStream{
			Stream: s.Stream, Behind: s.Behind, Oldest: s.Oldest.UTC(), SecondsBehind: deliveries.Age(s.Oldest), Position: s.Position,
			Forwarded: s.Sent, Repeated: s.Repeated, Missed: s.Missed,
		})
	}
	return shown, err
}
