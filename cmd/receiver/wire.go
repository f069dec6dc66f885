package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/logging"
	"receiver/internal/publish"
	"receiver/internal/track"
	"receiver/internal/web"
)

// instance is a running receiver: store, both doors, everything between.
type instance struct {
	cfg             *config.Config
	log             zerolog.Logger   // limited
	limit           *logging.Limiter // of the log
	server          *publish.Server  // nil unless embedded
	bus             *publish.Bus
	reached         atomic.Pointer[publish.Bus] // bus, for who asks while it is opened
	waiting         *waiting                    // nil unless nats.mode is external
	receiver        *callback.Receiver
	sealing         *sealing // nil without audit.key
	metrics         *web.Metrics
	platforms       *platforms
	watcher         *track.Watcher
	tokens          *callback.Tokens  // nil without token_secret
	list            *track.Projection // of the jobs; nil in commands
	background      sync.WaitGroup
	end             context.CancelFunc // of what runs in the background
	explainer       *explainer
	public, private *door
	folder          *door         // the socket in the store's folder; nil if there is none
	access          *access.Set   // the tokens of the private listener
	tokensWatched   chan struct{} // closed when their file is watched no more
}

// start brings a receiver up, in the order of what needs what; on an error it takes
// down again what was up.
func start(ctx context.Context, cfg *config.Config, log zerolog.Logger) (_ *instance, err error) {
	limit := logging.NewLimiter(log)
	in := &instance{cfg: cfg, log: log.Hook(limit), limit: limit}
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	in.end = end
	defer func() {
		if err != nil {
			err = errors.Join(err, in.stop())
		}
	}()
	if err = in.openAccess(background); err != nil {
		return in, err
	}
	if err = in.reachStore(ctx, background); err != nil {
		return in, err
	}
	records, err := in.startAudit(ctx)
	if err != nil {
		return in, err
	}
	if in.platforms, err = newPlatforms(cfg); err != nil {
		return in, err
	}
	in.list = track.NewProjection(track.ProjectionOptions{
		Briefs: in.bus, Snapshots: in.bus, MaxAge: cfg.NATS.JobsMaxAge, Log: in.log,
	})
	if in.watcher, err = in.newWatcher(); err != nil {
		return in, err
	}
	if in.tokens, err = tokens(cfg); err != nil {
		return in, err
	}
	judged, err := in.sources(cfg)
	if err != nil {
		return in, err
	}
	in.receiver, err = callback.New(callback.Options{
		Sources: judged, Store: ledger{in.bus, in.watcher}, AttemptBody: int(cfg.Limits.AttemptBody),
	})
	if err != nil {
		return in, err
	}
	patience := callback.NewPatience()
	in.metrics.ShowPatience(in.receiver, patience)
	networks, unix := cfg.Public.Trusted()
	public := web.NewPublic(web.Public{
		Receiver: in.receiver, BodyLimit: int64(cfg.Limits.Body), BodiesLimit: memoryOf(cfg).bodies, Timeout: cfg.Limits.PublishTimeout,
		Prefix: cfg.Public.Prefix, TrustedProxies: networks, TrustUnix: unix, Metrics: in.metrics, Patience: patience, Log: log, Limit: limit,
	})
	in.explainer = newExplainer(cfg, in.bus, in.log)
	private := web.NewPrivate(web.Private{
		Trail: records, Logs: records, Explain: in.explainer.explain, ExplainBody: int64(cfg.Limits.Body),
		Access: in.access, Record: in.recordUse, Ready: in.bus.Ready, Metrics: in.metrics, Receiver: in.receiver, Patience: patience, Log: in.log,
	})
	if err = in.admit(background, public, private); err != nil {
		return in, err
	}
	in.nameUnreached(background)
	in.keepStore(background, in.bus) // a test of reloads puts another in its place
	in.keepList(background)
	return in, in.forward(background)
}

