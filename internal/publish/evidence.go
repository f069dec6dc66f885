package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
	"receiver/internal/publish/reader"
	"receiver/internal/publish/schema"
	"receiver/internal/publish/sender"
)

// ErrChanged is returned by Checkpoints.Store when another checkpoint was stored since.
var ErrChanged = errors.New("another checkpoint was stored in the meantime")

// Checkpoints are the checkpoints of one log: messages on one subject. The newest is in force, and
// its sequence is the revision.
type Checkpoints struct {
	bus     *Store
	stream  jetstream.Stream
	subject string
}

// Checkpoints opens the checkpoints of the log over a stream, by the receiver's name. If there are
// none and the store is open for reading only, the error is ErrMissing.
func (b *Store) Checkpoints(ctx context.Context, name, stream string) (Checkpoints, error) {
	s, err := schema.Ensure(ctx, b.js, b.opts, b.opts.Streams.CheckpointsConfig())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = fmt.Errorf("%w: %s", conn.ErrMissing, conn.CheckpointsStream)
	}
	if err != nil {
		return Checkpoints{}, err
	}
	return Checkpoints{bus: b, stream: s, subject: job.CheckpointSubject(name, stream)}, nil
}

// Load returns the newest checkpoint and its revision; nil and 0 when there is none.
func (c Checkpoints) Load(ctx context.Context) ([]byte, uint64, error) {
	// No direct get: the leader must answer.
	info, err := c.stream.Info(ctx, jetstream.WithSubjectFilter(c.subject))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: asking for the checkpoints on %s: %v", conn.ErrUnavailable, c.subject, err)
	}
	if info.State.Subjects[c.subject] == 0 {
		return nil, 0, nil
	}
	m, err := c.stream.GetLastMsgForSubject(ctx, c.subject)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: reading the newest checkpoint on %s: %v", conn.ErrUnavailable, c.subject, err)
	}
	return m.Data, m.Sequence, nil
}

// NewestCheckpoints returns the newest checkpoint of each log that the store has one of.
func (b *Store) NewestCheckpoints(ctx context.Context) ([]Message, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, conn.CheckpointsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	var info *jetstream.StreamInfo
	if err == nil {
		info, err = s.Info(ctx, jetstream.WithSubjectFilter(job.AllCheckpoints))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking for the newest checkpoints: %v", conn.ErrUnavailable, err)
	}
	var all []Message
	for _, subject := range slices.Sorted(maps.Keys(info.State.Subjects)) {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("%w: reading the newest checkpoint on %s: %v", conn.ErrUnavailable, subject, err)
		}
		all = append(all, newMessage(m))
	}
	return all, nil
}

// Store adds a checkpoint if the newest has the given revision, and returns the new revision;
// otherwise the error is ErrChanged.
func (c Checkpoints) Store(ctx context.Context, checkpoint []byte, revision uint64) (uint64, error) {
	msg := &message{subject: c.subject, data: checkpoint}
	sequence, err := c.bus.sendAndWait(ctx, msg, expect(revision))
	if sender.Taken(err) {
		err = fmt.Errorf("%w: %v", ErrChanged, err)
	}
	return sequence, err
}

// All calls yield with every stored checkpoint, oldest first.
func (c Checkpoints) All(ctx context.Context, yield func(Message) error) error {
	last, err := c.bus.LastSequence(ctx, conn.CheckpointsStream)
	if err != nil {
		return err
	}
	return c.bus.Range(ctx, conn.CheckpointsStream, 1, last, func(m Message) error {
		if m.Subject != c.subject {
			return nil
		}
		return yield(m)
	})
}

// Tiles is a store for named data, in the object store.
type Tiles struct {
	bus    *Store
	store  jetstream.ObjectStore
	stream jetstream.Stream // the one behind the store
	chunk  uint32
}

// Tiles opens the bucket of the tiles, and creates it if it is missing. If the store is open for
// reading only, the error is ErrMissing then.
func (b *Store) Tiles(ctx context.Context) (Tiles, error) {
	return conn.Retry(ctx, b.opts, b.openTiles)
}

