package storefolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"receiver/internal/durable"
)

// movedFile says where the streams of a store were moved to.
const movedFile = "receiver.moved"

// ErrMoved is returned by Begin for a store that was moved to another server. Two receivers on two
// stores publish an event twice.
var ErrMoved = errors.New("the store was moved")

// MarkMoved has a store opened for reading only from now on.
func MarkMoved(folder, where string) error {
	if err := durable.WriteFile(filepath.Join(folder, movedFile), []byte(where+"\n")); err != nil {
		return fmt.Errorf("marking the store in %s as moved: %w", folder, err)
	}
	return nil
}

func checkMoved(folder string) error {
	path := filepath.Join(folder, movedFile)
	where, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading whether the store was moved: %w", err)
	}
	return fmt.Errorf("%w to %s: use the configuration with nats.mode external; to continue with the store in %s, "+
		"which does not have what happened since, remove %s", ErrMoved, strings.TrimSpace(string(where)), folder, path)
}
