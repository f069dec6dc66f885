package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/trail"
)

func newAuditShow(a *app) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show RECORD",
		Short: "Show one record whole: headers, body, verdict, and whether it is sealed",
		Long: `show prints everything there is about one record, named by its stream and sequence as
audit list does: the request's headers as received, the raw body, what was decided and
by which key, its leaf hash, whether and by which checkpoint it is sealed, and what else
came with the same body. Text is escaped, and a body that is none is shown in
hexadecimal: nothing from outside reaches the terminal as it was. --raw writes the body
alone, byte for byte, for another program. A body that is encrypted is shown to whoever has
an identity for it; of others, everything but the body.`,
		Example: "  receiver audit show JOBS/12\n  receiver audit show ATTEMPTS/7 --raw > body.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			stream, seq, err := recordID(args[0])
			if err != nil {
				return err
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			bus, done, err := a.read(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			d, err := findDetail(cmd.Context(), cfg, bus, stream, seq)
			if err != nil {
				return err
			}
			switch {
			case raw && d.Encrypted != "":
				return errors.New(d.Encrypted)
			case raw:
				_, err = a.out.Write(d.body)
				return err
			case a.output == "json":
				return printJSON(a.out, d)
			}
			return d.print(a.out)
		},
	}
	a.identityFlag(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "write the body alone, byte for byte")
	return cmd
}

// detail is all there is about one record.
type detail struct {
	trail.Entry
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
	Seal sealState `json:"seal"`
	// Same are other records with the same body.
	Same []string `json:"same_body"`

	body []byte
}

// sealState is how a record is sealed.
type sealState struct {
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

// errNoRecord is returned for a record that is not there.
var errNoRecord = errors.New("there is no such record; it was removed, or never there")

// findDetail reads a record with everything about it.
func findDetail(ctx context.Context, cfg *config.Config, bus *publish.Bus, stream string, seq uint64) (*detail, error) {
	var found *publish.Message
	err := bus.Range(ctx, stream, seq, seq, func(m publish.Message) error { found = &m; return nil })
	if err == nil && found == nil {
		err = fmt.Errorf("%s/%d: %w", stream, seq, errNoRecord)
	}
	if err != nil {
		return nil, err
	}
	r := record(stream, *found)
	d := &detail{Subject: r.Subject, Headers: r.Header, Same: []string{}}
	var ok bool
	if d.Entry, ok = trail.Read(r); !ok { // an event of our own
		d.Entry = trail.Entry{ID: fmt.Sprintf("%s/%d", stream, seq), Stream: stream, Sequence: seq, Stored: r.Time.UTC(), Size: int64(len(r.Data))}
		if claim, err := job.ReadClaim(r.Subject, r.Header); err == nil && claim.Size >= 0 {
			d.Size = claim.Size
		}
	}
	if v := r.Header["receiver-request"]; len(v) > 0 && json.Valid([]byte(v[0])) {
		d.Request = json.RawMessage(v[0])
	}
	hash, err := r.LeafHash()
	if err != nil {
		return nil, err
	}
	d.LeafHash = hash.String()
	d.body, err = bus.Body(ctx, *found)
	switch {
	case errors.Is(err, publish.ErrHidden):
		d.Encrypted, d.BodyKept = unread(fmt.Errorf("%s: %w", d.ID, err)).Error(), true
	case err != nil:
		return nil, err
	default:
		d.setBody()
	}
	if d.Seal, err = sealOf(ctx, cfg, bus, stream, seq); err != nil {
		return nil, err
	}
	d.Same, err = sameBody(ctx, bus, d.Entry)
	return d, err
}

func (d *detail) setBody() {
	d.BodyKept = len(d.body) > 0 || d.Size == 0
	if utf8.Valid(d.body) {
		d.Text = string(d.body)
	} else {
		d.Base64 = d.body
	}
}

// sealOf proves a record against the newest checkpoint.
func sealOf(ctx context.Context, cfg *config.Config, bus *publish.Bus, stream string, seq uint64) (sealState, error) {
	keys, err := auditKeys(cfg.Audit)
	if err != nil {
		return sealState{}, err
	}
	if len(keys.Log) == 0 {
		return sealState{State: "unknown", Why: "audit.key is not set"}, nil
	}
	log, err := openLog(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		return sealState{}, err
	}
	cp, err := log.Checkpoint(ctx)
	if err == nil {
		_, err = log.ProveAt(ctx, cp, seq)
	}
	s := sealState{State: "sealed", Origin: cp.Origin, Size: cp.Tree.N, Root: cp.Tree.Hash.String()}
	for _, c := range cp.Cosignatures {
		s.Witnesses = append(s.Witnesses, c.Witness)
	}
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return sealState{State: "unsealed", Why: "the next sealing covers it"}, nil
	case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile), errors.Is(err, audit.ErrSignature), errors.Is(err, audit.ErrCheckpoint):
		s.State, s.Why = "changed", err.Error()+"; run `receiver audit verify`"
		return s, nil
	}
	return sealState{}, err
}

