package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/trail"
	"receiver/internal/veil"
)

// veilOf returns what encrypts and decrypts bodies by the configuration.
func veilOf(cfg *config.Config) (*veil.Veil, error) {
	return veil.New(cfg.Encryption.Recipients, cfg.Encryption.Identity.Reveal())
}

// checkEncryption finds keys that are none, which takes more than their form.
func checkEncryption(cfg *config.Config) []config.Fault {
	var faults []config.Fault
	const allowed = "public keys of age, as `age-keygen` prints them"
	for i, r := range cfg.Encryption.Recipients {
		if _, err := veil.New([]string{r}, ""); err != nil {
			faults = append(faults, config.Fault{Path: fmt.Sprintf("encryption.recipients[%d]", i), Wrong: err.Error(), Allowed: allowed})
		}
	}
	if len(faults) == 0 {
		if _, err := veil.New(cfg.Encryption.Recipients, ""); err != nil {
			faults = append(faults, config.Fault{Path: "encryption.recipients", Wrong: err.Error(), Allowed: allowed + ", of one kind"})
		}
	}
	if _, err := veil.New(nil, cfg.Encryption.Identity.Reveal()); err != nil {
		faults = append(faults, config.Fault{Path: "encryption.identity", Wrong: err.Error()})
	}
	return faults
}

// encrypt has a bus encrypt what it stores, if there are recipients, and decrypt what it
// reads, if there is an identity. With keys that are none it stores nothing.
func encrypt(cfg *config.Config, o *publish.Options) {
	v, err := veilOf(cfg)
	if err != nil {
		fail := func([]byte) ([]byte, error) { return nil, err }
		o.Hide, o.Reveal = fail, fail
		return
	}
	o.Reveal = v.Reveal
	if v.Hides() {
		o.Hide = v.Hide
	}
}

// identityFlag lets a command read encrypted bodies with a key that the configuration does
// not hold.
func (a *app) identityFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.identity, "identity-file", "", "age identity file to decrypt bodies with, in place of encryption.identity")
}

// identityFrom reads an identity file.
func identityFrom(path string) (config.Secret, error) {
	secret, err := config.ReadSecretFile(path)
	if err != nil {
		return config.Secret{}, usagef("--identity-file: %w", err)
	}
	if _, err := veil.New(nil, secret.Reveal()); err != nil {
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

// unread adds what to do to an error for a body that is encrypted.
func unread(err error) error {
	switch {
	case errors.Is(err, veil.ErrNoIdentity):
		return fmt.Errorf("%w; give --identity-file, or set encryption.identity", err)
	case errors.Is(err, veil.ErrOtherIdentity):
		return fmt.Errorf("%w; give --identity-file with a key that was among encryption.recipients when it was stored", err)
	}
	return err
}

// unchecked tells a body that cannot be decrypted for want of the key from one that is
// damaged, which is a fault of the record.
func unchecked(body []byte, err error) ([]byte, error) {
	if errors.Is(err, veil.ErrNoIdentity) || errors.Is(err, veil.ErrOtherIdentity) {
		return nil, trail.ErrHidden
	}
	return body, err
}

// bodyOf is for records on their own, in archives and bundles, which hold no objects: of a
// body in the object store there is the digest only.
func bodyOf(v *veil.Veil) func(audit.Record) ([]byte, error) {
	return func(r audit.Record) ([]byte, error) {
		switch {
		case publish.Refers(r.Header):
			return nil, audit.ErrNotChecked
		case job.Encrypted(r.Header):
			return unchecked(v.Reveal(r.Data))
		}
		return r.Data, nil
	}
}
