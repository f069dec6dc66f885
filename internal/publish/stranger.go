package publish

import (
	"errors"

	"github.com/nats-io/nats.go"
)

// AdmitsStrangers reports whether the server that runs on a folder lets in a client without
// credentials. It returns ErrNotRunning if none runs.
func AdmitsStrangers(folder string) (bool, error) {
	url, _, err := running(folder)
	if err != nil {
		return false, err
	}
	owner, err := ownerOf(folder)
	if err != nil {
		return false, err
	}
	opts, err := encrypted(url, owner)
	if err != nil {
		return false, err
	}
	nc, err := nats.Connect(url, append(opts, nats.Name("receiver doctor, without credentials"), nats.Timeout(dialPatience), nats.NoReconnect())...)
	if errors.Is(err, nats.ErrAuthorization) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	nc.Close()
	return true, nil
}
