package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

func newAuditInit(a *app) *cobra.Command {
	var name, origin, keyFile string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the key that signs the logs",
		Long: `init makes a new Ed25519 key and writes it to a file that only you can read. It prints the public
keys, one for each log with its configured name, and the lines for the configuration. It never
overwrites a file.

Give the public keys now, over a channel they trust, to everyone who will check evidence: an
attacker who controls the receiver later could hand out others. Keep a copy of the key: without
it, the logs continue with another key, and it cannot be shown who changed it.`,
		Example: "  receiver audit init\n  receiver audit init --name eu-1 --key-file /etc/receiver/log.key",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, err := config.Find(a.config)
			if err != nil && (a.config != "" || !errors.Is(err, fs.ErrNotExist)) { // there may be none yet
				return usagef("%w", err)
			}
			c, err := service.LogNames(path, os.Environ(), name, origin)
			if err != nil {
				return err
			}
			dir := filepath.Dir(path) // of none, the working directory
			if keyFile == "" {
				keyFile = filepath.Join(dir, "log.key")
			}
			return a.auditInit(c, keyFile, dir)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of this installation in its logs (default: audit.name)")
	cmd.Flags().StringVar(&origin, "origin", "", "`domain` that the origins of its logs begin with (default: audit.origin)")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file for the key (default: log.key beside the configuration)")
	return cmd
}

func (a *app) auditInit(c config.Audit, keyFile, dir string) error {
	key, err := logkey.Generate(c.Name)
	if err != nil {
		return err
	}
	if err := key.Write(keyFile); err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"name": c.Name, "origin": c.Origin, "key_file": keyFile, "verifier_keys": logs.VerifierKeys(c, key)})
	}
	a.say("The key is in %s. Give its public keys to everyone who will check evidence:\n", keyFile)
	for _, vkey := range logs.VerifierKeys(c, key) {
		if _, err := fmt.Fprintln(a.out, vkey); err != nil {
			return err
		}
	}
	names := "name: " + c.Name
	if c.Origin != config.Default().Audit.Origin {
		names += "\n  origin: " + c.Origin
	}
	a.say("\nAdd to the configuration, and restart the receiver:\n\naudit:\n  %s\n  key: file:%s", names, config.Relative(dir, keyFile))
	return nil
}
