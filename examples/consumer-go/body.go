package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"github.com/nats-io/nats.go/jetstream"
)

// identities reads an age identity file; no name means no identities.
func identities(file string) ([]age.Identity, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%s is no age identity file", file) // the cause may quote a secret
	}
	return keys, nil
}

// shown says what the body of an event is, if that is encrypted or was read from the object
// store; nothing of others. All that decides how to go on is in the headers, so an event that
// cannot be decrypted is no error: the callback payload and the platform's texts are what is
// missing.
func shown(msg jetstream.Msg, data []byte, keys []age.Identity) string {
	elsewhere := msg.Headers().Get("receiver-data-ref") != ""
	switch {
	case elsewhere && len(data) == 0:
		return " body=lost"
	case msg.Headers().Get("receiver-encryption") != "":
		return hidden(data, keys)
	case elsewhere:
		return fmt.Sprintf(" body=%d-bytes,from-the-object-store", len(data))
	}
	return ""
}

func hidden(data []byte, keys []age.Identity) string {
	if len(keys) == 0 {
		return " body=encrypted"
	}
	r, err := age.Decrypt(bytes.NewReader(data), keys...)
	if other := new(age.NoIdentityMatchError); errors.As(err, &other) {
		return " body=encrypted,to-others"
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(r)
	}
	if err != nil {
		return fmt.Sprintf(" body=encrypted (%q)", err.Error())
	}
	var told struct {
		Payload json.RawMessage `json:"callback-payload"`
	}
	// Some writers begin with a byte order mark. Other generations name the payload otherwise: it
	// is then empty.
	_ = json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &told)
	return fmt.Sprintf(" body=decrypted,%d-bytes payload=%q", len(body), string(told.Payload))
}
