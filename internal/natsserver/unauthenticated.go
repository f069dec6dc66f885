package natsserver

import (
	"errors"

	"github.com/nats-io/nats.go"

	"receiver/internal/publish/conn"
)

// AdmitsUnauthenticated reports whether the server that runs on a folder admits a client without
// credentials. It returns ErrNotRunning if none runs.
func AdmitsUnauthenticated(folder string) (bool, error) {
	at, err := Running(folder)
	if err != nil {
		return false, err
	}
	owner, err := ownerOf(folder)
	if err != nil {
		return false, err
	}
	opts, err := encrypted(at.URL, owner)
	if err != nil {
		return false, err
	}
	nc, err := nats.Connect(at.URL, append(opts, nats.Name("receiver doctor, without credentials"), nats.Timeout(conn.DialTimeout), nats.NoReconnect())...)
	if errors.Is(err, nats.ErrAuthorization) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	nc.Close()
	return true, nil
}
