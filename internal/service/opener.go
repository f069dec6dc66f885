package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/schema"
	"receiver/internal/service/logs"
)

// Opener opens the streams of a receiver for a command: through the server that runs, otherwise
// through one of its own.
type Opener struct {
	Config *config.Config
	Log    zerolog.Logger
	// Say prints for the user what is opened.
	Say func(format string, args ...any)
}

// Reading is an open store for a command that only reads.
type Reading struct {
	Store *publish.Store
	// Live is true if others may write to it.
	Live bool
	// Damage is what is left out of a private copy because it cannot be read.
	Damage []string
}

// Read opens the streams for a command that only reads. If no server runs, it opens a private
// copy of the folder, so that reading changes nothing.
func (o Opener) Read(ctx context.Context) (*publish.Store, func(), error) {
	r, done, err := o.open(ctx, o.reading())
	for _, place := range r.Damage {
		o.Say("left out because it is damaged: %s", place)
	}
	return r.Store, done, err
}

// Reading is Read for a command that judges what cannot be read, and which streams are missing; it
// has the damage also with an error.
func (o Opener) Reading(ctx context.Context) (Reading, func(), error) {
	options := o.reading()
	options.Incomplete = true
	return o.open(ctx, options)
}

func (o Opener) open(ctx context.Context, options conn.Options) (Reading, func(), error) {
	store, done, err := o.attach(ctx, options)
	if !errors.Is(err, storefolder.ErrNotRunning) {
		return Reading{Store: store, Live: true}, done, err
	}
	server, err := o.inspect()
	if err != nil {
		return Reading{}, nil, err
	}
	store, err = publish.Open(ctx, server, options)
	store, done, err = withClose(store, server, err)
	return Reading{Store: store, Damage: server.Damage()}, done, err
}

// Attach opens the streams for reading through the server that runs, or the cluster. It opens no
// folder, so that a command that waits delays no receiver. Its error is storefolder.ErrNotRunning
// if no server runs.
func (o Opener) Attach(ctx context.Context) (*publish.Store, func(), error) {
	return o.attach(ctx, o.reading())
}

// Write opens the streams for a command that adds to them. If no server runs, it starts one on
// the folder until the command closes it, and seals what was added.
func (o Opener) Write(ctx context.Context) (*publish.Store, func(), error) {
	store, done, err := o.attach(ctx, storeOptions(o.Config, o.Log))
	if !errors.Is(err, storefolder.ErrNotRunning) {
		return store, done, err
	}
	if err := config.Usable(o.Config.Audit.Key); err != nil {
		return nil, nil, err
	}
	o.Say("no receiver runs on %s: opening its streams for this command; callbacks need `receiver serve`", o.folder())
	server, store, err := openStore(ctx, o.Config, o.Log, o.alone())
	store, done, err = withClose(store, server, err)
	if err != nil || o.Config.Audit.Key.Empty() {
		return store, done, err
	}
	return store, func() {
		defer done()
		if _, err := logs.Seal(context.Background(), o.Config, store, o.Log); err != nil {
			o.Say("the new records are not sealed: %v; seal them with `receiver audit seal` or `receiver serve`", err)
		}
	}, nil
}

// Publish opens the streams for the moment of publishing an event. An error to open them may be
// over soon, when another process has the folder, and is conn.ErrUnavailable.
func (o Opener) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	store, done, err := o.Write(ctx)
	if err != nil {
		return job.Stored{}, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	defer done()
	return store.Publish(ctx, e)
}

// Finished waits for the finished event of a job; false means that there is no store to wait at.
func (o Opener) Finished(ctx context.Context, source, id string) (e job.Stored, ok bool) {
	store, done, err := o.Attach(ctx)
	if err != nil {
		return e, false
	}
	defer done()
	for e, err := range store.Follow(ctx, job.Subject(source, id, job.Finished)) {
		return e, err == nil
	}
	return e, false
}

