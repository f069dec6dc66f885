package storefolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/durable"
)

// StreamsOf returns the streams that a server has, in the account of the owner.
func StreamsOf(ns *server.Server) map[string]server.StreamDetail {
	account, err := ns.JszAccount(&server.JSzOptions{Account: OwnerAccount, Streams: true, Config: true})
	if err != nil {
		return nil
	}
	all := make(map[string]server.StreamDetail, len(account.Streams))
	for _, d := range account.Streams {
		all[d.Name] = d
	}
	return all
}

// removeUnfinished removes the temporary files of a killed process, in the folder and beside the
// messages of its streams. A file that cannot be removed does no harm.
func removeUnfinished(folder string) {
	_ = durable.RemoveUnfinished(folder)
	names, _ := streamNames(folder)
	for _, name := range names {
		_ = durable.RemoveUnfinished(Messages(folder, name).Path)
	}
}

// SyncFiles calls fsync for every message block of a store that does not run. The server reads back
// what was written and never synced, because a write failed or the process was killed, and would
// answer a repeated callback with 200 for it.
func SyncFiles(folder string) error {
	err := filepath.WalkDir(filepath.Join(folder, "jetstream"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".blk" {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("calling fsync on the files of the store in %s: %w", folder, err)
	}
	return nil
}
