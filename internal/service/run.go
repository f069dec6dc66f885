package service

import (
	"context"
	"os"
	"sync"
	"time"

	"receiver/internal/audit"
	"receiver/internal/publish"
	"receiver/internal/service/memory"
)

// Run goes on until ctx is done or a listener fails. Meanwhile it reads the configuration
// again on hup and when its files change.
func (in *Instance) Run(ctx context.Context, hup <-chan os.Signal) error {
	r, err := newReloader(in)
	if err != nil {
		return err
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beside.Go(func() { memory.KeepHeadroom(ctx) })
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(ctx, hup)
	}()
	err = in.Wait(ctx)
	cancel()
	select {
	case <-watched:
	case <-time.After(lastLook):
		in.log.Warn().Msg("reading the configuration hangs; the receiver stops without waiting for it")
	}
	return err
}

// lastLook is how long the end of a cancelled reload is awaited: it only reads files then.
const lastLook = time.Second

// ShowLog gives the metrics the number of log lines that could not be written.
func (in *Instance) ShowLog(dropped func() uint64) { in.metrics.ShowLog(dropped) }

// PublicURL is where the public listener is, for people.
func (in *Instance) PublicURL() string { return in.public.url() }

// PrivateURL is where the private listener is, for people.
func (in *Instance) PrivateURL() string { return in.private.url() }

// Store is where the receiver stores.
func (in *Instance) Store() *publish.Store { return in.bus }

// Seal seals what is stored.
func (in *Instance) Seal(ctx context.Context) ([]audit.Checkpoint, error) {
	return in.sealing.Seal(ctx)
}

// NATSURL is where consumers connect to.
func (in *Instance) NATSURL() string {
	if in.server != nil {
		return in.server.URL()
	}
	return in.bus.URL()
}
