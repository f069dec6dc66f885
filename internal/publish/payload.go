package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// dataRef is the header that stands for a body kept in the object store: the bucket
// and the object's name.
const dataRef = "receiver-data-ref"

const dataRefPrefix = "nats-object:" + PayloadBucket + "/"

// headerRoom is what a message's headers and protocol line may need beside its body.
const headerRoom = 64 << 10

// envelope is what JetStream and the protocol put around headers and body at most.
const envelope = 1 << 10

// fits reports whether the stream and the server take a message of this size.
func (b *Bus) fits(s jetstream.Stream, msg *message) bool {
	size := int64(len(msg.header) + len(msg.data) + envelope)
	limit := b.nc.MaxPayload()
	if b.opts.maxMessage > 0 {
		limit = min(limit, b.opts.maxMessage)
	}
	if most := int64(s.CachedInfo().Config.MaxMsgSize); most > 0 {
		limit = min(limit, most)
	}
	return size <= limit
}

// setAside puts the body of an event that is too large for a message into the object
// store, and a reference in its place. It returns the object's name.
//
// Each object is written once, under a name of its own, and referred to by one event:
// the object store cannot replace one without a moment in which a failure loses both.
func (b *Bus) setAside(ctx context.Context, msg *message) (object string, err error) {
	object = job.BodySHA256(msg.data) + "." + rand.Text()
	if err := b.putPayload(ctx, object, msg.data); err != nil {
		return "", err
	}
	msg.header = msg.header.Set(dataRef, dataRefPrefix+object)
	msg.data = nil
	return object, nil
}

func (b *Bus) putPayload(ctx context.Context, name string, data []byte) error {
	store, err := b.payloads(ctx)
	if err == nil {
		chunk := min(128<<10, uint32(b.nc.MaxPayload()/2))
		meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}
		_, err = store.Put(ctx, meta, bytes.NewReader(data))
	}
	if err != nil {
		return fmt.Errorf("%w: storing a body of %d bytes in bucket %s: %v", ErrUnavailable, len(data), PayloadBucket, err)
	}
	return nil
}

// payloadAge is how long objects are kept: a day longer than JOBS keeps the events that
// refer to them; 0 is for ever.
func payloadAge(jobs time.Duration) time.Duration {
	if jobs == 0 {
		return 0
	}
	return jobs + 24*time.Hour
}

// payloads opens the bucket, creating it when it is first needed.
func (b *Bus) payloads(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := b.js.ObjectStore(ctx, PayloadBucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return store, err
	}
	cfg := jetstream.ObjectStoreConfig{
		Bucket: PayloadBucket, Replicas: max(b.opts.Streams.Replicas, 1),
		Description: "bodies larger than a message, named by their SHA-256",
	}
	cfg.TTL = payloadAge(b.jobs.CachedInfo().Config.MaxAge)
	store, err = b.js.CreateObjectStore(ctx, cfg)
	if errors.Is(err, jetstream.ErrBucketExists) {
		return b.js.ObjectStore(ctx, PayloadBucket)
	}
	return store, err
}

// removeSpare removes an object that was put there for an event that existed. What
// exists may be our own, by a write whose answer was lost, so the event is asked first.
// One that stays goes with the bucket's age.
func (b *Bus) removeSpare(ctx context.Context, object string, existing uint64) {
	raw, err := b.jobs.GetMsg(ctx, existing)
	if err == nil && raw.Header.Get(dataRef) == dataRefPrefix+object {
		return
	}
	if err == nil {
		err = b.removePayload(ctx, object)
	}
	if err != nil {
		b.opts.Log.Warn().Err(err).Str("object", object).Msg("spare body not removed")
	}
}

// removePayload removes an object, and leaves no marker behind.
func (b *Bus) removePayload(ctx context.Context, name string) error {
	store, err := b.js.ObjectStore(ctx, PayloadBucket)
	if err != nil {
		return err
	}
	stream, err := b.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return err
	}
	return removeObject(ctx, store, stream, PayloadBucket, name)
}

// removeObject removes an object from a bucket. Unlike the store's own way it leaves no marker
// behind, of which there would be more and more: no name is ever used again.
func removeObject(ctx context.Context, store jetstream.ObjectStore, stream jetstream.Stream, bucket, name string) error {
	info, err := store.GetInfo(ctx, name)
	// In this order, so that a name never stands for chunks that are gone.
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(metaSubject(bucket, name)))
	}
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(chunkSubject(bucket, info.NUID)))
	}
	return err
}

// The subjects of an object: its description and its chunks. NATS ADR-20.
func metaSubject(bucket, name string) string {
	return "$O." + bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}

func chunkSubject(bucket, nuid string) string { return "$O." + bucket + ".C." + nuid }

// payload returns the body that a message stands for.
func (b *Bus) payload(ctx context.Context, header map[string][]string, data []byte) ([]byte, error) {
	ref := header[dataRef]
	if len(ref) == 0 {
		return data, nil
	}
	name, ok := strings.CutPrefix(ref[0], dataRefPrefix)
	if !ok {
		return nil, fmt.Errorf("%s %q is not %s<name>", dataRef, ref[0], dataRefPrefix)
	}
	data, err := readObject(ctx, b.js, PayloadBucket, name)
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", ErrUnavailable, ref[0], err)
	}
	return data, nil
}

// kept is payload, except that a body which is not there any more is no error: whoever reads
// on must not end at it for ever.
func (b *Bus) kept(ctx context.Context, header map[string][]string, data []byte) (body []byte, lost bool, err error) {
	body, err = b.payload(ctx, header, data)
	if isLost(err) {
		b.opts.Log.Error().Err(err).Strs("body", header[dataRef]).Msg("a body is lost")
		return nil, true, nil
	}
	return body, false, err
}

// isLost reports whether an object is not there, or not as it was.
func isLost(err error) bool {
	for _, lost := range []error{
		jetstream.ErrBucketNotFound, jetstream.ErrObjectNotFound, jetstream.ErrBadObjectMeta, jetstream.ErrDigestMismatch, errChunks,
	} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}
