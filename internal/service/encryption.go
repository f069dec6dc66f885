package service

import (
	"fmt"

	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/publish/conn"
)

// CipherOf returns what encrypts and decrypts bodies by the configuration.
func CipherOf(cfg *config.Config) (*encryption.Cipher, error) {
	return encryption.New(cfg.Encryption.Recipients, cfg.Encryption.Identity.Reveal())
}

// checkEncryption finds keys that are none, which takes more than their form.
func checkEncryption(cfg *config.Config) []config.Fault {
	var faults []config.Fault
	const allowed = "public keys of age, as printed by `age-keygen`"
	for i, r := range cfg.Encryption.Recipients {
		if _, err := encryption.New([]string{r}, ""); err != nil {
			faults = append(faults, config.Fault{Path: fmt.Sprintf("encryption.recipients[%d]", i), Wrong: err.Error(), Allowed: allowed})
		}
	}
	if len(faults) == 0 {
		if _, err := encryption.New(cfg.Encryption.Recipients, ""); err != nil {
			faults = append(faults, config.Fault{Path: "encryption.recipients", Wrong: err.Error(), Allowed: allowed + ", of one kind"})
		}
	}
	if _, err := encryption.New(nil, cfg.Encryption.Identity.Reveal()); err != nil {
		faults = append(faults, config.Fault{Path: "encryption.identity", Wrong: err.Error()})
	}
	return faults
}

// encrypt has a bus encrypt what it stores, if there are recipients, and decrypt what it
// reads, if there is an identity. With keys that are none it stores nothing.
func encrypt(cfg *config.Config, o *conn.Options) {
	v, err := CipherOf(cfg)
	if err != nil {
		fail := func([]byte) ([]byte, error) { return nil, err }
		o.Encrypt, o.Decrypt = fail, fail
		return
	}
	o.Decrypt = v.Decrypt
	if v.Encrypts() {
		o.Encrypt = v.Encrypt
	}
}

// ReadConfig reads a configuration, with an environment in the form of os.Environ, and checks all
// of it; before is what is in force, if the program runs.
func ReadConfig(path string, env []string, before *config.Config) (*config.Config, error) {
	return config.Load(config.Options{Path: path, Env: env, Check: checkEncryption, Before: before})
}
