package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// uploadChunk is how much of a large body is on the line at once: what comes behind it, such
// as a sign of life, does not wait for long.
const uploadChunk = 128 << 10

// chunkHeader numbers the chunks of an object, from 0.
const chunkHeader = "receiver-chunk"

// upload brings a body into the hub's object store, unless it is there. It is an object as
// the client library makes them, but for this: each chunk is sent when the one before is
// acknowledged, and stored behind that one or not at all, so that what was sent twice is
// there once; and the name tells where they are, so that after a cut it goes on.
func (l *lane) upload(ctx context.Context, name string, body []byte) error {
	there, err := l.uploaded(ctx, name, len(body))
	if err == nil && !there {
		err = l.uploadChunks(ctx, chunksOf(name), body)
		if err == nil {
			err = l.uploadInfo(ctx, name, body)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: storing a body of %d bytes in bucket %s of the hub: %v", ErrUnavailable, len(body), PayloadBucket, err)
	}
	return nil
}

// chunksOf returns the last token of the subject of an object's chunks.
func chunksOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// uploaded reports whether the object store holds a whole object of this name and size. It
// makes the bucket if there is none.
func (l *lane) uploaded(ctx context.Context, name string, size int) (bool, error) {
	ctx, cancel := l.hub.bound(ctx)
	defer cancel()
	store, err := l.hub.payloads(ctx)
	if err != nil {
		return false, err
	}
	info, err := store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil && info.Size == uint64(size), err
}

func (l *lane) uploadChunks(ctx context.Context, chunks string, body []byte) error {
	n, last, err := l.chunksThere(ctx, chunks)
	for ; err == nil && n*uploadChunk < len(body); n++ {
		chunk := &message{subject: chunkSubject(PayloadBucket, chunks), data: body[n*uploadChunk : min((n+1)*uploadChunk, len(body))]}
		chunk.header = chunk.header.Set(chunkHeader, strconv.Itoa(n))
		var ack *jetstream.PubAck
		ack, err = l.put(ctx, chunk, expect(last))
		last = sequence(ack)
	}
	return err
}

// chunksThere returns how many chunks of an object the hub has, and the sequence of the
// last. Where some went with their age before the others came, it removes those.
func (l *lane) chunksThere(ctx context.Context, chunks string) (n int, last uint64, err error) {
	ctx, cancel := l.bound(ctx, uploadChunk)
	defer cancel()
	subject := chunkSubject(PayloadBucket, chunks)
	stream, err := l.hub.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return 0, 0, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil || info.State.Subjects[subject] == 0 {
		return 0, 0, err
	}
	raw, err := stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return 0, 0, err
	}
	at, err := strconv.Atoi(raw.Header.Get(chunkHeader))
	if err != nil || uint64(at) >= info.State.Subjects[subject] {
		return 0, 0, stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	return at + 1, raw.Sequence, nil // by a replica that lags: then the next one is refused
}

// uploadInfo makes an object of the chunks.
func (l *lane) uploadInfo(ctx context.Context, name string, body []byte) error {
	sum := sha256.New()
	_, _ = sum.Write(body) // it returns no error
	info, err := json.Marshal(jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: uploadChunk}},
		Bucket:     PayloadBucket, NUID: chunksOf(name), Size: uint64(len(body)),
		Chunks: uint32((len(body) + uploadChunk - 1) / uploadChunk), Digest: jetstream.GetObjectDigestValue(sum),
	})
	if err != nil {
		return err
	}
	_, err = l.put(ctx, &message{subject: metaSubject(PayloadBucket, name), data: info}, header{jetstream.MsgRollup, jetstream.MsgRollupSubject})
	return err
}
