package storefolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/mod/semver"

	"receiver/internal/natsserver/blockfile"
)

// ErrUnknownFormat is returned for a store with a file that this program cannot tell from one of
// another format: a newer nats-server wrote it, or one with other settings. Nothing of it counts as
// damaged or lost, nothing is left out, and nothing was changed.
var ErrUnknownFormat = errors.New("the store has a format that this program cannot read")

// CheckFormat returns ErrUnknownFormat for a store with a file of another format. It reads the
// beginning of each file of messages.
func CheckFormat(folder string) error {
	streams, err := filepath.Glob(filepath.Join(folder, "jetstream", "*", "streams", "[^.]*"))
	if err != nil {
		return err
	}
	for _, path := range streams {
		if slices.Contains(unread, filepath.Base(path)) {
			continue
		}
		if err := checkStream(path); err != nil {
			return formatError(folder, err)
		}
	}
	return nil
}

func checkStream(path string) error {
	if _, err := os.Stat(filepath.Join(path, server.JetStreamMetaFileKey)); !errors.Is(err, fs.ErrNotExist) {
		// A server without this key does not open the stream.
		found := "an encrypted stream, whose key is in " + server.JetStreamMetaFileKey
		return errors.Join(err, &blockfile.UnknownFormatError{File: path, Found: found})
	}
	msgs := messagesIn(path)
	indexes, err := msgs.Indexes()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, index := range indexes {
		if err := msgs.CheckFormat(index); err != nil {
			return err
		}
	}
	return nil
}

// formatError is the error about a file of another format, or any other error while a store is
// checked.
func formatError(folder string, err error) error {
	var format *blockfile.UnknownFormatError
	if !errors.As(err, &format) {
		return fmt.Errorf("checking the store in %s: %w", folder, err)
	}
	by := "which version wrote it is not recorded"
	if wrote := noteOf(folder).Server; wrote != "" {
		by = "nats-server " + wrote + " wrote it"
	}
	return fmt.Errorf("%w: %w; this program has nats-server %s, and %s; nothing was changed: use the receiver that wrote the store, "+
		"or restore the folder from a backup", ErrUnknownFormat, format, server.VERSION, by)
}

// Doubt turns damage into an error about the format if a newer nats-server than this program's has
// written the store: what looks damaged may be sound for that version.
func Doubt(folder string, damage []string) error {
	if len(damage) == 0 || !newer(noteOf(folder).Server, server.VERSION) {
		return nil
	}
	return formatError(folder, &blockfile.UnknownFormatError{File: streamsFolder(folder), Found: damage[0]})
}

func newer(a, b string) bool { return semver.Compare("v"+a, "v"+b) > 0 }

// noteOf returns the newest note in a folder; an empty one if there is none.
func noteOf(folder string) storeNote {
	for _, file := range []string{runFile, stopFile} {
		if n, err := readNote(filepath.Join(folder, file)); err == nil && n != nil {
			return *n
		}
	}
	return storeNote{}
}

// newestServer is the newest nats-server that has written a store, which this program writes now.
func newestServer(folder string) string {
	if before := noteOf(folder).Server; newer(before, server.VERSION) {
		return before
	}
	return server.VERSION
}

// unpack returns the content of a block that nats-server compressed.
func unpack(file []byte) ([]byte, error) {
	var info server.CompressionInfo
	n, err := info.UnmarshalMetadata(file)
	if err != nil {
		return nil, err
	}
	return server.S2Compression.Decompress(file[n:])
}
