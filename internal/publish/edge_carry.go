package publish

import (
	"context"
	"fmt"
	"strings"

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
	body, err = readObject(ctx, l.f.local.js, PayloadBucket, name)
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

// uncarry removes a body that no event at the hub refers to. One that stays goes with the
// bucket's age.
func (l *lane) uncarry(ctx context.Context, r *record) {
	if err := l.hub.removePayload(ctx, r.object); err != nil {
		l.f.opts.Log.Warn().Err(err).Str("object", r.object).Msg("spare body not removed from the hub")
	}
}
