package service

import (
	"strings"
	"testing"

	"filippo.io/age"

	"receiver/internal/config"
	"receiver/internal/publish/conn"
)

func agePair(t *testing.T) (public, secret string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return i.Recipient().String(), i.String()
}

// TestKeysThatAreNoneStoreNothing holds that no mistake leads to bodies in clear, even where
// a configuration was not checked.
func TestKeysThatAreNoneStoreNothing(t *testing.T) {
	cfg := config.Default()
	cfg.Encryption.Recipients = []string{"age1nobody"}
	var o conn.Options
	encrypt(&cfg, &o)
	if o.Encrypt == nil {
		t.Fatal("bodies would be stored in clear")
	}
	if data, err := o.Encrypt([]byte("body")); err == nil {
		t.Errorf("Hide = %q, want an error", data)
	}
	cfg.Encryption.Recipients = nil
	o = conn.Options{}
	if encrypt(&cfg, &o); o.Encrypt != nil {
		t.Error("Hide is there without recipients: the path is not as it was")
	}
}

func TestEncryptionFaultsHaveTheirPlace(t *testing.T) {
	public, secret := agePair(t)
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		recipients []string
		identity   string
		path, says string
	}{
		{"all right", []string{public}, secret, "", ""},
		{"a wrong check sum", []string{public, strings.Replace(public, "age1", "age1q", 1)}, "", "encryption.recipients[1]", "is not a recipient"},
		{"two kinds", []string{public, pq.Recipient().String()}, "", "encryption.recipients", "cannot be used together"},
		{"a spoilt identity", nil, secret[:len(secret)-2], "encryption.identity", "not an age identity file"},
	} {
		cfg := config.Default()
		cfg.Encryption = config.Encryption{Recipients: tt.recipients, Identity: config.NewSecret(tt.identity)}
		faults := checkEncryption(&cfg)
		switch {
		case tt.path == "" && len(faults) > 0:
			t.Errorf("%s: %v, want none", tt.name, faults)
		case tt.path != "" && (len(faults) != 1 || faults[0].Path != tt.path || !strings.Contains(faults[0].Wrong, tt.says)):
			t.Errorf("%s: %v, want one at %s that says %q", tt.name, faults, tt.path, tt.says)
		}
	}
}