// reachStore opens the store, with the patience that its kind deserves, and records that the
// receiver starts.
func (in *instance) reachStore(ctx, background context.Context) (err error) {
	record := func(ctx context.Context) error { return recordStart(ctx, in.cfg, in.bus, in.access.Tokens()) }
	if in.cfg.NATS.Mode == config.ModeExternal {
		return in.connect(ctx, background, record)
	}
	if in.server, in.bus, err = openStore(ctx, in.cfg, in.log); err != nil {
		return err
	}
	in.reached.Store(in.bus)
	in.metrics = in.newMetrics()
	return record(ctx)
}

// openDoors opens the private door first, so that whoever watches sees the public one open.
func (in *instance) openDoors(background context.Context, public, private http.Handler) (err error) {
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
	in.metrics.ShowConnections("private", in.private.listener)
	in.metrics.ShowConnections("public", in.public.listener)
	for _, d := range []*door{in.private, in.public} {
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

// keepStore guards the streams, and asks after jobs, until ctx is done.
func (in *instance) keepStore(ctx context.Context, bus *publish.Bus) {
	in.background.Go(func() { bus.Guard(ctx) })
	in.background.Go(func() { in.watcher.Run(ctx) })
}

// keepList keeps the list of jobs until ctx is done.
func (in *instance) keepList(ctx context.Context) {
	in.background.Go(func() { in.list.Run(ctx) })
	in.background.Go(func() {
		select {
		case <-in.list.Ready():
			debug.FreeOSMemory() // what making a long list took; an idle process keeps it for hours
		case <-ctx.Done():
		}
	})
}

func (in *instance) newMetrics() *web.Metrics {
	m := web.NewMetrics(func() uint64 {
		if bus := in.reached.Load(); bus != nil {
			return bus.Dropped()
		}
		return 0
	})
	m.ShowRestored(func() uint64 {
		if bus := in.reached.Load(); bus != nil {
			return bus.Restored()
		}
		return 0
	})
	m.ShowLogLimit(in.limit.Held)
	m.ShowAccess(in.access)
	if in.server != nil {
		m.ShowStore(func() web.Store {
			room := in.server.Room()
			return web.Store{Free: room.Free, Refuses: room.Full != nil, Restarts: room.Restarts}
		})
		m.ShowRefused(publish.Refusals(), in.server.Refused)
	}
	words := make([]string, len(publish.States))
	for i, s := range publish.States {
		words[i] = string(s)
	}
	m.ShowState(words, func() string {
		if bus := in.reached.Load(); bus != nil {
			return string(bus.State())
		}
		return string(publish.StateAway)
	})
	return m
}

// wait returns when ctx is done, or with the error of a listener that failed.
func (in *instance) wait(ctx context.Context) error {
	select {
	case err := <-in.public.failed:
		return fmt.Errorf("serving the public listener: %w", err)
	case err := <-in.private.failed:
		return fmt.Errorf("serving the private listener: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// stop takes a receiver down: no more callbacks are accepted, those in flight are
// answered, what waits is stored, and only then the store closes.
func (in *instance) stop() error {
	defer in.limit.Report()
	timeout := in.cfg.Limits.ShutdownTimeout
	if timeout == 0 {
		timeout = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for _, d := range []*door{in.public, in.private, in.folder} {
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
		errs = append(errs, in.bus.Settle(ctx), in.sealing.stop(ctx), in.bus.Close(ctx))
	}
	if in.server != nil {
		in.server.Stop()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// openStore starts the embedded server and opens the streams.
func openStore(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*publish.Server, *publish.Bus, error) {
	e := embedded(cfg, log)
	e.Waiting, e.Patience = ctx, folderPatience
	server, err := publish.Start(e)
	if err != nil {
		return nil, nil, portTaken(cfg.NATS.Embedded.Address, err)
	}
	bus, err := server.Open(ctx, busOptions(cfg, log))
	if err == nil {
		err = recordAccepted(ctx, server, bus)
	}
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	return server, bus, nil
}

// folderPatience is how long the folder of the embedded store is waited for that a command
// holds: it only writes down what it did.
const folderPatience = 30 * time.Second

// portTaken explains why the embedded server did not start if that is its port.
func portTaken(address string, err error) error {
	if errors.Is(err, publish.ErrInUse) {
		return err
	}
	ln, taken := net.Listen("tcp", address)
	if taken == nil {
		return errors.Join(err, ln.Close())
	}
	return fmt.Errorf("opening the NATS listener: %w; change nats.embedded.address, or end what uses it", taken)
}

func embedded(cfg *config.Config, log zerolog.Logger) publish.Embedded {
	return publish.Embedded{
		Folder: cfg.Abs(cfg.NATS.Embedded.Folder), Address: cfg.NATS.Embedded.Address, TLS: portTLS(cfg),
		SyncAlways: cfg.NATS.Sync == config.SyncAlways, MaxBody: int(cfg.Limits.Body), MaxConnections: connectionsOf(cfg).nats, Edge: edge(cfg), Log: log,
		IdentityFile: cfg.Abs(cfg.Audit.CheckpointFile) + ".store", Sealed: sealed(cfg),
	}
}

// portTLS is how the embedded server's port is encrypted; nil where it is not.
func portTLS(cfg *config.Config) *publish.PortTLS {
	t := cfg.NATS.Embedded.TLS
	if !t.On() {
		return nil
	}
	return &publish.PortTLS{
		CertFile: cfg.Abs(t.CertFile), KeyFile: cfg.Abs(t.KeyFile), CAFile: cfg.Abs(t.CAFile), TLS12: t.MinVersion == "1.2",
	}
}

func external(cfg *config.Config) publish.External {
	return client(cfg, cfg.NATS.URLs, cfg.NATS.CredentialsFile, cfg.NATS.TLS)
}

// client is how to connect to a NATS server with files that the configuration names.
func client(cfg *config.Config, urls []string, credentials config.Path, t config.TLS) publish.External {
	return publish.External{
		URLs: urls, CredentialsFile: cfg.Abs(credentials),
		CAFile: cfg.Abs(t.CAFile), CertFile: cfg.Abs(t.CertFile), KeyFile: cfg.Abs(t.KeyFile),
	}
}

func busOptions(cfg *config.Config, log zerolog.Logger) publish.Options {
	o := publish.Options{
		Domain: localDomain(cfg), Streams: localStreams(cfg),
		MaxWaiting: cfg.Limits.Waiting, AttemptQueue: cfg.Limits.AttemptQueue, AttemptRate: cfg.Limits.AttemptRate, Timeout: cfg.Limits.PublishTimeout, Log: log,
		// Without an fsync for each message there is none to save, and a batch has its own.
		OneByOne: cfg.NATS.Embeds() && cfg.NATS.Sync == config.SyncInterval,
	}
	encrypt(cfg, &o)
	return o
}

// tokens returns the maker and reader of tokens, or nil if no secret is configured.
func tokens(cfg *config.Config) (*callback.Tokens, error) {
	if cfg.TokenSecret.Empty() {
		return nil, nil
	}
	t, err := callback.NewTokens(cfg.TokenSecret.Bytes())
	if err != nil {
		return nil, fmt.Errorf("token_secret: %w", err)
	}
	return t, nil
}

// sources makes what callbacks are judged by out of the configuration, but for the tokens,
// which are those of the start.
func (in *instance) sources(cfg *config.Config) ([]callback.Source, error) {
	all := make([]callback.Source, 0, len(cfg.Sources))
	for name, s := range cfg.Sources {
		v, err := verifier(s)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		if s.CallbackToken == config.TokenRequired && in.tokens == nil {
			return nil, fmt.Errorf("source %s: callback_token: required needs the new token_secret, which takes a restart", name)
		}
		source := callback.Source{
			Name: name, Verifier: v, TokenRequired: s.CallbackToken == config.TokenRequired,
			Username: s.BasicAuth.Username.Reveal(), Password: s.BasicAuth.Password.Reveal(),
			Expected: in.watcher.Expected(name), Quarantine: s.UnexpectedJobs == config.UnexpectedQuarantine,
			Confirm: in.watcher.Confirm(name, track.Confirm(s.Confirm)),
			Submission: func(ctx context.Context, id string) (string, bool, error) {
				return in.bus.Submission(ctx, name, id)
			},
		}
		if s.CallbackToken != config.TokenOff {
			source.Tokens = in.tokens
		}
		all = append(all, source)
	}
	return all, nil
}
