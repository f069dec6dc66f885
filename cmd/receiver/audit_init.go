package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
)

func newAuditInit(a *app) *cobra.Command {
	var name, keyFile string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the key that the logs are signed with",
		Long: `init makes a new Ed25519 key and writes it into a file that only you can read. It prints
the public keys, one for each log, and the lines for the configuration. Give the public
keys to those who will check evidence, by a way that they trust, now: whoever controls
the receiver later could show them others.

It never overwrites a file. Keep a copy of the key: without it, a restored receiver must
begin new logs.`,
		Example: "  receiver audit init\n  receiver audit init --name eu-1 --key-file /etc/receiver/log.key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := "."
			// There may be no configuration yet, or one that asks for the key to be made.
			if path, err := config.Find(a.config); err == nil && path != "" {
				dir = filepath.Dir(path)
				if c, err := config.Load(config.Options{Path: path, Env: os.Environ()}); err == nil && name == "" {
					name = c.Audit.Name
				}
			}
			if name == "" {
				name = config.Default().Audit.Name
			}
			if keyFile == "" {
				keyFile = filepath.Join(dir, "log.key")
			}
			return a.auditInit(name, keyFile, dir)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of this installation in its logs (default audit.name of the configuration)")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file to write the key to (default log.key beside the configuration)")
	return cmd
}

func (a *app) auditInit(name, keyFile, dir string) error {
	if !validLogName(name) {
		return usagef("--name %q is not 1 to 32 of a-z 0-9 -", name)
	}
	key, err := audit.GenerateKey(name)
	if err != nil {
		return err
	}
	if err := writeNew(keyFile, key.Secret()+"\n"); err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"name": name, "key_file": keyFile, "verifier_keys": verifierKeys(name, key)})
	}
	a.say("The key is in %s. These public keys belong to it; give them to who will check evidence:\n", keyFile)
	for _, vkey := range verifierKeys(name, key) {
		if _, err := fmt.Fprintln(a.out, vkey); err != nil {
			return err
		}
	}
	a.say("\nAdd to the configuration, and restart the receiver:\n\naudit:\n  name: %s\n  key: file:%s", name, relative(dir, keyFile))
	return nil
}

func validLogName(name string) bool {
	return len(name) >= 1 && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// writeNew writes a file for its owner's eyes, and never over another.
func writeNew(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and a key is never overwritten: what it signed could not be continued", path)
	}
	if err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// relative is a path as the configuration in dir would name it.
func relative(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// verifierKeys are the public keys of all logs of an installation.
func verifierKeys(name string, key audit.Key) []string {
	keys := make([]string, 0, len(sealedStreams))
	for _, stream := range sealedStreams {
		keys = append(keys, key.VerifierKey(audit.Origin(name, stream)))
	}
	return keys
}
