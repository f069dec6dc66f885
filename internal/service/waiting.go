package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/service/status"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
	"receiver/internal/web/profiling"
)

const (
	// waitGrace is how long a cluster may take to be reached before the listeners open
	// without it.
	waitGrace = time.Second
	// firstTry is how long the first attempt may take, so that what is waited for is soon
	// known. Later ones leave a cluster the time that its streams take.
	firstTry = 2 * time.Second
	// The pause between two attempts to reach a cluster begins with firstPause, and is
	// doubled up to lastPause.
	firstPause, lastPause = 250 * time.Millisecond, 5 * time.Second
	// sayAgain is how often the log repeats what is waited for.
	sayAgain = time.Minute
)

// waiting is a receiver whose cluster is not reached yet.
type waiting struct {
	log             zerolog.Logger
	public, private *web.Gate // nil while the listeners are closed
	mu              sync.Mutex
	reason          error
	said            time.Time
}

// connect connects to the cluster and does what needs it, again and again, until that is
// done or cannot be. Meanwhile the listeners are open: callbacks are answered 503, and
// /readyz says what is waited for.
func (in *Instance) connect(ctx, background context.Context) error {
	in.waiting = &waiting{log: in.log, reason: errors.New("connecting to NATS: " + strings.Join(external(in.cfg).Redacted(), ", "))}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opened := make(chan error, 1)
	late := time.AfterFunc(waitGrace, func() {
		err := in.openEarly(background)
		if err != nil {
			cancel(err)
		}
		opened <- err
	})
	err := in.attempt(ctx)
	if late.Stop() {
		return err
	}
	if closed := <-opened; closed != nil {
		return closed
	}
	return err
}

// openEarly opens the listeners of a receiver that waits.
func (in *Instance) openEarly(background context.Context) error {
	w := in.waiting
	w.public = web.NewGate(web.NewWaiting(in.cfg.Public.Prefix, in.metrics, in.log))
	w.private = web.NewGate(in.page(web.Private{
		Access: in.access, Ready: w.ready, Metrics: in.metrics, Log: in.log, Profiles: profiling.Profiler{On: in.cfg.Private.Pprof, Stopping: in.waits},
		API: apiserver.Server{Status: (&status.Receiver{Ready: w.ready, Store: in.storeState}).Status},
	}))
	if err := in.openListeners(background, w.public, w.private); err != nil {
		return err
	}
	in.log.Info().Str("public", in.public.url()).Str("private", in.private.url()).
		Msg("listening without NATS; callbacks are answered 503 until NATS is reached")
	return nil
}

// attempt tries until it works or cannot.
func (in *Instance) attempt(ctx context.Context) error {
	first, cancel := context.WithTimeout(ctx, firstTry)
	defer cancel()
	try := first
	for pause := firstPause; ; pause, try = min(2*pause, lastPause), ctx {
		err := in.once(try, ctx)
		if ctx.Err() != nil && err != nil {
			return context.Cause(ctx)
		}
		if err == nil || !mayPass(err) {
			return err
		}
		in.waiting.because(err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // only so that replicas do not come all at once
		}
	}
}

// mayPass reports whether an error of a start may end without a change to what is on this machine,
// or to the streams.
func mayPass(err error) bool {
	return conn.MayPass(err) && !errors.Is(err, logs.ErrFile) && !errors.As(err, new(config.UseError)) && !errors.As(err, new(*fs.PathError))
}

// once connects once, until try is done, and does what follows. It leaves nothing behind where
// either fails.
func (in *Instance) once(try, ctx context.Context) error {
	bus, err := publish.Dial(try, external(in.cfg), storeOptions(in.cfg, in.log))
	if err != nil {
		return err
	}
	in.bus = bus
	in.reached.Store(bus)
	if err = in.compareCluster(try); err == nil {
		err = in.openParts(ctx, storefolder.Found{})
	}
	if err != nil {
		err = fmt.Errorf("%w (the NATS servers are %s)", err, strings.Join(external(in.cfg).Redacted(), ", "))
		in.reached.Store(nil)
		in.bus = nil
		return errors.Join(err, bus.Close(context.WithoutCancel(ctx)))
	}
	return nil
}

// A new leader may not have all messages yet, so a loss is one that stays.
const (
	lossChecks = 3
	lossPause  = time.Second
)

// compareCluster compares the streams of the cluster with their checkpoints.
func (in *Instance) compareCluster(ctx context.Context) error {
	for check := 1; ; check++ {
		losses, err := logs.FindLosses(ctx, in.cfg, in.bus)
		if err == nil {
			err = losses.Err()
		}
		if !errors.Is(err, conn.ErrLost) || check == lossChecks {
			return err
		}
		if err := conn.Sleep(ctx, lossPause); err != nil {
			return err
		}
	}
}

// because notes why there is no cluster yet, and logs it if that is news or a minute old.
func (w *waiting) because(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reason.Error() != err.Error() || time.Since(w.said) >= sayAgain {
		w.log.Warn().Err(err).Msg("waiting for NATS; the receiver tries again every few seconds")
		w.said = time.Now()
	}
	w.reason = err
}

// ready says why the receiver is not ready.
func (w *waiting) ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Errorf("waiting for NATS: %w", w.reason)
}

// admit opens the listeners, or puts what they are for into the place of what waited there.
func (in *Instance) admit(background context.Context, public, private http.Handler) error {
	if in.waiting == nil || in.waiting.public == nil {
		if err := in.openListeners(background, public, private); err != nil {
			return err
		}
	} else {
		in.waiting.private.Set(private)
		in.waiting.public.Set(public)
	}
	in.accepting.Store(true)
	return nil
}

// nameUnreached warns of each server of a cluster that cannot be reached, though another one
// was.
func (in *Instance) nameUnreached(ctx context.Context) {
	if in.cfg.NATS.Mode != config.ModeExternal || len(in.cfg.NATS.URLs) < 2 {
		return
	}
	in.background.Go(func() {
		for _, u := range external(in.cfg).Unreached(ctx) {
			if ctx.Err() == nil {
				in.log.Warn().Str("url", u.URL).Err(u.Err).Msg("one of nats.urls cannot be reached; the receiver uses another one")
			}
		}
	})
}
