package natsserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// EmbeddedVersion is the version of the NATS server that this program can run.
const EmbeddedVersion = server.VERSION

// FolderConfigs returns a function that reads the configuration of a stream in the folder of a
// server that does not run. It starts no server and changes nothing. The error is ErrNoStore if
// there is no stream at all, and conn.ErrMissing if this one is missing.
func FolderConfigs(folder string) func(stream string) (jetstream.StreamConfig, error) {
	streams := filepath.Join(folder, "jetstream", storefolder.OwnerAccount, "streams")
	return func(stream string) (config jetstream.StreamConfig, err error) {
		if _, err := os.Stat(streams); errors.Is(err, fs.ErrNotExist) {
			return config, fmt.Errorf("%w: %s", ErrNoStore, folder)
		}
		text, err := os.ReadFile(filepath.Join(streams, stream, server.JetStreamMetaFile))
		if errors.Is(err, fs.ErrNotExist) {
			return config, fmt.Errorf("%w: %s", conn.ErrMissing, stream)
		}
		if err != nil {
			return config, fmt.Errorf("reading the configuration of stream %s: %w", stream, err)
		}
		if err := json.Unmarshal(text, &config); err != nil { // the server keeps its own form of the same JSON
			return config, fmt.Errorf("the configuration of stream %s in %s is damaged: %w", stream, folder, err)
		}
		return config, nil
	}
}
