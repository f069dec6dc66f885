package edge

import (
	"context"
	"fmt"
	"strings"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
)

// moveBody puts the body of a record into the hub's object store if it is in the object store here,
// or does not fit into a message at the hub. The name identifies the record, so a second attempt
// finds the object, and no other record uses it.
func (s *streamForwarder) moveBody(ctx context.Context, r *record) error {
	name, inObjectStore := strings.CutPrefix(r.msg.Header.Get(job.HeaderDataRef), conn.DataRefPrefix)
	if r.object != "" || !inObjectStore && s.hub.fits(s.hub.jobs, r.msg) {
		return nil
	}
	body, lost, err := s.body(ctx, r)
	if err != nil || lost {
		return err // without its body the record is sent all the same, and names what was lost
	}
	if !inObjectStore {
		name = fmt.Sprintf("%s.%s-%d-%d", job.BodySHA256(body), r.origin.Store, r.origin.Sequence, r.origin.Stored.UnixNano())
	}
	if err := s.upload(ctx, name, body); err != nil {
		return err
	}
	r.object, r.msg.Data = name, nil
	r.msg.Header[job.HeaderDataRef] = []string{conn.DataRefPrefix + name}
	return nil
}

// body returns the body of a record, from the object store of this side if it is there. A body that
// is lost there must not hold up later records.
func (s *streamForwarder) body(ctx context.Context, r *record) (body []byte, lost bool, err error) {
	name, inObjectStore := strings.CutPrefix(r.raw.Header.Get(job.HeaderDataRef), conn.DataRefPrefix)
	if !inObjectStore {
		return r.raw.Data, false, nil
	}
	ctx, cancel := s.f.boundLocal(ctx) // the client library ends such a reading by nothing else
	defer cancel()
	body, err = objects.Read(ctx, s.f.local, conn.PayloadBucket, name)
	if objects.Lost(err) {
		s.f.opts.Log.Error().Err(err).Str("record", r.origin.Record()).
			Msg("a body is missing at the edge; its record is forwarded without it")
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("%w: the body of %s: %w", errLocal, r.origin.Record(), err)
	}
	return body, false, nil
}

// removeBody removes a body that no event at the hub refers to. If that fails, it expires with the
// bucket's age.
func (s *streamForwarder) removeBody(ctx context.Context, r *record) {
	if err := objects.Delete(ctx, s.hub.js, conn.PayloadBucket, r.object); err != nil {
		s.f.opts.Log.Warn().Err(err).Str("object", r.object).Msg("removing an unused body from the hub failed")
	}
}
