// Package records reads, verifies and exports what a receiver has recorded in its streams, as the
// configuration says. It answers the private listener what the audit commands print.
//
// It decides neither what a record says, which is for auditlog, nor what is proved, which is for
// audit. It reads no flags and prints nothing.
package records

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/auditlog"
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/verify"
)

// Entries gives what the streams hold and a query wants, in the order in which it was stored.
func Entries(ctx context.Context, bus *publish.Store, q Query) iter.Seq2[auditlog.Entry, error] {
	read := func(stream string, since time.Time, after uint64) iter.Seq2[audit.Record, error] {
		start := publish.Position{Time: since}
		if after > 0 {
			start.Sequence = after + 1
		}
		return readStream(ctx, bus, stream, start, stream != conn.ActionsStream)
	}
	return auditlog.Entries(read, q.read(), q.Filter, q.after)
}

// readStream gives the messages of a stream as records, with or without their data.
func readStream(ctx context.Context, bus *publish.Store, stream string, from publish.Position, headersOnly bool) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		for m, err := range bus.From(ctx, stream, from, headersOnly) {
			if !yield(logs.Record(stream, m), err) {
				return
			}
		}
	}
}

// Detail reads a record with everything about it; with same, also which others have its body, for
// which it reads all streams. The error may be auditlog.ErrNoRecord.
func Detail(ctx context.Context, cfg *config.Config, bus *publish.Store, stream string, seq uint64, same bool) (*auditlog.Detail, error) {
	r := auditlog.Reader{
		Source: logs.StreamSource{Bus: bus, Stream: stream},
		Body: func(r audit.Record) ([]byte, error) {
			body, err := bus.Body(ctx, publish.Message{Header: r.Header, Data: r.Data})
			if errors.Is(err, publish.ErrEncrypted) {
				err = auditlog.Hidden(hint(fmt.Errorf("%s/%d: %w", r.Stream, r.Seq, err)))
			}
			return body, err
		},
		Log: func(ctx context.Context) (*audit.Log, error) {
			keys, err := logs.Keys(cfg.Audit)
			if err != nil || len(keys.Log) == 0 {
				return nil, err
			}
			return logs.Open(ctx, bus, cfg.Audit, stream, keys)
		},
	}
	if same {
		r.Entries = func(f auditlog.Filter) iter.Seq2[auditlog.Entry, error] { return Entries(ctx, bus, Query{Filter: f}) }
	}
	return r.Detail(ctx, stream, seq)
}

// Mended returns the callbacks refused since a time that are right by the keys of these sources,
// each distinct body once, and of how many the body is encrypted to others; without any identity,
// one that is is an error. An empty key means any.
func Mended(
	ctx context.Context, bus *publish.Store, sources map[string]*verify.Verifier, key string, since time.Time,
) (all []*auditlog.Late, hidden int, err error) {
	body := func(r audit.Record) ([]byte, error) {
		body, err := bus.Body(ctx, publish.Message{Header: r.Header, Data: r.Data})
		if errors.Is(err, encryption.ErrNoIdentity) || err != nil && !errors.Is(err, publish.ErrEncrypted) {
			return nil, hint(fmt.Errorf("%s/%d: %w", r.Stream, r.Seq, err))
		}
		return body, nil
	}
	refused := auditlog.Reverifier{Sources: sources, Key: key, Body: body, Event: callback.Mended, On: bus.On}
	return refused.Find(ctx, readStream(ctx, bus, conn.AttemptsStream, publish.Position{Time: since}, false))
}

// hint adds what to do to an error for a body that is encrypted.
func hint(err error) error {
	switch {
	case errors.Is(err, encryption.ErrNoIdentity):
		return fmt.Errorf("%w; give --identity-file, or set encryption.identity", err)
	case errors.Is(err, encryption.ErrOtherIdentity):
		return fmt.Errorf("%w; give --identity-file with a key that was among encryption.recipients when it was stored", err)
	}
	return err
}

// storedBody returns what reads the bodies of records, for auditlog.NewChecker: those too large
// for a message from where they are, and encrypted ones decrypted.
func storedBody(ctx context.Context, bus *publish.Store) func(audit.Record) ([]byte, error) {
	return func(r audit.Record) ([]byte, error) {
		return hidden(bus.Body(ctx, publish.Message{Header: r.Header, Data: r.Data}))
	}
}

// BodyAlone returns a reader of the bodies of records without a store, in archives and bundles, for
// auditlog.NewChecker. Bodies are those that are kept in files, as they were stored or as they were
// signed. Of a body that is neither in its record nor there, the error is missing.
func BodyAlone(c *encryption.Cipher, bodies *archive.Bodies, missing error) func(audit.Record) ([]byte, error) {
	find := func(digest string) ([]byte, error) {
		body, err := bodies.Find(digest)
		if err != nil {
			err = fmt.Errorf("%w: %w", auditlog.ErrUnreadable, err)
		}
		return body, err
	}
	return func(r audit.Record) ([]byte, error) {
		claim, _ := job.ReadClaim(r.Subject, r.Header) // of no record of ours it is empty
		stored, there := r.Data, len(r.Data) > 0 || claim.Size <= 0
		if publish.Refers(r.Header) {
			var err error
			if stored, err = find(publish.StoredDigest(r.Header)); err != nil {
				return nil, err
			}
			there = stored != nil
		}
		if there && !job.Encrypted(r.Header) {
			return stored, nil
		}
		signed, err := find(claim.Body)
		switch {
		case signed != nil || err != nil:
			return signed, err
		case !there:
			return nil, missing
		}
		return hidden(c.Decrypt(stored))
	}
}

// hidden tells a body that cannot be decrypted for want of the key from one that is damaged,
// which is a fault of the record.
func hidden(body []byte, err error) ([]byte, error) {
	if errors.Is(err, encryption.ErrNoIdentity) || errors.Is(err, encryption.ErrOtherIdentity) {
		return nil, auditlog.ErrEncrypted
	}
	return body, err
}