func (b *Store) openTiles(ctx context.Context) (Tiles, error) {
	store, err := b.js.ObjectStore(ctx, conn.TilesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if b.opts.ReadOnly {
			return Tiles{}, fmt.Errorf("%w: bucket %s", conn.ErrMissing, conn.TilesBucket)
		}
		store, err = b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: conn.TilesBucket, Replicas: max(b.opts.Streams.Replicas, 1),
			Description: "tiles of the Merkle trees over the streams",
		})
	}
	t := Tiles{bus: b, store: store, chunk: uint32(b.nc.MaxPayload() - conn.HeaderSpace)}
	if err == nil {
		t.stream, err = b.js.Stream(ctx, "OBJ_"+conn.TilesBucket)
	}
	if err != nil {
		return Tiles{}, fmt.Errorf("opening bucket %s: %w", conn.TilesBucket, err)
	}
	return t, nil
}

// Get returns the data under name. If there is none, or it is damaged, the error is fs.ErrNotExist.
func (t Tiles) Get(ctx context.Context, name string) ([]byte, error) {
	info, err := t.store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) || err != nil && t.removed(ctx) {
		return nil, fmt.Errorf("%s in bucket %s: %w", name, conn.TilesBucket, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s from bucket %s: %v", conn.ErrUnavailable, name, conn.TilesBucket, err)
	}
	if info.Chunks > 1 {
		return t.getChunks(ctx, name)
	}
	// The client library creates a consumer for every object, which takes longer than the rest of a
	// verification.
	chunk, err := t.stream.GetLastMsgForSubject(ctx, objects.ChunkSubject(conn.TilesBucket, info.NUID))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && uint64(len(chunk.Data)) != info.Size:
		return nil, fmt.Errorf("%s in bucket %s is damaged: %w", name, conn.TilesBucket, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("%w: reading %s from bucket %s: %v", conn.ErrUnavailable, name, conn.TilesBucket, err)
	}
	return chunk.Data, nil
}

func (t Tiles) getChunks(ctx context.Context, name string) ([]byte, error) {
	data, err := objects.Read(ctx, t.bus.js, conn.TilesBucket, name)
	if objects.Lost(err) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s from bucket %s: %w", name, conn.TilesBucket, err)
	}
	return data, nil
}

// removed reports whether another client removed the bucket.
func (t Tiles) removed(ctx context.Context) bool {
	_, err := t.bus.js.Stream(ctx, t.stream.CachedInfo().Config.Name)
	return errors.Is(err, jetstream.ErrStreamNotFound)
}

// List calls yield with the name and the size of everything that is there in whole.
func (t Tiles) List(ctx context.Context, yield func(name string, size int64)) error {
	stream := t.stream.CachedInfo().Config.Name
	info, err := t.stream.Info(ctx, jetstream.WithSubjectFilter(objects.ChunkSubject(conn.TilesBucket, "*")))
	if err == nil {
		chunks := info.State.Subjects
		from := reader.From{Subjects: []string{objects.MetaSubjects(conn.TilesBucket)}}
		err = reader.Scan(ctx, t.bus.js, stream, from, info.State.LastSeq, func(m *jetstream.RawStreamMsg) error {
			var o jetstream.ObjectInfo
			if json.Unmarshal(m.Data, &o) == nil && !o.Deleted && chunks[objects.ChunkSubject(conn.TilesBucket, o.NUID)] == uint64(o.Chunks) {
				yield(o.Name, int64(o.Size))
			}
			return nil
		})
	}
	if err != nil && !t.removed(ctx) {
		return fmt.Errorf("%w: listing bucket %s: %v", conn.ErrUnavailable, conn.TilesBucket, err)
	}
	return nil
}

// Put stores data under name, and replaces what was there. It makes the bucket again if another
// client removed it.
func (t Tiles) Put(ctx context.Context, name string, data []byte) error {
	// The client library allocates a buffer of the size of a chunk, however small the data is.
	chunk := min(t.chunk, uint32(max(len(data), 1)))
	meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}
	_, err := t.store.Put(ctx, meta, bytes.NewReader(data))
	if err != nil && t.removed(ctx) {
		if _, err = t.bus.openTiles(ctx); err == nil {
			_, err = t.store.Put(ctx, meta, bytes.NewReader(data))
		}
	}
	if err != nil {
		return fmt.Errorf("%w: writing %s to bucket %s: %v", conn.ErrUnavailable, name, conn.TilesBucket, err)
	}
	return nil
}

// Delete removes name; it is no error if there is none.
func (t Tiles) Delete(ctx context.Context, name string) error {
	err := objects.Remove(ctx, t.store, t.stream, conn.TilesBucket, name)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) && !t.removed(ctx) {
		return fmt.Errorf("%w: removing %s from bucket %s: %v", conn.ErrUnavailable, name, conn.TilesBucket, err)
	}
	return nil
}
