package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"

	"github.com/nats-io/nats.go/jetstream"
)

// errChunks is returned for an object of which not all is there.
var errChunks = errors.New("chunks of the object are missing")

// readObject reads an object by its sequences, as everything is read: the client library makes a
// consumer for that, which others who share the account could take away, and waits without end
// for chunks that are not there.
//
// NATS ADR-20.
func readObject(ctx context.Context, js jetstream.JetStream, bucket, name string) ([]byte, error) {
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, err
	}
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	var data []byte
	sum := sha256.New()
	from := readFrom{subjects: []string{"$O." + bucket + ".C." + info.NUID}}
	err = scan(ctx, js, "OBJ_"+bucket, from, math.MaxUint64, func(m Message) error {
		if data = append(data, m.Data...); uint64(len(data)) > info.Size {
			return jetstream.ErrDigestMismatch
		}
		sum.Write(m.Data)
		return nil
	})
	switch {
	case errors.Is(err, ErrStalled), err == nil && uint64(len(data)) < info.Size:
		return nil, errChunks
	case err != nil:
		return nil, err
	case jetstream.GetObjectDigestValue(sum) != info.Digest:
		return nil, jetstream.ErrDigestMismatch
	}
	return data, nil
}
