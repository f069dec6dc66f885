package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
)

// uploadChunk is how much of a large body is sent at once: what is sent behind it, such as a
// heartbeat, does not wait long.
const uploadChunk = 128 << 10

// upload stores a body in the hub's object store, unless it is there. The object is like those of
// the client library, with two differences: each chunk is sent when the one before is acknowledged,
// on the condition that it is the last one, so that no chunk is stored twice; and the name
// determines the subject of the chunks, so that an interrupted upload continues.
func (s *streamForwarder) upload(ctx context.Context, name string, body []byte) error {
	known, err := s.uploaded(ctx, name, len(body))
	if err == nil && !known {
		err = s.uploadChunks(ctx, chunksOf(name), body)
		if err == nil {
			err = s.uploadInfo(ctx, name, body)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: storing a body of %d bytes in bucket %s of the hub: %v", conn.ErrUnavailable, len(body), conn.PayloadBucket, err)
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
func (s *streamForwarder) uploaded(ctx context.Context, name string, size int) (bool, error) {
	ctx, cancel := s.hub.bound(ctx)
	defer cancel()
	store, err := s.hub.payloads(ctx)
	if err != nil {
		return false, err
	}
	info, err := store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil && info.Size == uint64(size), err
}

func (s *streamForwarder) uploadChunks(ctx context.Context, chunks string, body []byte) error {
	n, last, err := s.chunksKnown(ctx, chunks)
	for ; err == nil && n*uploadChunk < len(body); n++ {
		chunk := nats.NewMsg(objects.ChunkSubject(conn.PayloadBucket, chunks))
		chunk.Data = body[n*uploadChunk : min((n+1)*uploadChunk, len(body))]
		chunk.Header.Set(job.HeaderChunk, strconv.Itoa(n))
		var ack *jetstream.PubAck
		ack, err = s.publish(ctx, chunk, expect(last))
		last = sequence(ack)
	}
	return err
}

// chunksKnown returns how many chunks of an object the hub has, and the sequence of the last. If
// some expired before the others were sent, it removes them.
func (s *streamForwarder) chunksKnown(ctx context.Context, chunks string) (n int, last uint64, err error) {
	ctx, cancel := s.bound(ctx, uploadChunk)
	defer cancel()
	subject := objects.ChunkSubject(conn.PayloadBucket, chunks)
	stream, err := s.hub.js.Stream(ctx, "OBJ_"+conn.PayloadBucket)
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
	at, err := strconv.Atoi(raw.Header.Get(job.HeaderChunk))
	if err != nil || uint64(at) >= info.State.Subjects[subject] {
		return 0, 0, stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	return at + 1, raw.Sequence, nil // by a replica that lags: then the next one is refused
}

// uploadInfo makes an object of the chunks.
func (s *streamForwarder) uploadInfo(ctx context.Context, name string, body []byte) error {
	sum := sha256.New()
	_, _ = sum.Write(body) // it returns no error
	info, err := json.Marshal(jetstream.ObjectInfo{
		ObjectMeta: jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: uploadChunk}},
		Bucket:     conn.PayloadBucket, NUID: chunksOf(name), Size: uint64(len(body)),
		Chunks: uint32((len(body) + uploadChunk - 1) / uploadChunk), Digest: jetstream.GetObjectDigestValue(sum),
	})
	if err != nil {
		return err
	}
	_, err = s.publish(ctx, &nats.Msg{Subject: objects.MetaSubject(conn.PayloadBucket, name), Data: info}, header{jetstream.MsgRollup, jetstream.MsgRollupSubject})
	return err
}