// Survey connects to the streams as they are, for a command that compares them with the
// configuration; with change, for one that also changes them.
func (o Opener) Survey(ctx context.Context, change bool) (*schema.Survey, func(), error) {
	options := storeOptions(o.Config, o.Log)
	if o.Config.NATS.Mode == config.ModeExternal {
		survey, err := schema.SurveyCluster(ctx, external(o.Config), options)
		if err != nil {
			return nil, nil, err
		}
		return survey, survey.Close, nil
	}
	stop := func() {}
	at, err := natsserver.Running(o.folder())
	if errors.Is(err, storefolder.ErrNotRunning) {
		alone := o.inspect
		if change {
			alone = o.own
		}
		var server *natsserver.Server
		server, err = alone()
		if err != nil {
			return nil, nil, err
		}
		stop = server.Stop
		at, err = server.Endpoint()
	}
	var survey *schema.Survey
	if err == nil {
		survey, err = schema.SurveyEndpoint(ctx, at, options)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return survey, func() { survey.Close(); stop() }, nil
}

// Move copies the embedded store to the cluster of another configuration while no server runs on
// its folder, and marks the folder as moved. It records the action, and seals what is stored,
// before it begins. Its error may be storefolder.ErrInUse, storefolder.ErrMoved or schema.ErrMove.
// It returns the streams that it leaves behind, since they are not the program's.
func (o Opener) Move(ctx context.Context, to *config.Config, action job.Action, done func(step string)) (others []string, err error) {
	if err := config.Usable(o.Config.Audit.Key); err != nil {
		return nil, err
	}
	there, err := schema.SurveyCluster(ctx, external(to), storeOptions(to, o.Log))
	if err != nil {
		return nil, err
	}
	defer there.Close()
	e := embedded(o.Config, o.Log)
	e.Address = "" // nobody else adds anything
	server, store, err := openStore(ctx, o.Config, o.Log, e)
	store, closeStore, err := withClose(store, server, err)
	if err != nil {
		return nil, err
	}
	defer closeStore()
	if _, err := there.Stream(ctx, conn.JobsStream); errors.Is(err, conn.ErrMissing) { // not begun
		if err := RecordAction(ctx, store, action, map[string]any{"moved_to": to.NATS.URLs}); err != nil {
			return nil, err
		}
		if !o.Config.Audit.Key.Empty() {
			if _, err := logs.Seal(ctx, o.Config, store, o.Log); err != nil {
				return nil, err
			}
		}
	}
	at, err := server.Endpoint()
	if err != nil {
		return nil, err
	}
	here, err := schema.SurveyEndpoint(ctx, at, storeOptions(o.Config, o.Log))
	if err != nil {
		return nil, err
	}
	defer here.Close()
	if others, err = here.Move(ctx, there, done); err != nil {
		return nil, err
	}
	return others, storefolder.MarkMoved(o.folder(), strings.Join(to.NATS.URLs, ", "))
}

// MendCluster accepts what the streams of a cluster have lost; its error is storefolder.ErrLost if
// accept is false.
func (o Opener) MendCluster(ctx context.Context, accept bool, action job.Action) (done storefolder.Mended, err error) {
	store, closeStore, err := o.Write(ctx)
	if err != nil {
		return done, err
	}
	defer closeStore()
	losses, err := logs.FindLosses(ctx, o.Config, store)
	if err != nil || len(losses.Lines) == 0 {
		return done, err
	}
	if !accept {
		return done, losses.Err()
	}
	done.Lost = losses.Lines
	return done, losses.Accept(ctx, store, action)
}

// Mend repairs the folder of a store that no server starts on.
func (o Opener) Mend(accept bool, action job.Action) (storefolder.Mended, error) {
	if err := config.Usable(o.Config.Audit.Key); err != nil {
		return storefolder.Mended{}, err
	}
	return storefolder.Mend(embedded(o.Config, o.Log).Store(), accept, action)
}

func (o Opener) folder() string { return o.Config.Abs(o.Config.NATS.Embedded.Folder) }

func (o Opener) reading() conn.Options {
	options := storeOptions(o.Config, o.Log)
	options.ReadOnly = true
	return options
}

func (o Opener) attach(ctx context.Context, options conn.Options) (*publish.Store, func(), error) {
	if o.Config.NATS.Mode == config.ModeExternal {
		store, err := publish.Dial(ctx, external(o.Config), options)
		return withClose(store, nil, err)
	}
	store, err := publish.Attach(ctx, o.folder(), options)
	return withClose(store, nil, err)
}

// inspect starts a server on a copy of the folder.
func (o Opener) inspect() (*natsserver.Server, error) {
	server, err := natsserver.Inspect(o.folder(), o.Log)
	if err != nil {
		return nil, noStore(err)
	}
	o.Say("no receiver runs on %s: reading a private copy of its streams", o.folder())
	return server, nil
}

// own starts a server on the folder itself, if there is anything in it to change.
func (o Opener) own() (*natsserver.Server, error) {
	if err := config.Usable(o.Config.Audit.Key); err != nil {
		return nil, err // what was sealed tells a store that was rolled back
	}
	if _, err := schema.ConfigFacts(storeOptions(o.Config, o.Log).Streams, natsserver.FolderConfigs(o.folder())); err != nil {
		return nil, noStore(err)
	}
	o.Say("no receiver runs on %s: opening its streams for this command", o.folder())
	return natsserver.Start(o.alone())
}

// alone is how to start the embedded server for one command. That works without the port, so it
// does not fail where another program has it.
func (o Opener) alone() natsserver.Embedded {
	e := embedded(o.Config, o.Log)
	if ln, err := net.Listen("tcp", e.Address); err != nil || ln.Close() != nil {
		e.Address = ""
	}
	return e
}

func noStore(err error) error {
	if errors.Is(err, natsserver.ErrNoStore) {
		return fmt.Errorf("%w; make them with `receiver serve` or `receiver submit`", err)
	}
	return err
}

// withClose pairs a store with what closes it and the server under it.
func withClose(store *publish.Store, server *natsserver.Server, err error) (*publish.Store, func(), error) {
	stop := func() {
		if server != nil {
			server.Stop()
		}
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return store, func() {
		// Everything that this command wrote is acknowledged by now.
		_ = store.Close(context.Background())
		stop()
	}, nil
}
