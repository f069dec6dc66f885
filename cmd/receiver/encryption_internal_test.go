package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/trail"
	"receiver/internal/veil"
)

func newIdentity(t *testing.T) (public, secret string) {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return i.Recipient().String(), i.String()
}

// TestBodyOfARecordOnItsOwn holds which bodies are only unchecked, and which are a fault.
func TestBodyOfARecordOnItsOwn(t *testing.T) {
	public, secret := newIdentity(t)
	_, stranger := newIdentity(t)
	writer, err := veil.New([]string{public}, "")
	if err != nil {
		t.Fatal(err)
	}
	file, err := writer.Hide([]byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(file)
	damaged[len(damaged)-1] ^= 1
	encrypted := map[string][]string{"receiver-encryption": {"age"}}
	elsewhere := map[string][]string{"receiver-encryption": {"age"}, "receiver-data-ref": {"nats-object:PAYLOADS/x"}}
	for _, tt := range []struct {
		name     string
		identity string
		record   audit.Record
		want     string
		err      error // errFault: one that is a fault
	}{
		{"in clear", "", audit.Record{Data: []byte("body")}, "body", nil},
		{"decrypted", secret, audit.Record{Header: encrypted, Data: file}, "body", nil},
		{"without an identity", "", audit.Record{Header: encrypted, Data: file}, "", trail.ErrHidden},
		{"with another's", stranger, audit.Record{Header: encrypted, Data: file}, "", trail.ErrHidden},
		{"damaged", secret, audit.Record{Header: encrypted, Data: damaged}, "", errFault},
		{"not encrypted at all", secret, audit.Record{Header: encrypted, Data: []byte("body")}, "", errFault},
		{"in an object", secret, audit.Record{Header: elsewhere}, "", audit.ErrNotChecked},
	} {
		v, err := veil.New(nil, tt.identity)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bodyOf(v)(tt.record)
		ok := errors.Is(err, tt.err)
		if errors.Is(tt.err, errFault) {
			ok = err != nil && !errors.Is(err, audit.ErrNotChecked)
		}
		if !ok || string(got) != tt.want {
			t.Errorf("%s: body = %q, %v, want %q, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

var errFault = errors.New("a fault of the record")

// TestKeysThatAreNoneStoreNothing holds that no mistake leads to bodies in clear, even where
// a configuration was not checked.
func TestKeysThatAreNoneStoreNothing(t *testing.T) {
	cfg := config.Default()
	cfg.Encryption.Recipients = []string{"age1nobody"}
	var o publish.Options
	encrypt(&cfg, &o)
	if o.Hide == nil {
		t.Fatal("bodies would be stored in clear")
	}
	if data, err := o.Hide([]byte("body")); err == nil {
		t.Errorf("Hide = %q, want an error", data)
	}
	cfg.Encryption.Recipients = nil
	o = publish.Options{}
	if encrypt(&cfg, &o); o.Hide != nil {
		t.Error("Hide is there without recipients: the path is not as it was")
	}
}

func TestEncryptionFaultsHaveTheirPlace(t *testing.T) {
	public, secret := newIdentity(t)
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
		{"a wrong check sum", []string{public, strings.Replace(public, "age1", "age1q", 1)}, "", "encryption.recipients[1]", "is no recipient"},
		{"two kinds", []string{public, pq.Recipient().String()}, "", "encryption.recipients", "cannot be used together"},
		{"a spoilt identity", nil, secret[:len(secret)-2], "encryption.identity", "no age identity file"},
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
