package auditlog_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/verify"
)

const (
	keyNow   = "the key that is configured"
	keyGone  = "the key that was configured once"
	keyOther = "the key of nobody"
)

var body = []byte(`{"id":"7","status":"COMPLETED"}`)

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func key(t *testing.T, name, secret string) *verify.Key {
	t.Helper()
	k, err := verify.NewKey(name, []byte(secret), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func verifiers(t *testing.T) map[string]*verify.Verifier {
	t.Helper()
	v, err := verify.New(key(t, "now", keyNow))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*verify.Verifier{"demo": v}
}

// eventRecord is an event that says it was signed with a key.
func eventRecord(t *testing.T, evidence job.Evidence, by, signature string) audit.Record {
	t.Helper()
	e := job.Event{
		Kind: job.Finished, Source: "demo", Job: job.View{ID: "7"}, Time: time.Now(), Evidence: evidence, Data: body,
		Receipt: &job.Receipt{Signature: signature, Received: time.Now()},
	}
	if by != "" {
		k := key(t, "k", by)
		e.Receipt.Key, e.Receipt.Fingerprint = k.Name(), k.Fingerprint()
	}
	return audit.Record{Stream: "JOBS", Seq: 1, Subject: e.Subject(), Header: e.Header().Map(), Data: body}
}

func attemptRecord(t *testing.T, source, verdict, by, signature string) audit.Record {
	t.Helper()
	a := job.Attempt{
		Source: source, Verdict: verdict, Receipt: job.Receipt{Signature: signature, Received: time.Now()},
		Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
	if by != "" {
		k := key(t, "k", by)
		a.Receipt.Key, a.Receipt.Fingerprint = k.Name(), k.Fingerprint()
	}
	return audit.Record{Stream: "ATTEMPTS", Seq: 1, Subject: a.Subject(), Header: a.Header().Map(), Data: body}
}

func TestCheck(t *testing.T) {
	right, wrong, old := sign(keyNow, body), sign(keyOther, body), sign(keyGone, body)
	changed := func(r audit.Record) audit.Record { r.Data = []byte(`{"id":"7","status":"ABORTED"}`); return r }
	action, err := job.Action{What: job.ActionStart}.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		record audit.Record
		want   string // "": holds; "-": not checked; else part of what is wrong
	}{
		{"event, signed", eventRecord(t, job.ByCallback, keyNow, right), ""},
		{"event, let in later", eventRecord(t, job.ByReverify, keyNow, right), ""},
		{"event, forged with the fingerprint of a key", eventRecord(t, job.ByCallback, keyNow, wrong), "its signature is not one of key now"},
		{"event, body changed", changed(eventRecord(t, job.ByCallback, keyNow, right)), "the SHA-256 of its body differs"},
		{"event, key gone", eventRecord(t, job.ByCallback, keyGone, old), "-"},
		{"event, key gone and body changed", changed(eventRecord(t, job.ByCallback, keyGone, old)), "the SHA-256 of its body differs"},
		{"event by callback without a key", eventRecord(t, job.ByCallback, "", right), "names no key"},
		{"event let in later without a key", eventRecord(t, job.ByReverify, "", right), "names no key"},
		{"event that was asked for", eventRecord(t, job.ByPoll, "", ""), "-"},
		{"event of our own", eventRecord(t, job.ByUs, "", ""), "-"},
		{"event that says nothing", eventRecord(t, "", keyNow, right), "does not say how"},
		{"no event at all", audit.Record{Stream: "JOBS", Subject: "jobs.x"}, "is not jobs."},
		{"duplicate, signed", attemptRecord(t, "demo", job.Duplicate, keyNow, right), ""},
		{"duplicate, forged", attemptRecord(t, "demo", job.Duplicate, keyNow, wrong), "its signature is not one"},
		{"duplicate of a source that is gone", attemptRecord(t, "gone", job.Duplicate, keyGone, old), "-"},
		{"late, an answer to our question", attemptRecord(t, "demo", job.Late, "", ""), "-"},
		{"signed, refused for its token", attemptRecord(t, "demo", "missing_token", keyNow, right), ""},
		{"mismatch", attemptRecord(t, "demo", "mismatch", "", wrong), ""},
		{"mismatch that is right by now", attemptRecord(t, "demo", "mismatch", "", right), ""},
		{"mismatch, body changed", changed(attemptRecord(t, "demo", "mismatch", "", wrong)), "the SHA-256 of its body differs"},
		{"malformed by what was cut off", attemptRecord(t, "demo", "malformed", "", right+strings.Repeat(" ", 1100)+"x"), "-"},
		{"ambiguous by what was cut off", attemptRecord(t, "demo", "ambiguous", "", right+strings.Repeat(" ", 1100)+","+right), "-"},
		{"missing", attemptRecord(t, "demo", "missing", "", ""), ""},
		{"missing that is there", attemptRecord(t, "demo", "missing", "", wrong), "but has one"},
		{"malformed", attemptRecord(t, "demo", "malformed", "", "sha256=x"), ""},
		{"malformed that is right", attemptRecord(t, "demo", "malformed", "", right), "but its signature is correct"},
		{"unknown source", attemptRecord(t, job.NoSource, job.UnknownSource, "", right), "-"},
		{"no attempt at all", audit.Record{Stream: "ATTEMPTS", Subject: "attempts.demo.missing"}, "is not the size"},
		{"action", audit.Record{Stream: "ACTIONS", Subject: "actions.start", Data: action}, "-"},
		{"no action at all", audit.Record{Stream: "ACTIONS", Subject: "actions.cancel", Data: action}, "is about action"},
	} {
		got := auditlog.NewChecker(verifiers(t), nil).Check(row.record)
		ok := row.want == "" && got == nil || row.want == "-" && errors.Is(got, audit.ErrNotChecked) ||
			row.want != "" && row.want != "-" && got != nil && !errors.Is(got, audit.ErrNotChecked) && strings.Contains(got.Error(), row.want)
		if !ok {
			t.Errorf("%s: Check = %v, want %q", row.name, got, row.want)
		}
		if got != nil && strings.Contains(got.Error(), "status") {
			t.Errorf("%s: %v quotes the record", row.name, got)
		}
	}
}

func TestCheckOfBodiesThatAreNotThere(t *testing.T) {
	large := attemptRecord(t, "demo", "mismatch", "", sign(keyNow, body))
	large.Data = nil
	if err := auditlog.NewChecker(verifiers(t), nil).Check(large); !errors.Is(err, audit.ErrNotChecked) {
		t.Errorf("a body over the bound: Check = %v, want ErrNotChecked", err)
	}
	referred := eventRecord(t, job.ByCallback, keyNow, sign(keyNow, body))
	referred.Data = nil
	for name, row := range map[string]struct {
		body []byte
		err  error
		want error
	}{
		"found elsewhere": {body, nil, nil},
		"out of reach":    {nil, audit.ErrNotChecked, audit.ErrNotChecked},
	} {
		c := auditlog.NewChecker(verifiers(t), func(audit.Record) ([]byte, error) { return row.body, row.err })
		if err := c.Check(referred); !errors.Is(err, row.want) {
			t.Errorf("%s: Check = %v, want %v", name, err, row.want)
		}
	}
}

// TestCheckOfEncryptedBodies holds that signatures are checked over what was signed, and only
// a body that cannot be read for want of a key is left unchecked.
func TestCheckOfEncryptedBodies(t *testing.T) {
	damaged := errors.New("decrypting a body: it is damaged")
	other := []byte(`{"id":"7","status":"ABORTED"}`)
	for _, row := range []struct {
		name   string
		record audit.Record
		body   []byte
		err    error
		want   string // as in TestCheck
		hidden int
	}{
		{"event, decrypted", eventRecord(t, job.ByCallback, keyNow, sign(keyNow, body)), body, nil, "", 0},
		{"event, decrypted and another", eventRecord(t, job.ByCallback, keyNow, sign(keyNow, body)), other, nil, "the SHA-256 of its body differs", 0},
		{"event, decrypted and forged", eventRecord(t, job.ByCallback, keyNow, sign(keyOther, body)), body, nil, "its signature is not one", 0},
		{"event, hidden", eventRecord(t, job.ByCallback, keyNow, sign(keyOther, body)), nil, auditlog.ErrEncrypted, "-", 1},
		{"event, damaged", eventRecord(t, job.ByCallback, keyNow, sign(keyNow, body)), nil, damaged, "it is damaged", 0},
		{"duplicate, hidden", attemptRecord(t, "demo", job.Duplicate, keyNow, sign(keyNow, body)), nil, auditlog.ErrEncrypted, "-", 1},
		{"mismatch, decrypted", attemptRecord(t, "demo", "mismatch", "", sign(keyOther, body)), body, nil, "", 0},
		{"mismatch, decrypted and another", attemptRecord(t, "demo", "mismatch", "", sign(keyOther, body)), other, nil, "the SHA-256 of its body differs", 0},
		{"malformed, decrypted and right", attemptRecord(t, "demo", "malformed", "", sign(keyNow, body)), body, nil, "but its signature is correct", 0},
		{"mismatch, hidden", attemptRecord(t, "demo", "mismatch", "", sign(keyOther, body)), nil, auditlog.ErrEncrypted, "-", 1},
		{"event that was asked for, hidden", eventRecord(t, job.ByPoll, "", ""), nil, auditlog.ErrEncrypted, "-", 0},
		{"event that was asked for, decrypted", eventRecord(t, job.ByPoll, "", ""), body, nil, "-", 0},
		{"event that was asked for, decrypted and another", eventRecord(t, job.ByPoll, "", ""), other, nil, "the SHA-256 of its body differs", 0},
		{"event that was asked for, damaged", eventRecord(t, job.ByPoll, "", ""), nil, damaged, "it is damaged", 0},
		{"event of our own, decrypted and another", eventRecord(t, job.ByUs, "", ""), other, nil, "the SHA-256 of its body differs", 0},
	} {
		row.record.Data = []byte("age-encryption.org/v1")
		c := auditlog.NewChecker(verifiers(t), func(audit.Record) ([]byte, error) { return row.body, row.err })
		got := c.Check(row.record)
		ok := row.want == "" && got == nil || row.want == "-" && errors.Is(got, audit.ErrNotChecked) ||
			row.want != "" && row.want != "-" && got != nil && !errors.Is(got, audit.ErrNotChecked) && strings.Contains(got.Error(), row.want)
		if !ok || c.Hidden() != row.hidden {
			t.Errorf("%s: Check = %v, %d hidden, want %q and %d", row.name, got, c.Hidden(), row.want, row.hidden)
		}
	}
}

func TestCheckerCountsWhatKeysExplain(t *testing.T) {
	c := auditlog.NewChecker(verifiers(t), nil)
	for range 3 {
		_ = c.Check(eventRecord(t, job.ByCallback, keyGone, sign(keyGone, body)))
		_ = c.Check(attemptRecord(t, "demo", "mismatch", "", sign(keyNow, body)))
		_ = c.Check(attemptRecord(t, "demo", "mismatch", "", sign(keyOther, body)))
	}
	want := []string{key(t, "k", keyGone).Fingerprint() + " (3)"}
	if got := c.Gone(); !slices.Equal(got, want) {
		t.Errorf("Gone = %q, want %q", got, want)
	}
	if got := c.Mended(); got != 3 {
		t.Errorf("Mended = %d, want 3", got)
	}
}
