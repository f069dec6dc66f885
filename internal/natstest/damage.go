package natstest

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// LoseBodies takes away what b has in its object store.
func LoseBodies(ctx context.Context, b *publish.Store) error {
	stream, err := b.JetStream().Stream(ctx, "OBJ_"+conn.PayloadBucket)
	if err != nil {
		return err
	}
	return stream.Purge(ctx)
}

// LoseChunks takes away what the objects of b are made of, but for the last keep of each.
func LoseChunks(ctx context.Context, b *publish.Store, keep uint64) error {
	stream, err := b.JetStream().Stream(ctx, "OBJ_"+conn.PayloadBucket)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$O."+conn.PayloadBucket+".C.>"))
	if err != nil {
		return err
	}
	for subject := range info.State.Subjects {
		which := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSubject(subject)}
		if keep > 0 {
			which = append(which, jetstream.WithPurgeKeep(keep))
		}
		if err := stream.Purge(ctx, which...); err != nil {
			return err
		}
	}
	return nil
}

// LoseBucket takes away the object store of b.
func LoseBucket(ctx context.Context, b *publish.Store) error {
	return b.JetStream().DeleteObjectStore(ctx, conn.PayloadBucket)
}

// Drop takes away what a stream of b holds below a sequence, as its limits do.
func Drop(ctx context.Context, b *publish.Store, stream string, below uint64) error {
	s, err := b.JetStream().Stream(ctx, stream)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSequence(below))
}
