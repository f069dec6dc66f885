package records

import (
	"context"
	"fmt"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// Stored returns the body of a record that is kept outside of its message, as it is stored.
type Stored func(context.Context, audit.Record) ([]byte, error)

// StoredIn reads them in a store.
func StoredIn(bus *publish.Store) Stored {
	return func(ctx context.Context, r audit.Record) ([]byte, error) { return bus.Stored(ctx, r.Header) }
}

// StoredInArchive reads them in export folders.
func StoredInArchive(folders []*archive.Folder) (Stored, error) {
	bodies, err := archive.BodiesOf(folders)
	return func(_ context.Context, r audit.Record) ([]byte, error) {
		body, err := bodies.Find(publish.StoredDigest(r.Header))
		if err == nil && body == nil {
			err = fmt.Errorf("the archive was exported without it: %w", publish.ErrLost)
		}
		return body, err
	}, err
}

// Elsewhere reports whether the body of a record is kept outside of its message.
func Elsewhere(r audit.Record) bool {
	for _, l := range r.Lines {
		if l[0] == job.HeaderDataRef {
			return true
		}
	}
	return publish.Refers(r.Header)
}

// outside reads the body of a record of an archive.Options, nil of one that has its body itself.
func (s Stored) outside(ctx context.Context, r audit.Record) ([]byte, error) {
	if !Elsewhere(r) {
		return nil, nil
	}
	body, err := s(ctx, r.WithHeader())
	if err != nil {
		err = fmt.Errorf("the body of %s/%d: %w; --bodies=false leaves such bodies out", r.Stream, r.Seq, err)
	}
	return body, err
}

// WriteBodies writes the bodies that a bundle does not contain into a folder, each under its
// SHA-256. Without a folder it only says which are not there.
func (s Stored) WriteBodies(ctx context.Context, folder string, b audit.Bundle, say func(format string, args ...any)) error {
	for _, e := range b.Entries {
		if !Elsewhere(e.Record) {
			continue
		}
		if folder == "" {
			say("the body of %s/%d is not in the bundle; --bodies writes it to a folder", e.Stream, e.Seq)
			continue
		}
		body, err := s(ctx, e.Record)
		if err == nil {
			err = archive.WriteBody(folder, body)
		}
		if err != nil {
			return fmt.Errorf("writing the body of %s/%d: %w", e.Stream, e.Seq, err)
		}
	}
	return nil
}
