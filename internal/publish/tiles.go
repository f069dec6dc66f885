package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nats-io/nats.go/jetstream"
)

// Tiles is a place for named data, kept in the object store.
type Tiles struct {
	js     jetstream.JetStream
	store  jetstream.ObjectStore
	stream jetstream.Stream // the one behind the store
	chunk  uint32
}

// Tiles opens the bucket of the tiles, creating it if it is missing. Opening it for reading
// only, the error is ErrMissing then.
func (b *Bus) Tiles(ctx context.Context) (Tiles, error) {
	return patiently(ctx, b.opts, b.openTiles)
}

func (b *Bus) openTiles(ctx context.Context) (Tiles, error) {
	store, err := b.js.ObjectStore(ctx, TilesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		if b.opts.ReadOnly {
			return Tiles{}, fmt.Errorf("%w: bucket %s", ErrMissing, TilesBucket)
		}
		store, err = b.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: TilesBucket, Replicas: max(b.opts.Streams.Replicas, 1),
			Description: "tiles of the Merkle trees over the streams",
		})
	}
	t := Tiles{js: b.js, store: store, chunk: uint32(b.nc.MaxPayload() - headerRoom)}
	if err == nil {
		t.stream, err = b.js.Stream(ctx, "OBJ_"+TilesBucket)
	}
	if err != nil {
		return Tiles{}, fmt.Errorf("opening bucket %s: %w", TilesBucket, err)
	}
	return t, nil
}

// Get returns the data under name. Without any, and where what is there is damaged, the
// error is fs.ErrNotExist.
func (t Tiles) Get(ctx context.Context, name string) ([]byte, error) {
	info, err := t.store.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("%s in bucket %s: %w", name, TilesBucket, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading %s from bucket %s: %v", ErrUnavailable, name, TilesBucket, err)
	}
	if info.Chunks > 1 {
		return t.getChunks(ctx, name)
	}
	// The store's own way makes a consumer for every object, which takes longer than all
	// the rest of a verification.
	chunk, err := t.stream.GetLastMsgForSubject(ctx, chunkSubject(TilesBucket, info.NUID))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && uint64(len(chunk.Data)) != info.Size:
		return nil, fmt.Errorf("%s in bucket %s is damaged: %w", name, TilesBucket, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("%w: reading %s from bucket %s: %v", ErrUnavailable, name, TilesBucket, err)
	}
	return chunk.Data, nil
}

func (t Tiles) getChunks(ctx context.Context, name string) ([]byte, error) {
	data, err := readObject(ctx, t.js, TilesBucket, name)
	if isLost(err) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s from bucket %s: %w", name, TilesBucket, err)
	}
	return data, nil
}

// Put stores data under name, in place of what was there.
func (t Tiles) Put(ctx context.Context, name string, data []byte) error {
	// The client makes a buffer of the size of a chunk, whatever there is to store.
	chunk := min(t.chunk, uint32(max(len(data), 1)))
	meta := jetstream.ObjectMeta{Name: name, Opts: &jetstream.ObjectMetaOptions{ChunkSize: chunk}}
	if _, err := t.store.Put(ctx, meta, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("%w: writing %s to bucket %s: %v", ErrUnavailable, name, TilesBucket, err)
	}
	return nil
}

// Delete removes name; that there is nothing to remove is no error.
func (t Tiles) Delete(ctx context.Context, name string) error {
	err := removeObject(ctx, t.store, t.stream, TilesBucket, name)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("%w: removing %s from bucket %s: %v", ErrUnavailable, name, TilesBucket, err)
	}
	return nil
}
