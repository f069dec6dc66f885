package publish

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
)

// fits reports whether the stream and the server take a message of this size.
func (b *Store) fits(s jetstream.Stream, msg *message) bool {
	return conn.Fits(s.CachedInfo().Config, b.nc.MaxPayload(), len(msg.header)+len(msg.data))
}

// moveToObjectStore puts the body of an event that is too large for a message into the object
// store, and a reference into the message. It returns the object's name.
//
// Each object is written once, under a name of its own, and one event refers to it: the object
// store cannot replace an object without a moment in which a failure loses both versions.
func (b *Store) moveToObjectStore(ctx context.Context, msg *message) (object string, err error) {
	object = job.BodySHA256(msg.data) + "." + rand.Text()
	if err := b.putPayload(ctx, object, msg.data); err != nil {
		return "", err
	}
	msg.header = msg.header.Set(job.HeaderDataRef, conn.DataRefPrefix+object)
	msg.data = nil
	return object, nil
}

func (b *Store) putPayload(ctx context.Context, name string, data []byte) error {
	store, err := b.payloads(ctx)
	if err == nil {
		chunk := min(128<<10, uint32(b.nc.MaxPayload()/2))
		meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}
		_, err = store.Put(ctx, meta, bytes.NewReader(data))
	}
	if err != nil {
		return fmt.Errorf("%w: storing a body of %d bytes in bucket %s: %v", conn.ErrUnavailable, len(data), conn.PayloadBucket, err)
	}
	return nil
}

// payloads opens the bucket, creating it when it is first needed.
func (b *Store) payloads(ctx context.Context) (jetstream.ObjectStore, error) {
	return objects.Open(ctx, b.js, b.opts.Streams.PayloadConfig(b.jobs.CachedInfo().Config.MaxAge))
}

// removeUnusedObject removes an object that was stored for an event that existed. The existing
// event may be this one, by a write whose answer was lost, so it is read first. An object that
// stays expires with the bucket's age.
func (b *Store) removeUnusedObject(ctx context.Context, object string, existing uint64) {
	raw, err := b.jobs.GetMsg(ctx, existing)
	if err == nil && raw.Header.Get(job.HeaderDataRef) == conn.DataRefPrefix+object {
		return
	}
	if err == nil {
		err = objects.Delete(ctx, b.js, conn.PayloadBucket, object)
	}
	if err != nil {
		b.opts.Log.Warn().Err(err).Str("object", object).Msg("removing an unused body failed")
	}
}

// payload returns the body that a message stands for.
func (b *Store) payload(ctx context.Context, header map[string][]string, data []byte) ([]byte, error) {
	ref := header[job.HeaderDataRef]
	if len(ref) == 0 {
		return data, nil
	}
	name, ok := strings.CutPrefix(ref[0], conn.DataRefPrefix)
	if !ok {
		return nil, fmt.Errorf("%s %q is not %s<name>", job.HeaderDataRef, ref[0], conn.DataRefPrefix)
	}
	data, err := objects.Read(ctx, b.js, conn.PayloadBucket, name)
	if err == nil && job.BodySHA256(data) != StoredDigest(header) {
		err = jetstream.ErrDigestMismatch // the name is sealed, and what the bucket says of itself is not
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", conn.ErrUnavailable, ref[0], err)
	}
	return data, nil
}

// storedBody is payload, but a missing object is no error: a reader must not stop at it for ever.
func (b *Store) storedBody(ctx context.Context, header map[string][]string, data []byte) (body []byte, lost bool, err error) {
	body, err = b.payload(ctx, header, data)
	if objects.Lost(err) {
		b.opts.Log.Error().Err(err).Str("object", strings.TrimPrefix(header[job.HeaderDataRef][0], conn.DataRefPrefix)).Msg("the body of a record is missing")
		return nil, true, nil
	}
	return body, false, err
}

// Body returns the body of a message of Range: its data, or the object that its headers refer to,
// decrypted. The error is ErrEncrypted if it cannot be decrypted.
func (b *Store) Body(ctx context.Context, m Message) ([]byte, error) {
	if !Refers(m.Header) {
		return b.decrypt(m.Header, m.Data)
	}
	ctx, cancel := b.bound(ctx)
	defer cancel()
	data, err := b.payload(ctx, m.Header, m.Data)
	if err != nil {
		return nil, err
	}
	return b.decrypt(m.Header, data)
}

// Stored returns the object that a message refers to, byte for byte: encrypted, if it is. The error
// is ErrLost if it is not there, or not the one whose digest the message names.
func (b *Store) Stored(ctx context.Context, header map[string][]string) ([]byte, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	data, err := b.payload(ctx, header, nil)
	if objects.Lost(err) {
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	return data, err
}

// ErrLost is returned for a body outside its message that is gone or changed.
var ErrLost = errors.New("the body that the record refers to is lost")

// StoredDigest returns the SHA-256 in hexadecimal of the object that a message with these headers
// refers to, as the object's name tells it; empty if it refers to none.
func StoredDigest(header map[string][]string) string {
	if !Refers(header) {
		return ""
	}
	name, _ := strings.CutPrefix(header[job.HeaderDataRef][0], conn.DataRefPrefix)
	digest, _, _ := strings.Cut(name, ".")
	return digest
}

// Refers reports whether a message with these headers holds only a reference to its body.
func Refers(header map[string][]string) bool { return len(header[job.HeaderDataRef]) > 0 }
