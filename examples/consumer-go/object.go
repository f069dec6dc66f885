package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// errLost is returned for a body that is no longer in the object store.
var errLost = errors.New("the body is not in the object store")

// bodyOf returns the data of an event, which is in the object store if it was too large for
// a message.
func bodyOf(ctx context.Context, js jetstream.JetStream, msg jetstream.Msg) ([]byte, error) {
	ref := msg.Headers().Get("receiver-data-ref")
	if ref == "" {
		return msg.Data(), nil
	}
	bucket, name, _ := strings.Cut(strings.TrimPrefix(ref, "nats-object:"), "/")
	data, err := object(ctx, js, bucket, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrMsgNotFound) {
		err = errLost
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	return data, nil
}

// object reads an object chunk by chunk. ObjectStore.Get would make a consumer for that,
// which the embedded server of the receiver does not allow: there, bodies are for reading only.
func object(ctx context.Context, js jetstream.JetStream, bucket, name string) ([]byte, error) {
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, err
	}
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return nil, err
	}
	data := make([]byte, 0, info.Size)
	for next := uint64(1); uint64(len(data)) < info.Size; {
		chunk, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject("$O."+bucket+".C."+info.NUID))
		if err != nil {
			return nil, err
		}
		data, next = append(data, chunk.Data...), chunk.Sequence+1
	}
	// The name is the digest and a random word.
	sum := sha256.Sum256(data)
	if digest, _, _ := strings.Cut(name, "."); digest != hex.EncodeToString(sum[:]) {
		return nil, errors.New("the bytes are not those that were stored")
	}
	return data, nil
}
