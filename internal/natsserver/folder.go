package natsserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// Running returns the server that another process runs on a folder, as its owner reaches it. It
// returns ErrNotRunning if there is none.
func Running(folder string) (conn.Endpoint, error) {
	url, err := storefolder.AddressOf(folder)
	if err != nil {
		return conn.Endpoint{}, err
	}
	owner, err := ownerOf(folder)
	if err != nil {
		return conn.Endpoint{}, err
	}
	key, err := signIn(owner)
	if err != nil {
		return conn.Endpoint{}, err
	}
	as, err := encrypted(url, owner)
	return conn.Endpoint{URL: url, Options: append(as, key)}, err
}

// ErrNoStore is returned by Inspect when nothing was ever stored in the folder.
var ErrNoStore = errors.New("the folder contains no streams")

// Inspect runs a server, without a port, on a private copy of the folder's streams, for reading. If
// the server opened the folder itself, it would expire and repair messages, and reading must not
// change evidence. Stop removes the copy. In it, events that are older than JOBS keeps them are
// missing. Damaged messages are left out of it; Server.Damage names them. Inspect returns ErrInUse
// if another process runs on the folder.
func Inspect(folder string, log zerolog.Logger) (_ *Server, err error) {
	source := filepath.Join(folder, "jetstream")
	if _, err := os.Stat(source); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrNoStore, folder)
	}
	release, err := storefolder.Share(folder)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := storefolder.CheckFormat(folder); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "receiver-inspect-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for a private copy: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	if err := storefolder.CopyTree(source, filepath.Join(temp, "jetstream")); err != nil {
		return nil, fmt.Errorf("copying the streams of %s: %w", folder, err)
	}
	damage, err := storefolder.RepairCopy(temp)
	if err == nil {
		err = storefolder.Doubt(folder, damage)
	}
	if err != nil {
		return nil, err
	}
	e := Embedded{Folder: temp, Log: log}
	owner, err := nkeys.CreateUser()
	if err != nil {
		return nil, fmt.Errorf("making a key for the copy: %w", err)
	}
	filter, err := newConnFilter(e, owner)
	if err != nil {
		return nil, err
	}
	opts, err := e.options(filter)
	if err != nil {
		return nil, err
	}
	ns, said, err := start(opts, filter, log)
	if err != nil {
		return nil, err
	}
	s := newServer(ns, said, e, owner, filter)
	s.copied, s.damage = temp, damage
	return s, nil
}

// Damage returns what was left out of the private copy that Inspect made because it is damaged: one
// line for each part. Records missing in the copy are missing in the streams.
func (s *Server) Damage() []string { return s.damage }
