package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
)

// OpenStore starts the embedded server and opens the streams.
func OpenStore(ctx context.Context, cfg *config.Config, log zerolog.Logger) (*natsserver.Server, *publish.Store, error) {
	return openStore(ctx, cfg, log, embedded(cfg, log))
}

func openStore(ctx context.Context, cfg *config.Config, log zerolog.Logger, e natsserver.Embedded) (*natsserver.Server, *publish.Store, error) {
	e.Waiting, e.FolderTimeout = ctx, folderTimeout
	server, err := natsserver.Start(e)
	if err != nil {
		return nil, nil, portTaken(e.Address, err)
	}
	bus, err := publish.Open(ctx, server, storeOptions(cfg, log))
	if err == nil {
		err = recordAccepted(ctx, server, bus)
	}
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	return server, bus, nil
}

// folderTimeout is how long the folder of the embedded store is waited for that a command
// holds: it only writes down what it did.
const folderTimeout = 30 * time.Second

// portTaken explains why the embedded server did not start if that is its port.
func portTaken(address string, err error) error {
	if address == "" || errors.Is(err, storefolder.ErrInUse) || errors.Is(err, storefolder.ErrLost) {
		return err
	}
	ln, taken := net.Listen("tcp", address)
	if taken == nil {
		return errors.Join(err, ln.Close())
	}
	return fmt.Errorf("opening the NATS listener: %w; change nats.embedded.address, or stop the program that uses it", taken)
}

// embedded is how to start the embedded server.
func embedded(cfg *config.Config, log zerolog.Logger) natsserver.Embedded {
	return natsserver.Embedded{
		Folder: cfg.Abs(cfg.NATS.Embedded.Folder), Address: cfg.NATS.Embedded.Address, TLS: portTLS(cfg),
		SyncAlways: cfg.NATS.Sync == config.SyncAlways, MaxBody: int(cfg.Limits.Body), MaxConnections: connectionsOf(cfg).nats, Edge: leafNode(cfg), Log: log,
		IdentityFile: cfg.Abs(cfg.Audit.CheckpointFile) + ".store", Sealed: logs.Sealed(cfg),
	}
}

// portTLS is how the embedded server's port is encrypted; nil where it is not.
func portTLS(cfg *config.Config) *natsserver.PortTLS {
	t := cfg.NATS.Embedded.TLS
	if !t.On() {
		return nil
	}
	return &natsserver.PortTLS{
		CertFile: cfg.Abs(t.CertFile), KeyFile: cfg.Abs(t.KeyFile), CAFile: cfg.Abs(t.CAFile), TLS12: t.MinVersion == "1.2",
	}
}

// external is how to connect to the cluster.
func external(cfg *config.Config) conn.External {
	return logs.Client(cfg, cfg.NATS.URLs, cfg.NATS.CredentialsFile, cfg.NATS.TLS)
}

// storeOptions are what the streams are opened with.
func storeOptions(cfg *config.Config, log zerolog.Logger) conn.Options {
	o := conn.Options{
		Domain: localDomain(cfg), Streams: localStreams(cfg),
		MaxWaiting: cfg.Limits.Waiting, AttemptQueue: cfg.Limits.AttemptQueue, AttemptRate: cfg.Limits.AttemptRate, Timeout: cfg.Limits.PublishTimeout, Log: log,
		// Without an fsync for each message there is none to save, and a batch has its own.
		OneByOne: cfg.NATS.Embeds() && cfg.NATS.Sync == config.SyncInterval,
	}
	encrypt(cfg, &o)
	return o
}

// recordAccepted records the operator's word that the store was started on, if there is one.
func recordAccepted(ctx context.Context, server *natsserver.Server, bus *publish.Store) error {
	action, ok := server.Accepted()
	if !ok {
		return nil
	}
	if _, err := bus.Act(ctx, action); err != nil {
		return err
	}
	return server.Recorded()
}
