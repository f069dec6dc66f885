package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	pathpkg "path"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/trail"
	"receiver/internal/verify"
)

// newChecker makes what checks signatures again with the configured keys.
func newChecker(cfg *config.Config, body func(audit.Record) ([]byte, error)) (*trail.Checker, error) {
	verifiers := make(map[string]*verify.Verifier, len(cfg.Sources))
	for name, s := range cfg.Sources {
		v, err := verifier(s)
		if err != nil {
			return nil, err
		}
		verifiers[name] = v
	}
	return trail.NewChecker(verifiers, body), nil
}

// bodies reads bodies: those too large for a message from where they are, and encrypted
// ones decrypted.
func bodies(ctx context.Context, bus *publish.Bus) func(audit.Record) ([]byte, error) {
	return func(r audit.Record) ([]byte, error) {
		return unchecked(bus.Body(ctx, publish.Message{Header: r.Header, Data: r.Data}))
	}
}

// exportFolders opens an export folder, or all that are in a folder. What cannot be looked
// at is an error: it is not as if it were not there.
func exportFolders(path string) ([]*audit.Folder, error) {
	folder, err := audit.OpenFolder(path)
	if err == nil {
		return []*audit.Folder{folder}, nil
	}
	var all []*audit.Folder
	for _, stream := range sealedStreams {
		if _, err := os.Lstat(filepath.Join(path, stream)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		inner, err := audit.OpenFolder(filepath.Join(path, stream))
		if err != nil {
			return nil, err
		}
		all = append(all, inner)
	}
	if len(all) == 0 {
		return nil, err
	}
	return all, nil
}

// absentLogs returns the origins that an archive at path has no folder of, though it has
// one of another log of the same receiver, and the key is believed. A folder by itself,
// named as audit export does, was meant alone.
func absentLogs(path string, folders []*audit.Folder, keys audit.Keys) []string {
	if whole, err := filepath.Abs(path); err == nil && len(folders) == 1 && filepath.Base(whole) == filepath.Base(folders[0].Origin()) {
		return nil
	}
	receivers, there := map[string]bool{}, map[string]bool{}
	for _, f := range folders {
		receivers[pathpkg.Dir(f.Origin())], there[f.Origin()] = true, true
	}
	var absent []string
	for _, key := range keys.Log {
		if origin := key.Name(); receivers[pathpkg.Dir(origin)] && !there[origin] {
			there[origin] = true // said once, of however many keys
			absent = append(absent, origin)
		}
	}
	return absent
}

// counter shows how many are done on a terminal, and nothing elsewhere.
func (a *app) counter(what, unit string) *progressbar.ProgressBar {
	w := io.Discard
	if isTerminal(a.talk) {
		w = a.talk
	}
	return progressbar.NewOptions64(1, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionSetItsString(unit), progressbar.OptionShowIts(), progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}
