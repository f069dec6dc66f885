package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/service/logs"
)

func newAuditInit(a *app) *cobra.Command {
	var name, keyFile string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the key that signs the logs",
		Long: `init makes a new Ed25519 key and writes it to a file that only you can read. It prints the public
keys, one for each log, and the lines for the configuration. It never overwrites a file.

Give the public keys now, over a channel they trust, to everyone who will check evidence: an
attacker who controls the receiver later could hand out others. Keep a copy of the key: without
it, a restored receiver must begin new logs.`,
		Example: "  receiver audit init\n  receiver audit init --name eu-1 --key-file /etc/receiver/log.key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := "."
			// There may be no configuration yet, or one that asks for the key to be made.
			if path, err := config.Find(a.config); err == nil && path != "" {
				dir = filepath.Dir(path)
				if c, err := config.Load(config.Options{Path: path, Env: os.Environ(), Lazy: true}); err == nil && name == "" {
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
	cmd.Flags().StringVar(&name, "name", "", "name of this installation in its logs (default: audit.name)")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file for the key (default: log.key beside the configuration)")
	return cmd
}

func (a *app) auditInit(name, keyFile, dir string) error {
	if !validLogName(name) {
		return usagef("--name %q is not 1 to 32 of a-z 0-9 -", name)
	}
	key, err := logkey.Generate(name)
	if err != nil {
		return err
	}
	if err := key.Write(keyFile); err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"name": name, "key_file": keyFile, "verifier_keys": logs.VerifierKeys(name, key)})
	}
	a.say("The key is in %s. Give its public keys to everyone who will check evidence:\n", keyFile)
	for _, vkey := range logs.VerifierKeys(name, key) {
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
