package consumers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Lock prevents others from adding and removing consumers of a store until unlock is called, so
// that the answer of free stays true while one is added. It waits for others until ctx is done.
func Lock(ctx context.Context, folder string) (unlock func(), err error) {
	dir := Folder(folder)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("the store's consumers: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("locking the store's consumers: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}
