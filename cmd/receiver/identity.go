package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/encryption"
)

// identityFlag lets a command read encrypted bodies with a key that the configuration does
// not hold.
func (a *app) identityFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.identity, "identity-file", "", "file with an age identity to decrypt bodies\n(default: encryption.identity)")
}

// identityFrom reads an identity file.
func identityFrom(path string) (config.Secret, error) {
	secret, err := config.ReadSecretFile(path)
	if err != nil {
		return config.Secret{}, usagef("--identity-file: %w", err)
	}
	if _, err := encryption.New(nil, secret.Reveal()); err != nil {
		return config.Secret{}, usagef("--identity-file: %s: %w", path, err)
	}
	return secret, nil
}

// useIdentity puts the file of --identity-file into the place of the configured identity.
func (a *app) useIdentity(cfg *config.Config) (err error) {
	if a.identity != "" {
		cfg.Encryption.Identity, err = identityFrom(a.identity)
	}
	return err
}
