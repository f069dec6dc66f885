package service

import (
	"context"
	"errors"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/metrics"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/service/deliveries"
	"receiver/internal/sink"
	"receiver/internal/version"
)

// postEvents begins to post events to the sinks, if there are any, until ctx is done.
func (in *Instance) postEvents(ctx context.Context) error {
	if len(in.cfg.Sinks) == 0 {
		return nil
	}
	var all []sink.Sink
	for _, k := range in.cfg.Sinks {
		all = append(all, sink.Sink{
			Name: k.Name, URL: k.URL, Secrets: k.Secrets(), Sources: k.Sources, Kinds: k.Kinds, Oldest: k.From == config.FromAll,
		})
	}
	program, _ := version.Read()
	figures := in.metrics.ShowSinks(deliveries.Names(in.cfg), func(name string) (metrics.SinkBacklog, error) {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		l, err := in.bus.Backlog(ctx, name)
		return metrics.SinkBacklog(l), err
	})
	s, err := sink.New(sink.Options{
		Sinks: all, Store: in.bus, UserAgent: "receiver/" + program, Count: in.status.Counted(figures), Log: in.log, Tracer: in.tracer,
		Lease: func(ctx context.Context, name string) (sink.Lease, error) { return in.bus.Lease(ctx, name) },
	})
	if err == nil {
		in.background.Go(func() { s.Run(ctx) })
	}
	return err
}

// sinks looks for events that sinks do not accept.
func (x examiner) sinks(ctx context.Context) (found []doctor.Finding) {
	bus, done, err := Opener{Config: x.cfg, Log: x.log, Say: func(string, ...any) {}}.Attach(ctx)
	if errors.Is(err, storefolder.ErrNotRunning) {
		return doctor.Unseen("no receiver runs here, so no events are posted")
	}
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	defer done()
	reports, err := deliveries.Reports(ctx, x.cfg, bus, "")
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	for _, r := range reports {
		s := doctor.Sink{Name: r.Name, Pending: r.Pending, Retrying: r.Retrying, GivenUp: r.GivenUp}
		if len(r.Open) > 0 {
			s.Since, s.Reason = r.Open[0].Since, r.Open[0].Error
		}
		found = append(found, s.Finding())
	}
	return found
}