// maxSame bounds how many records with one body are listed.
const maxSame = 100

// sameBody lists the other records of a body.
func sameBody(ctx context.Context, bus *publish.Bus, of trail.Entry) ([]string, error) {
	same := []string{}
	if of.Body == "" {
		return same, nil
	}
	for e, err := range entries(ctx, bus, trail.Filter{Bodies: []string{of.Body}}, false, nil) {
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

// print shows a record to a person.
func (d *detail) print(w io.Writer) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, printable(value))
		}
	}
	line("record", d.ID)
	line("subject", d.Subject)
	line("stored", d.Stored.Format("2006-01-02T15:04:05.999999999Z07:00"))
	if !d.Received.IsZero() {
		line("received", d.Received.Format("2006-01-02T15:04:05.999999999Z07:00"))
	}
	line("from", d.Remote)
	verdict := d.Verdict
	if d.Reason != "" {
		verdict += ": " + d.Reason
	}
	line("verdict", verdict)
	line("key", strings.TrimSpace(d.Key+" "+d.Fingerprint))
	line("signature", d.Signature)
	line("operator", d.Operator)
	line("leaf hash", d.LeafHash)
	line("seal", d.Seal.text())
	line("body sha256", d.Body)
	line("same body", strings.Join(d.Same, ", "))
	fmt.Fprintln(w, "\nheaders of the record")
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		for _, v := range d.Headers[name] {
			fmt.Fprintf(w, "  %s: %s\n", printable(name), printable(v))
		}
	}
	return d.printBody(w)
}

// notKept says where a body stands that is not in its record.
func (d *detail) notKept() string {
	switch {
	case d.Verdict == trail.Refused:
		return "not kept: it was over limits.attempt_body"
	case len(d.Same) == 0:
		return "kept once only, by a record that is not there any more"
	}
	return "kept once only, in JOBS or by an earlier record of those with the same body: " + strings.Join(d.Same, ", ")
}

func (s sealState) text() string {
	text := s.State
	if s.Size > 0 {
		text += fmt.Sprintf(" by %s of size %d, root %s", s.Origin, s.Size, s.Root)
	}
	if len(s.Witnesses) > 0 {
		text += ", cosigned by " + strings.Join(s.Witnesses, ", ")
	}
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	return text
}

func (d *detail) printBody(w io.Writer) error {
	fmt.Fprintf(w, "\nbody, %d bytes\n", d.Size)
	switch {
	case d.Encrypted != "":
		_, err := fmt.Fprintf(w, "  %s\n", printable(d.Encrypted))
		return err
	case !d.BodyKept:
		_, err := fmt.Fprintf(w, "  %s\n", d.notKept())
		return err
	case d.Base64 != nil:
		_, err := io.WriteString(w, hex.Dump(d.Base64))
		return err
	}
	for text := range strings.Lines(d.Text) {
		fmt.Fprintf(w, "  %s\n", printable(strings.TrimSuffix(text, "\n")))
	}
	return nil
}
