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

// hidden says what the body of an encrypted event tells; nothing of others. All that decides
// how to go on is in the headers, so an event that cannot be decrypted is no error: the
// callback payload and the platform's texts are what is missing.
func hidden(msg jetstream.Msg, keys []age.Identity) string {
	switch {
	case msg.Headers().Get("receiver-encryption") == "":
		return ""
	case len(keys) == 0:
		return " body=encrypted"
	case msg.Headers().Get("receiver-data-ref") != "":
		return " body=encrypted,in-the-object-store"
	}
	r, err := age.Decrypt(bytes.NewReader(msg.Data()), keys...)
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
	_ = json.Unmarshal(body, &told) // other generations name it otherwise: payload is then empty
	return fmt.Sprintf(" body=decrypted,%d-bytes payload=%q", len(body), string(told.Payload))
}
