package config_test

import (
	"slices"
	"strings"
	"testing"

	"receiver/internal/config"
)

const (
	publicKey = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	secretKey = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"
)

func TestEncryptionIsRead(t *testing.T) {
	const text = "encryption:\n  recipients: [" + publicKey + "]\n  identity: env:IDENTITY\n"
	c := load(t, crm+text, "IDENTITY=# of a test\n"+secretKey+"\n")
	if got := c.Encryption; !slices.Equal(got.Recipients, []string{publicKey}) || !strings.Contains(got.Identity.Reveal(), secretKey) {
		t.Errorf("encryption = %+v, want the recipient and the identity", got)
	}
	shown := effective(t, c)
	if !strings.Contains(shown, "  recipients:\n    - "+publicKey+"\n  identity: sha256:") || strings.Contains(shown, secretKey) {
		t.Errorf("Effective() = %s, want the recipient, and the identity's fingerprint", shown)
	}
	env := load(t, crm, "RECEIVER_ENCRYPTION_RECIPIENTS="+publicKey+","+publicKey[:len(publicKey)-1]+"q")
	if got := env.Encryption.Recipients; len(got) != 2 || got[0] != publicKey {
		t.Errorf("from the environment: %q, want two recipients", got)
	}
}

func TestEncryptionFaults(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"no recipient", "encryption: {recipients: [alice]}\n", `config.yaml:1: encryption.recipients[0]: "alice" is not a recipient; allowed: a public key of age: age1…`},
		{"a secret key as recipient", "encryption: {recipients: [" + secretKey + "]}\n", "config.yaml:1: encryption.recipients[0]: is a secret key; use its public key"},
		{"one recipient twice", "encryption:\n  recipients:\n  - " + publicKey + "\n  - " + publicKey + "\n", "config.yaml:4: encryption.recipients[1]: is a duplicate"},
		{"a public key as identity", "encryption: {identity: " + publicKey + "}\n", "config.yaml:1: encryption.identity: the secret is not an age identity file; allowed: the content of"},
		{"another secret as identity", "encryption: {identity: hunter2}\n", "config.yaml:1: encryption.identity: the secret is not an age identity file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := complaints(t, row.text, nil)
			if len(got) != 1 || !strings.HasPrefix(got[0], row.want) || strings.Contains(got[0], secretKey) {
				t.Errorf("Load = %q, want the one fault %q", got, row.want)
			}
		})
	}
}

func TestFaultsOfCheckHaveTheirLine(t *testing.T) {
	path := write(t, "config.yaml", "log:\n  level: info\nencryption:\n  recipients: ["+publicKey+"]\n")
	_, err := config.Load(config.Options{Path: path, Check: func(c *config.Config) []config.Fault {
		return []config.Fault{{Path: "encryption.recipients[0]", Wrong: "is odd: " + c.Log.Level, Allowed: "another"}}
	}})
	if want := "config.yaml:4: encryption.recipients[0]: is odd: info; allowed: another"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("Load = %v, want %s", err, want)
	}
	if _, err := config.Load(config.Options{Path: path, Check: func(*config.Config) []config.Fault { return nil }}); err != nil {
		t.Errorf("Load with nothing found = %v, want nil", err)
	}
}
