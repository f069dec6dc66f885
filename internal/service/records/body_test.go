package records_test

import (
	"bytes"
	"errors"
	"testing"

	"filippo.io/age"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/encryption"
	"receiver/internal/service/records"
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
	writer, err := encryption.New([]string{public}, "")
	if err != nil {
		t.Fatal(err)
	}
	file, err := writer.Encrypt([]byte("body"))
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
		{"without an identity", "", audit.Record{Header: encrypted, Data: file}, "", auditlog.ErrEncrypted},
		{"with another's", stranger, audit.Record{Header: encrypted, Data: file}, "", auditlog.ErrEncrypted},
		{"damaged", secret, audit.Record{Header: encrypted, Data: damaged}, "", errFault},
		{"not encrypted at all", secret, audit.Record{Header: encrypted, Data: []byte("body")}, "", errFault},
		{"in an object", secret, audit.Record{Header: elsewhere}, "", audit.ErrNotChecked},
	} {
		v, err := encryption.New(nil, tt.identity)
		if err != nil {
			t.Fatal(err)
		}
		got, err := records.BodyAlone(v, nil, audit.ErrNotChecked)(tt.record)
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
