package publish

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// LookAway keeps s from looking at its disk until the function that it returns is called.
func LookAway(s *Server) func() {
	s.turn.Lock()
	return s.turn.Unlock
}

// LoseBodies takes away what b has in its object store.
func LoseBodies(ctx context.Context, b *Bus) error {
	stream, err := b.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return err
	}
	return stream.Purge(ctx)
}

// LoseChunks takes away what the objects of b are made of, but for the last keep of each.
func LoseChunks(ctx context.Context, b *Bus, keep uint64) error {
	stream, err := b.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("$O."+PayloadBucket+".C.>"))
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
func LoseBucket(ctx context.Context, b *Bus) error {
	return b.js.DeleteObjectStore(ctx, PayloadBucket)
}

// Drop takes away what a stream of b holds below a sequence, as its limits do.
func Drop(ctx context.Context, b *Bus, stream string, below uint64) error {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSequence(below))
}

// Speak stores a message without data on a subject of b, with these headers.
func Speak(ctx context.Context, b *Bus, subject string, header nats.Header) error {
	_, err := b.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header})
	return err
}

// Seen reports whether s has looked at the files of a stream that holds something.
func Seen(s *Server, stream string) bool {
	s.turn.Lock()
	defer s.turn.Unlock()
	f := s.home.streams[stream]
	return f != nil && f.newest != ""
}

// Look looks after the store of s once more.
func Look(s *Server) { s.look() }

// KeepBody stores a body in the object store of b.
func KeepBody(ctx context.Context, b *Bus, name string, data []byte) error {
	return b.putPayload(ctx, name, data)
}

// JetStream is what b asks as the owner.
func JetStream(b *Bus) jetstream.JetStream { return b.js }

// Guard returns what looks after the streams of b once.
func Guard(b *Bus) func(context.Context) {
	all := b.toGuard()
	return func(ctx context.Context) { b.guard(ctx, all) }
}

// Seal has a stream of b take nothing more, for ever.
func Seal(ctx context.Context, b *Bus, stream string) error {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return err
	}
	to := s.CachedInfo().Config
	to.Sealed = true
	_, err = b.js.UpdateStream(ctx, to)
	return err
}

// CopyTree copies a folder that a server may run on.
func CopyTree(from, to string) error { return copyTree(from, to) }

// Pause waits as one does who tries again.
func Pause(ctx context.Context) error { return pause(ctx, lagPause) }

// Owed is how many requests of others s has not answered, or not for the last time.
func Owed(s *Server) int {
	owner, err := s.ns.Load().LookupAccount(ownerAccount)
	if err != nil {
		return -1
	}
	return owner.NumPendingAllResponses()
}

// Pending is how many bytes wait in s for clients to read them.
func Pending(s *Server) (n int) {
	open, err := s.ns.Load().Connz(nil)
	if err != nil {
		return -1
	}
	for _, c := range open.Conns {
		n += c.Pending
	}
	return n
}

// Connections is how many connections s has.
func Connections(s *Server) int { return s.ns.Load().NumClients() }
