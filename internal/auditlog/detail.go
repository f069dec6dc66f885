package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"

	"receiver/internal/audit"
	"receiver/internal/job"
)

// Detail is all there is about one record.
type Detail struct {
	Entry
	Subject string `json:"subject"`
	// Headers are those of the record; Request those of the HTTP request, secrets as
	// fingerprints.
	Headers map[string][]string `json:"headers"`
	Request json.RawMessage     `json:"request,omitempty"`
	// Text is the body if it is text; Base64 is the body if it is not. BodyKept is false if
	// neither was kept.
	Text     string `json:"body,omitempty"`
	Base64   []byte `json:"body_base64,omitempty"`
	BodyKept bool   `json:"body_kept"`
	// Encrypted says why neither is there though the body was kept.
	Encrypted string `json:"body_encrypted,omitempty"`
	LeafHash  string `json:"leaf_hash"`
	// Seal says how the record is sealed.
	Seal Seal `json:"seal"`
	// Same are other records with the same body.
	Same []string `json:"same_body"`
	// Raw is the body, byte for byte.
	Raw []byte `json:"-"`
}

// Seal is how a record is sealed.
type Seal struct {
	// State is sealed, unsealed, changed (it is not what was sealed), or unknown without a
	// log key.
	State string `json:"state"`
	// Origin, Size and Root are of the checkpoint.
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Root   string `json:"root,omitempty"`
	// Witnesses vouched for it.
	Witnesses []string `json:"witnesses,omitempty"`
	Why       string   `json:"why,omitempty"`
}

// ErrNoRecord is returned for a record that is not there.
var ErrNoRecord = errors.New("no such record: it was removed, or never existed")

// Reader is what details of the records of one stream are read from.
type Reader struct {
	Source audit.Source
	// Body returns the whole body of a record, as for NewChecker. The text of an error that is
	// ErrEncrypted becomes Detail.Encrypted.
	Body func(audit.Record) ([]byte, error)
	// Log opens the log over the stream; it returns nil without a log key.
	Log func(context.Context) (*audit.Log, error)
	// Entries gives the callbacks of all streams that a filter wants; nil leaves out those with
	// the same body.
	Entries func(Filter) iter.Seq2[Entry, error]
}

// Detail reads a record with everything about it. The error may be ErrNoRecord.
func (r Reader) Detail(ctx context.Context, stream string, seq uint64) (*Detail, error) {
	var found *audit.Record
	err := r.Source.Records(ctx, seq, seq, func(record audit.Record) error { found = &record; return nil })
	if err == nil && found == nil {
		err = fmt.Errorf("%s/%d: %w", stream, seq, ErrNoRecord)
	}
	if err != nil {
		return nil, err
	}
	d, err := describe(*found)
	if err != nil {
		return nil, err
	}
	d.Raw, err = r.Body(*found)
	switch {
	case errors.Is(err, ErrEncrypted):
		d.Encrypted, d.BodyKept = err.Error(), true
	case err != nil:
		return nil, err
	default:
		d.setBody()
	}
	if d.Seal, err = r.seal(ctx, seq); err != nil {
		return nil, err
	}
	d.Same, err = r.sameBody(d.Entry)
	return d, err
}

// describe is what a record says without its body.
func describe(r audit.Record) (*Detail, error) {
	d := &Detail{Subject: r.Subject, Headers: r.Header, Same: []string{}}
	var ok bool
	if d.Entry, ok = Read(r); !ok { // an event of our own
		d.Entry = Entry{ID: fmt.Sprintf("%s/%d", r.Stream, r.Seq), Stream: r.Stream, Sequence: r.Seq, Stored: r.Time.UTC(), Size: int64(len(r.Data))}
		if job.LookupIn(r.Header)(job.HeaderDataRef) != "" {
			d.Size = -1 // it is kept elsewhere
		}
		if claim, err := job.ReadClaim(r.Subject, r.Header); err == nil && claim.Size >= 0 {
			d.Size = claim.Size
		}
	}
	if v := job.LookupIn(r.Header)(job.HeaderRequest); json.Valid([]byte(v)) {
		d.Request = json.RawMessage(v)
	}
	hash, err := r.LeafHash()
	d.LeafHash = hash.String()
	return d, err
}

func (d *Detail) setBody() {
	if d.Size <= 0 && len(d.Raw) > 0 { // it was kept elsewhere, or it is an action
		d.Size = int64(len(d.Raw))
	}
	d.BodyKept = len(d.Raw) > 0 || d.Size == 0
	if utf8.Valid(d.Raw) {
		d.Text = string(d.Raw)
	} else {
		d.Base64 = d.Raw
	}
}

// seal proves a record against the newest checkpoint.
func (r Reader) seal(ctx context.Context, seq uint64) (Seal, error) {
	log, err := r.Log(ctx)
	if err != nil {
		return Seal{}, err
	}
	if log == nil {
		return Seal{State: "unknown", Why: "no log key is configured or given"}, nil
	}
	cp, err := log.Checkpoint(ctx)
	if err == nil {
		_, err = log.ProveAt(ctx, cp, seq)
	}
	s := Seal{State: "sealed", Origin: cp.Origin, Size: cp.Tree.N, Root: cp.Tree.Hash.String()}
	for _, c := range cp.Cosignatures {
		s.Witnesses = append(s.Witnesses, c.Witness)
	}
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return Seal{State: "unsealed", Why: "the next sealing covers it"}, nil
	case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile), errors.Is(err, audit.ErrSignature), errors.Is(err, audit.ErrCosignature), errors.Is(err, audit.ErrCheckpoint):
		s.State, s.Why = "changed", err.Error()+"; run `receiver audit verify`"
		return s, nil
	}
	return Seal{}, err
}

// maxSame bounds how many records with one body are listed.
const maxSame = 100

// sameBody lists the other records of a body.
func (r Reader) sameBody(of Entry) ([]string, error) {
	same := []string{}
	if of.Body == "" || r.Entries == nil {
		return same, nil
	}
	for e, err := range r.Entries(Filter{Bodies: []string{of.Body}}) {
		if err != nil {
			return nil, err
		}
		if e.ID != of.ID {
			same = append(same, e.ID)
		}
		if len(same) == maxSame {
			break
		}
	}
	return same, nil
}
