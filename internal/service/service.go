// Package service builds, starts, reloads and stops one receiver out of its configuration, and
// builds the parts of one for commands that work without it. Of the packages under internal it
// alone, beside config, knows the configuration; the others get options from here.
//
// It reads no flags and prints nothing: what there is to say goes to the logger or is returned.
package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/logging"
	"receiver/internal/metrics"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/service/archiving"
	"receiver/internal/service/deliveries"
	"receiver/internal/service/evidence"
	"receiver/internal/service/logs"
	"receiver/internal/service/memory"
	"receiver/internal/service/platform"
	"receiver/internal/service/traces"
	"receiver/internal/submission"
	"receiver/internal/tracing"
	"receiver/internal/web"
	"receiver/internal/web/profiling"
)

// Instance is a running receiver: the store, both listeners, everything between.
type Instance struct {
	cfg             *config.Config
	log             zerolog.Logger     // limited
	limit           *logging.Limiter   // of the log
	server          *natsserver.Server // nil unless embedded
	bus             *publish.Store
	reached         atomic.Pointer[publish.Store] // bus, for who asks while it is opened
	waiting         *waiting                      // nil unless nats.mode is external
	receiver        *callback.Receiver
	sealing         *sealer           // nil without audit.key
	archives        *archiving.Keeper // nil without audit.key
	evidence        *evidence.API
	metrics         *metrics.Metrics
	figures         *metrics.Sealing
	accepting       atomic.Bool // callbacks come to the receiver: the public listener is open, and neither waits nor ends
	platforms       *platform.Current
	watcher         *poll.Watcher
	submitter       *submission.Submitter
	status          *deliveries.Status  // of what is passed on
	tokens          *callback.Tokens    // nil without token_secret
	list            *joblist.Projection // of the jobs; nil in commands
	background      sync.WaitGroup
	end             context.CancelFunc // of what runs in the background
	waits           context.Context    //nolint:containedctx // done when the private listener stops: nobody waits for it then
	endWaits        context.CancelFunc
	explainer       *explainer
	public, private *openListener
	folder          *openListener // the socket in the store's folder; nil if there is none
	access          *access.Set   // the tokens of the private listener
	tokensWatched   chan struct{} // closed when their file is watched no more
	tracer          *tracing.Tracer
}

// Start brings a receiver up, in the order of what needs what; on an error it takes
// down again what was up.
func Start(ctx context.Context, cfg *config.Config, log zerolog.Logger) (_ *Instance, err error) {
	limit := logging.NewLimiter(log)
	in := &Instance{cfg: cfg, log: log.Hook(limit), limit: limit, tracer: traces.New(cfg, log)}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	in.end = end
	in.waits, in.endWaits = context.WithCancel(background)
	defer func() {
		if err != nil {
			err = errors.Join(err, in.Stop())
		}
	}()
	if err = in.openAccess(background); err != nil {
		return in, err
	}
	if err = in.reachStore(ctx, background); err != nil {
		return in, err
	}
	in.sealing.start(ctx, in.log)
	private := in.privateRoutes()
	if err = in.openPlatforms(); err != nil {
		return in, err
	}
	in.list = joblist.NewProjection(joblist.Options{
		Briefs: in.bus, Snapshots: in.bus, MaxAge: cfg.NATS.JobsMaxAge, Log: in.log,
	})
	if in.watcher, err = in.newWatcher(); err != nil {
		return in, err
	}
	judged, err := in.sources(cfg)
	if err != nil {
		return in, err
	}
	in.receiver, err = callback.New(callback.Options{
		Sources: judged, Store: Ledger{in.bus, in.watcher}, AttemptBody: int(cfg.Limits.AttemptBody),
	})
	if err != nil {
		return in, err
	}
	retries := callback.NewRetryState()
	in.metrics.ShowRetryState(in.receiver, retries)
	networks, unix := cfg.Public.Trusted()
	public := web.NewPublic(web.Public{
		Receiver: in.receiver, BodyLimit: int64(cfg.Limits.Body), BodiesLimit: memory.Of(cfg).Bodies, Timeout: cfg.Limits.PublishTimeout,
		Prefix: cfg.Public.Prefix, TrustedProxies: networks, TrustUnix: unix, Metrics: in.metrics, Retries: retries, Log: log, Limit: limit, Tracer: in.tracer,
	})
	in.explainer = newExplainer(cfg, in.bus, in.log)
	in.answers(&private.API, retries)
	if err = in.admit(background, public, in.page(private)); err != nil {
		return in, err
	}
	in.nameUnreached(background)
	in.keepStore(background, in.bus) // a test of reloads puts another in its place
	in.keepList(background)
	in.keepSubmissions(background)
	in.keepArchives(background)
	return in, errors.Join(in.postEvents(background), in.forward(background))
}

