package report

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/verify"
	"receiver/internal/words"
)

// check verifies the signature of a record again. An error is a contradiction.
func (o Options) check(r audit.Record, e auditlog.Entry) (Check, error) {
	c := auditlog.NewChecker(o.Sources, o.Body)
	c.Every(o.Every)
	err := c.Check(r)
	switch {
	case err != nil && !errors.Is(err, audit.ErrNotChecked):
		return Check{}, fmt.Errorf("%w; run `receiver audit verify`", err)
	case err == nil && e.Fingerprint != "":
		return Check{Confirmed, "right, checked again for this report with " + o.keyOf(e)}, nil
	case c.Mended() > 0:
		return Check{RightNow, "refused then; right by a key that is " + o.from() + " now"}, nil
	case err == nil:
		return Check{RefusalConfirmed, "the refusal was checked again for this report, and holds: " + o.refusal(e.Reason)}, nil
	case e.Fingerprint == "" && e.Verdict != auditlog.Refused:
		return Check{Unsigned, "no signature: this receiver alone says so"}, nil
	case errors.Is(err, auditlog.ErrEncrypted):
		return Check{NotChecked, "not checked: the body is encrypted, and no identity was given"}, nil
	case len(c.Gone()) > 0:
		return Check{NotChecked, "not checked: the key that it names is not " + o.from()}, nil
	case len(r.Data) == 0 && e.Size > 0:
		return Check{NotChecked, "not checked: the body is not in the record"}, nil
	}
	return Check{NotChecked, "not checked: the record does not hold what it would be checked with"}, nil
}

// from says where the signature keys are from.
func (o Options) from() string {
	if o.Every != nil {
		return "given"
	}
	return "configured"
}

// keyOf names the key that a record was checked with.
func (o Options) keyOf(e auditlog.Entry) string {
	v := o.Sources[e.Source]
	if o.Every != nil {
		v = o.Every
	}
	for _, k := range v.Keys() {
		if k.Fingerprint() == e.Fingerprint {
			return "the " + o.from() + " key " + k.String()
		}
	}
	return "a " + o.from() + " key, though another one than the record names"
}

// refusal says what was found of a signature that was refused.
func (o Options) refusal(reason string) string {
	switch verify.Reason(reason) {
	case verify.Mismatch:
		return "no " + o.from() + " key makes this signature over this body"
	case verify.Missing:
		return "there is no signature"
	}
	return "the signature is not of the one form that is accepted"
}

// shownBytes is how much of a body a report shows: so much that a record fits on a page. The
// bundle has all of it.
const shownBytes = 1536

// content describes the body of a record.
func (o Options) content(r audit.Record, e auditlog.Entry) Content {
	whole, err := o.Body(r)
	n := max(e.Size, int64(len(whole)))
	size, encrypted, outside := words.Count(n, "byte"), job.Encrypted(r.Header), len(r.Header[job.HeaderDataRef]) > 0
	c := Content{}
	switch {
	case errors.Is(err, auditlog.ErrEncrypted):
		c.State, c.Text = Encrypted, "encrypted: the bundle proves it, and only an identity makes it readable"
	case outside:
		c.State, c.Text = Outside, "kept outside the message: the bundle has its SHA-256 only, so hand the body over beside it"
	case err != nil:
		c.State, c.Text = NotKept, "it cannot be read: "+err.Error()
	case len(whole) == 0 && n > 0:
		c.State, c.Text = NotKept, "not in this record: it was too large to be kept, or an earlier record with the same SHA-256 has it"
	case len(whole) == 0:
		return Content{State: Empty, Text: "empty"}
	case encrypted:
		c.State, c.Text = Encrypted, "decrypted for this report; in the bundle it is encrypted"
	default:
		c.State, c.Text = InBundle, "whole in the bundle"
	}
	if n > 0 {
		c.Text = size + ", " + c.Text
	}
	if err == nil {
		if c.Shown = shown(whole); len(whole) > shownBytes {
			c.Text += "; here is how it begins"
		}
	}
	return c
}

// shown is how a body begins: as it came, or in hexadecimal if it is no text.
func shown(body []byte) string {
	if utf8.Valid(body) {
		if len(body) > shownBytes {
			body = []byte(strings.ToValidUTF8(string(body[:shownBytes]), "")) // a character may be cut
		}
		return string(body)
	}
	return strings.TrimSuffix(hex.Dump(body[:min(len(body), shownBytes/4)]), "\n")
}
