package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is as much of a message as is looked at.
type message struct {
	jetstream.Msg
	header nats.Header
	data   []byte
}

// Headers implements jetstream.Msg, as does Data.
func (m message) Headers() nats.Header { return m.header }

// Data returns the payload.
func (m message) Data() []byte { return m.data }

func TestShownNamesTheStateOfTheBody(t *testing.T) {
	ours, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, ours.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(`{"id":"7","callback-payload":{"n":1}}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	encrypted := nats.Header{"receiver-encryption": {"age"}}
	stored := nats.Header{"receiver-encryption": {"age"}, "receiver-data-ref": {"nats-object:PAYLOADS/x"}}
	for _, tt := range []struct {
		name string
		msg  message
		keys []age.Identity
		want string
	}{
		{"in clear", message{data: []byte("{}")}, nil, ""},
		{"without a key", message{header: encrypted, data: file.Bytes()}, nil, " body=encrypted"},
		{"with another's", message{header: encrypted, data: file.Bytes()}, []age.Identity{other}, " body=encrypted,to-others"},
		{"with the key", message{header: encrypted, data: file.Bytes()}, []age.Identity{other, ours}, ` body=decrypted,37-bytes payload="{\"n\":1}"`},
		{"kept elsewhere", message{header: stored, data: file.Bytes()}, []age.Identity{ours}, ` body=decrypted,37-bytes payload="{\"n\":1}"`},
		{"lost", message{header: stored}, []age.Identity{ours}, " body=lost"},
		{"kept elsewhere in clear", message{header: nats.Header{"receiver-data-ref": {"x"}}, data: []byte("{}")}, nil, " body=2-bytes,from-the-object-store"},
	} {
		if got := shown(tt.msg, tt.msg.data, tt.keys); got != tt.want {
			t.Errorf("%s: shown = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestIdentitiesRepeatNoSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "identity.key")
	if err := os.WriteFile(file, []byte("AGE-SECRET-KEY-hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if keys, err := identities(file); err == nil || bytes.Contains([]byte(err.Error()), []byte("hunter2")) {
		t.Errorf("identities = %v, %v, want an error without the secret", keys, err)
	}
	if keys, err := identities(""); keys != nil || err != nil {
		t.Errorf("identities of no file = %v, %v, want none", keys, err)
	}
}