// openPlatforms makes the clients of the platforms, and what submits by them.
func (in *Instance) openPlatforms() (err error) {
	if in.platforms, err = platform.New(in.cfg); err != nil {
		return err
	}
	in.tokens, err = platform.Tokens(in.cfg)
	in.submitter = &submission.Submitter{Store: in.bus, Platform: platform.Submitting{
		Current: in.platforms, Tokens: in.tokens, Publish: in.bus.Publish,
	}}
	return err
}

// privateRoutes is what the private listener answers with, but for what judges callbacks.
func (in *Instance) privateRoutes() web.Private {
	p := web.Private{
		Access: in.access, Record: in.recordUse, Ready: in.Ready, Remark: in.sealing.remark, Metrics: in.metrics, ExplainBody: int64(in.cfg.Limits.Body), Log: in.log, Tracer: in.tracer,
		Profiles: profiling.Profiler{On: in.cfg.Private.Pprof, Stopping: in.waits},
	}
	p.API.Trail, p.API.Logs = in.evidence, in.evidence
	return p
}

// recordAction records an action that the private listener is asked for.
func (in *Instance) recordAction(ctx context.Context, a job.Action, details map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, in.cfg.Limits.PublishTimeout)
	defer cancel()
	return RecordAction(ctx, in.bus, a, details)
}

// keepSubmissions finds out what became of submissions that are left open, until ctx is done.
func (in *Instance) keepSubmissions(ctx context.Context) {
	in.background.Go(func() {
		in.submitter.Adopt(ctx, in.bus.Submissions, func(err error) {
			in.log.Warn().Err(err).Msg("asking for open submissions failed and is tried again")
		})
	})
}

// Ready reports whether a callback that comes now is accepted.
func (in *Instance) Ready(ctx context.Context) error {
	if !in.accepting.Load() {
		return errors.New("the public listener is closed: the receiver is starting or stopping")
	}
	return in.bus.Ready(ctx)
}

// reachStore opens the store, with the timeout of its kind, and records that the
// receiver starts.
func (in *Instance) reachStore(ctx, background context.Context) (err error) {
	if in.cfg.NATS.Mode == config.ModeExternal {
		if in.metrics, err = in.newMetrics(); err != nil {
			return err
		}
		return in.connect(ctx, background)
	}
	if in.server, in.bus, err = OpenStore(ctx, in.cfg, in.log); err != nil {
		return err
	}
	in.reached.Store(in.bus)
	if in.metrics, err = in.newMetrics(); err != nil {
		return err
	}
	return in.openParts(ctx, in.server.Found())
}

// openParts opens everything that asks the store for something as it is opened, and then records
// the start: there is no record of one that fails. Where it fails, nothing stays open.
func (in *Instance) openParts(ctx context.Context, found storefolder.Found) (err error) {
	if !in.cfg.Audit.Key.Empty() {
		if in.sealing, err = openSealing(ctx, in.cfg, in.bus, in.figures, in.log); err != nil {
			return err
		}
		in.archives, err = archiving.New(ctx, archiving.Options{Config: in.cfg, Store: in.bus, Log: in.log})
	}
	if err == nil {
		err = in.openEvidence(ctx)
	}
	if err == nil {
		err = recordStart(ctx, in.cfg, in.bus, in.access.Tokens(), logs.ListUnsealed(ctx, in.cfg, in.bus, found, in.log))
	}
	if err != nil && in.sealing != nil {
		err = errors.Join(err, in.sealing.Close())
		in.sealing = nil
	}
	return err
}

