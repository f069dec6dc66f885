package service

import (
	"fmt"
	"slices"
	"strings"

	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/publish/conn"
)

// CipherOf returns what encrypts and decrypts bodies by the configuration.
func CipherOf(cfg *config.Config) (*encryption.Cipher, error) {
	if err := config.Usable(cfg.Encryption.Identity); err != nil {
		return nil, err
	}
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
// reads, if there is an identity. With keys that are none it stores nothing, and with an identity
// that is none it reads nothing encrypted.
func encrypt(cfg *config.Config, o *conn.Options) {
	fail := func(err error) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return nil, err }
	}
	if v, err := CipherOf(cfg); err != nil {
		o.Decrypt = fail(err)
	} else {
		o.Decrypt = v.Decrypt
	}
	if v, err := encryption.New(cfg.Encryption.Recipients, ""); err != nil {
		o.Encrypt = fail(err)
	} else if v.Encrypts() {
		o.Encrypt = v.Encrypt
	}
}

// ReadConfig reads a configuration, with an environment in the form of os.Environ, and checks all
// of it; before is what is in force, if the program runs.
func ReadConfig(path string, env []string, before *config.Config) (*config.Config, error) {
	return config.Load(config.Options{Path: path, Env: env, Check: checkEncryption, Before: before})
}

// ReadConfigLazily reads a configuration for a command that uses some of it: a secret that cannot
// be read is an error of what uses it.
func ReadConfigLazily(path string, env []string) (*config.Config, error) {
	return config.Load(config.Options{Path: path, Env: env, Check: checkEncryption, Lazy: true})
}

// LogNames returns the names of the logs: those that are given, otherwise as configured. A
// configuration asks for the key that is to be made, so its secrets need not be there.
func LogNames(path string, env []string, name, origin string) (config.Audit, error) {
	if len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return config.Audit{}, config.UseErrorf("--name %q is not 1 to 32 of a-z 0-9 -", name)
	}
	if name != "" && origin != "" {
		path = ""
	}
	for variable, value := range map[string]string{"RECEIVER_AUDIT_NAME": name, "RECEIVER_AUDIT_ORIGIN": origin} {
		if value != "" {
			env = append(slices.Clip(env), variable+"="+value)
		}
	}
	c, err := ReadConfigLazily(path, env)
	if err != nil {
		return config.Audit{}, config.UseErrorf("the names of the logs are not known, because the configuration has errors; mend them, or give --name and --origin:\n%w", err)
	}
	return c.Audit, nil
}
