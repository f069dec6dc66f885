// Package systemd tells systemd how the process is doing: that it has started or is stopping,
// its state in words, and, for WatchdogSec, that it is alive. Elsewhere it does nothing.
package systemd

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"

	"receiver/internal/plain"
)

// pause is the time between two messages, if no watchdog needs more of them.
const pause = 10 * time.Second

// Process is what is known of the process. Its functions return when their context ends, at the
// latest.
type Process struct {
	// Alive returns an error if a restart is needed.
	Alive func(context.Context) error
	// Ready returns why the process cannot do its work now; nil if it can.
	Ready func(context.Context) error
	// Log gets the errors.
	Log zerolog.Logger
}

// Keep tells systemd that the process has started, and its state from then on. The watchdog gets
// its heartbeats only while Alive returns nil. The function that Keep returns tells that the
// process is stopping; it must be called, and waits for the question in progress.
func (p Process) Keep(ctx context.Context) (stopping func()) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		p.Log.Error().Err(err).Msg("the watchdog of systemd gets no heartbeats; start the receiver by a unit with WatchdogSec=")
	}
	if !p.tell(daemon.SdNotifyReady) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { p.keep(ctx, limit) })
	return func() {
		cancel()
		done.Wait()
		p.tell(daemon.SdNotifyStopping + "\nSTATUS=stopping")
	}
}

// keep tells the state until ctx is done; a limit of 0 is no watchdog.
func (p Process) keep(ctx context.Context, limit time.Duration) {
	every := pause
	if limit > 0 {
		every = min(pause, limit/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		text := p.state(ctx, every, limit > 0)
		if ctx.Err() != nil {
			return
		}
		p.tell(text)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// state returns the state as systemd reads it, one assignment a line.
func (p Process) state(ctx context.Context, limit time.Duration, watched bool) string {
	asked, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	text := "STATUS="
	if watched {
		if err := p.Alive(asked); err != nil {
			if ctx.Err() == nil {
				p.Log.Error().Err(err).Msg("the receiver hangs; systemd restarts it if that goes on")
			}
			return "STATUS=hangs: " + line(err)
		}
		text = daemon.SdNotifyWatchdog + "\nSTATUS="
	}
	if err := p.Ready(asked); err != nil {
		return text + "not ready: " + line(err)
	}
	return text + "ready"
}

// tell reports whether systemd listens.
func (p Process) tell(text string) bool {
	told, err := daemon.SdNotify(false, text)
	if err != nil {
		p.Log.Error().Err(err).Msg("systemd does not learn the state of the receiver; its unit needs Type=notify")
	}
	return told
}

// longest is how many bytes of an error systemd gets.
const longest = 1000

// line is an error as a part of a line: what follows a line end would be an assignment of its own,
// and systemd drops a message with a NUL, and so the watchdog's.
func line(err error) string {
	text := plain.Text(err.Error())
	return strings.ToValidUTF8(text[:min(len(text), longest)], "")
}
