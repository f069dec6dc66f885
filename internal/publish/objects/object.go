// Package objects reads and removes what stands in JetStream's object store, by the messages that
// an object consists of (NATS ADR-20).
package objects

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/reader"
)

// errChunks is returned for an object of which not all is there.
var errChunks = errors.New("chunks of the object are missing")

// Open opens a bucket, and makes it if it is missing.
func Open(ctx context.Context, js jetstream.JetStream, config jetstream.ObjectStoreConfig) (jetstream.ObjectStore, error) {
	store, err := js.ObjectStore(ctx, config.Bucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return store, err
	}
	store, err = js.CreateObjectStore(ctx, config)
	if errors.Is(err, jetstream.ErrBucketExists) {
		return js.ObjectStore(ctx, config.Bucket)
	}
	return store, err
}

// Delete is Remove for a bucket that is not open.
func Delete(ctx context.Context, js jetstream.JetStream, bucket, name string) error {
	store, err := js.ObjectStore(ctx, bucket)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, "OBJ_"+bucket)
	if err != nil {
		return err
	}
	return Remove(ctx, store, stream, bucket, name)
}

// Read reads an object by its sequences, as everything is read: the client library makes a
// consumer for that, which others who share the account could take away, and waits without end
// for chunks that are not there.
//
// NATS ADR-20.
func Read(ctx context.Context, js jetstream.JetStream, bucket, name string) ([]byte, error) {
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
	from := reader.From{Subjects: []string{ChunkSubject(bucket, info.NUID)}}
	err = reader.Scan(ctx, js, "OBJ_"+bucket, from, math.MaxUint64, func(m *jetstream.RawStreamMsg) error {
		if data = append(data, m.Data...); uint64(len(data)) > info.Size {
			return jetstream.ErrDigestMismatch
		}
		sum.Write(m.Data)
		return nil
	})
	switch {
	case errors.Is(err, reader.ErrStalled), err == nil && uint64(len(data)) < info.Size:
		return nil, errChunks
	case err != nil:
		return nil, err
	case jetstream.GetObjectDigestValue(sum) != info.Digest:
		return nil, jetstream.ErrDigestMismatch
	}
	return data, nil
}

// Lost reports whether an object is not there, or not as it was.
func Lost(err error) bool {
	for _, lost := range []error{
		jetstream.ErrBucketNotFound, jetstream.ErrObjectNotFound, jetstream.ErrBadObjectMeta, jetstream.ErrDigestMismatch, errChunks,
	} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// Remove removes an object from a bucket. Unlike the store's own way it leaves no marker
// behind, of which there would be more and more: no name is ever used again.
func Remove(ctx context.Context, store jetstream.ObjectStore, stream jetstream.Stream, bucket, name string) error {
	info, err := store.GetInfo(ctx, name)
	// In this order, so that a name never stands for chunks that are gone.
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(MetaSubject(bucket, name)))
	}
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(ChunkSubject(bucket, info.NUID)))
	}
	return err
}

// MetaSubject is the subject of what describes an object. NATS ADR-20.
func MetaSubject(bucket, name string) string {
	return "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

// MetaSubjects are the subjects of what describes all objects of a bucket.
func MetaSubjects(bucket string) string { return "$O." + bucket + ".M.>" }

// ChunkSubject is the subject of the chunks of an object.
func ChunkSubject(bucket, nuid string) string { return "$O." + bucket + ".C." + nuid }
