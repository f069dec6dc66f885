package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// carry brings the body of a record into the hub's object store if it is in one here, or
// would not fit into a message there. It is named by the record, so that doing it again
// finds it there, and another record's is another one.
func (l *lane) carry(ctx context.Context, r *record) error {
	name, aside := strings.CutPrefix(r.msg.Header.Get(dataRef), dataRefPrefix)
	if r.object != "" || !aside && l.hub.fits(l.hub.jobs, messageOf(r.msg)) {
		return nil
	}
	body, lost, err := l.body(ctx, r)
	if err != nil || lost {
		return err // without its body it goes all the same, and names what was lost
	}
	if !aside {
		name = fmt.Sprintf("%s.%s-%d-%d", job.BodySHA256(body), r.origin.Store, r.origin.Sequence, r.origin.Stored.UnixNano())
	}
	if err := l.upload(ctx, name, body); err != nil {
		return err
	}
	r.object, r.msg.Data = name, nil
	r.msg.Header[dataRef] = []string{dataRefPrefix + name}
	return nil
}

// body returns the body of a record, from the object store of this side if it is there. One
// that is lost there must not hold up what comes after it.
func (l *lane) body(ctx context.Context, r *record) (body []byte, lost bool, err error) {
	name, aside := strings.CutPrefix(r.raw.Header.Get(dataRef), dataRefPrefix)
	if !aside {
		return r.raw.Data, false, nil
	}
	ctx, cancel := l.f.local.bound(ctx) // the client library ends such a reading by nothing else
	defer cancel()
	body, err = l.f.local.object(ctx, name)
	if isLost(err) {
		l.f.opts.Log.Error().Err(err).Str("record", r.origin.Record()).
			Msg("a body is lost here; its record goes to the hub without it")
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: the body of %s: %w", errHere, r.origin.Record(), err)
	}
	return body, false, nil
}

// errChunks is returned for an object of which not all is there.
var errChunks = errors.New("chunks of the object are missing")

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

// object reads an object, whose chunks are counted before: for one that has none the client
// library would wait until ctx is done.
func (b *Bus) object(ctx context.Context, name string) ([]byte, error) {
	store, err := b.js.ObjectStore(ctx, PayloadBucket)
	if err != nil {
		return nil, err
	}
	info, err := store.GetInfo(ctx, name)
	if err != nil {
		return nil, err
	}
	stream, err := b.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return nil, err
	}
	subject := uploadSubject(info.NUID)
	state, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return nil, err
	}
	if state.State.Subjects[subject] < uint64(info.Chunks) {
		return nil, errChunks
	}
	return store.GetBytes(ctx, name)
}

// uncarry removes a body that no event at the hub refers to. One that stays goes with the
// bucket's age.
func (l *lane) uncarry(ctx context.Context, r *record) {
	store, err := l.hub.js.ObjectStore(ctx, PayloadBucket)
	if err == nil {
		err = store.Delete(ctx, r.object)
	}
	if err != nil {
		l.f.opts.Log.Warn().Err(err).Str("object", r.object).Msg("spare body not removed from the hub")
	}
}