// openListeners opens the private listener first, so that monitoring sees that the public one is
// closed, and open.
func (in *Instance) openListeners(background context.Context, public, private http.Handler) (err error) {
	errorLog := logging.Std(in.log, "net/http")
	most := connectionsOf(in.cfg)
	if in.private, err = open(privateEntrance(in.cfg), private, in.cfg.Limits, in.bound("private", most.private, nil), errorLog); err != nil {
		return err
	}
	e := publicEntrance(in.cfg)
	if e.keeper, err = in.newKeeper(); err != nil {
		return err
	}
	trusted, _ := in.cfg.Public.Trusted()
	if in.public, err = open(e, public, in.cfg.Limits, in.bound("public", most.public, trusted), errorLog); err != nil {
		return err
	}
	in.folder = in.openFolder(in.private, errorLog)
	for _, d := range []*openListener{in.private, in.folder} {
		if d != nil {
			d.server.RegisterOnShutdown(in.endWaits)
		}
	}
	in.metrics.ShowConnections("private", in.private.listener.Connections)
	in.metrics.ShowConnections("public", in.public.listener.Connections)
	for _, d := range []*openListener{in.private, in.public} {
		if d.cert != nil {
			in.metrics.ShowCertificate(d.name, d.ends, d.failures)
			log := in.log.With().Str("listener", d.name).Logger()
			in.background.Go(func() { d.keepCertificate(background, log) })
		}
		if d.keeper != nil {
			in.background.Go(func() { d.keeper.Run(background) })
		}
	}
	return nil
}

// keepStore guards the streams, and polls for jobs, until ctx is done.
func (in *Instance) keepStore(ctx context.Context, bus *publish.Store) {
	in.background.Go(func() { bus.Guard(ctx) })
	in.background.Go(func() { in.watcher.Run(ctx) })
}

// keepList keeps the list of jobs until ctx is done.
func (in *Instance) keepList(ctx context.Context) {
	in.background.Go(func() { in.list.Run(ctx) })
	in.background.Go(func() {
		select {
		case <-in.list.Ready():
			debug.FreeOSMemory() // what making a long list took; an idle process keeps it for hours
		case <-ctx.Done():
		}
	})
}

func (in *Instance) newMetrics() (*metrics.Metrics, error) {
	m := metrics.New(func() metrics.Store {
		if bus := in.reached.Load(); bus != nil {
			return bus
		}
		return nil
	})
	keys, err := ConfiguredKeys(in.cfg)
	m.SetSources(keys)
	m.ShowLogLimit(in.limit.Held)
	m.ShowTraces(in.tracer.Dropped)
	m.ShowAccess(in.access)
	if !in.cfg.Audit.Key.Empty() {
		in.figures = m.Sealing(logs.Streams)
	}
	if in.server != nil {
		m.ShowStore(func() metrics.Embedded {
			room := in.server.Status()
			return metrics.Embedded{Free: room.Free, Refuses: room.Err != nil, Restarts: room.Restarts}
		})
		m.ShowRefused(natsserver.Refusals(), in.server.Refused)
	}
	words := make([]string, len(natsserver.States))
	for i, s := range natsserver.States {
		words[i] = string(s)
	}
	m.ShowState(words, in.storeState)
	return m, err
}

// Wait returns when ctx is done, or with the error of a listener that failed or of a connection to
// NATS that is closed for good.
func (in *Instance) Wait(ctx context.Context) error {
	select {
	case err := <-in.public.failed:
		return fmt.Errorf("serving the public listener: %w", err)
	case err := <-in.private.failed:
		return fmt.Errorf("serving the private listener: %w", err)
	case <-in.bus.Closed():
		return fmt.Errorf("the NATS server ended the connection for good; restart the receiver: %w", in.bus.ClosedFor())
	case <-ctx.Done():
		return nil
	}
}

// Stop takes a receiver down: no more callbacks are accepted, those in flight are
// answered, what waits is stored, and only then the store closes.
func (in *Instance) Stop() error {
	defer in.limit.Report()
	in.accepting.Store(false)
	timeout := in.cfg.Limits.ShutdownTimeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for _, d := range []*openListener{in.public, in.private, in.folder} {
		if d != nil {
			errs = append(errs, d.server.Shutdown(ctx))
		}
	}
	in.end()
	in.background.Wait()
	in.awaitTokens()
	if in.bus != nil {
		if in.receiver != nil {
			in.receiver.Flush()
		}
		// The last sealing is over everything, and nothing is written after it.
		errs = append(errs, in.bus.DrainAttempts(ctx), in.sealing.stop(ctx), in.bus.Close(ctx))
	}
	if in.server != nil {
		in.server.Stop()
	}
	in.tracer.Stop()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
