//go:build browser

package checkpage_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
)

// kind is a record of one kind, what it is checked with, and the conclusion of docs/evidence.md.
type kind struct {
	name    string
	subject string
	header  []string // `name: value`; a name alone has no value
	body    string
	keys    []file
	bodies  []string
	want    auditlog.Conclusion // of none, it is not proved for another reason
	code    int
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func fingerprint(key string) string { return "sha256:" + digest(key)[:8] }

const theKey, body = "MySecretEventSignatureKey", `{"id":"7","status":"COMPLETED"}`

// kinds has each line of the tables of check 7 of docs/evidence.md, and what is near it.
func kinds() []kind {
	const event, attempt, duplicate, action = "jobs.demo.7.finished", "attempts.demo.mismatch", "attempts.demo.duplicate", "actions.start"
	signature, other := "receiver-signature: "+sign(theKey, body), "receiver-signature: "+sign("older", body)
	named, otherName := "receiver-key-fingerprint: "+fingerprint(theKey), "receiver-key-fingerprint: "+fingerprint("older")
	hash, size := "receiver-body-sha256: "+digest(body), fmt.Sprintf("receiver-body-size: %d", len(body))
	callback, received := "ce-evidence: callback", "receiver-received: 2026-03-01T12:00:01.5Z"
	outside, encrypted := "receiver-data-ref: nats-object:PAYLOADS/"+digest(body)+".x", "receiver-encryption: age"
	good, both := []file{{"platform.key", []byte(theKey + "\n")}}, []file{{"older.key", []byte("older\r\n")}, {"platform.key", []byte(theKey)}}
	none := auditlog.Conclusion("")
	given := []string{body}
	rows := []kind{
		{"a signed event", event, []string{signature, named, hash, callback, received, "receiver-remote: 10.0.0.1:5", "ce-time: 2026-03-01T12:00:01Z"}, body, good, nil, auditlog.Signed, 0},
		{"accepted late", event, []string{signature, named, hash, "ce-evidence: late", received}, body, good, nil, auditlog.Signed, 0},
		{"an empty body", "jobs.demo.unrecognised", []string{"receiver-signature: " + sign(theKey, ""), named, callback, received, "ce-reason: not_json"}, "", good, nil, auditlog.Signed, 0},
		{"an answer to a poll", event, []string{"ce-evidence: poll", "ce-time: 2026-03-01T12:00:01.25Z"}, body, good, nil, auditlog.Unsigned, 0},
		{"a backfill", event, []string{"ce-evidence: vendor_queue"}, body, good, nil, auditlog.Unsigned, 0},
		{"the receiver's own event", event, []string{"ce-evidence: receiver"}, body, good, nil, auditlog.Unsigned, 0},
		{"an action", action, nil, `{"what":"start","time":"2026-03-01T12:00:01.5+02:00","operator":"root","reason":"` + "\u202e" + `x","details":{"a":[1]}}`, good, nil, auditlog.Unsigned, 0},
		{"an action of another name", action, nil, `{"what":"stop","time":"2026-03-01T12:00:01Z"}`, good, nil, auditlog.Unsigned, 0},
		{"an action without a time", action, nil, `{"What":"start","operator":null}`, good, nil, auditlog.Unsigned, 0},
		{"an action of a bad time", action, nil, `{"what":"start","time":"yesterday"}`, good, nil, auditlog.Unsigned, 0},
		{"an action with a bad operator", action, nil, `{"what":"start","operator":5}`, good, nil, auditlog.Unsigned, 0},
		{"no JSON", action, nil, `{"what":`, good, nil, auditlog.Unsigned, 0},
		{"refused as missing", "attempts.demo.missing", []string{hash, size, received, "receiver-remote: ::1"}, body, good, nil, auditlog.Unsigned, 0},
		{"a late answer to a poll", "attempts.demo.late", []string{hash, size, received}, body, good, nil, auditlog.Unsigned, 0},
		{"late, signed", "attempts.demo.late", []string{signature, named, hash, size, received, "receiver-event: 7.finished"}, body, good, nil, auditlog.Signed, 0},
		{"quarantined", "attempts.demo.quarantined", []string{signature, named, hash, size, received, "receiver-event: ~YS9i.finished"}, body, good, nil, auditlog.Signed, 0},
		{"about another body", "attempts.demo.unconfirmed", []string{signature, named, hash, size, received, "receiver-event: unrecognised." + digest(body)}, body, good, nil, auditlog.Signed, 0},
		{"a job of a bad token", "attempts.demo.unconfirmed", []string{signature, named, hash, size, received, "receiver-event: ~YS9.finished"}, body, good, nil, auditlog.Signed, 0},
		{"refused with another key", attempt, []string{other, hash, size, received}, body, good, nil, auditlog.RefusedRightly, 0},
		{"refused with the given key", attempt, []string{signature, hash, size, received}, body, good, nil, auditlog.RefusedWrongly, 0},
		{"refused for its form", "attempts.demo.malformed", []string{"receiver-signature: sha256=x", hash, size}, body, good, nil, auditlog.RefusedRightly, 0},
		{"two signatures in one", "attempts.demo.ambiguous", []string{signature + ", " + sign(theKey, body), hash, size}, body, good, nil, auditlog.RefusedRightly, 0},
		{"two signatures", attempt, []string{signature, signature, hash, size}, body, good, nil, auditlog.RefusedRightly, 0},
		{"at an unknown source", "attempts._.unknown_source", []string{signature, hash, size, received, "receiver-claimed-source: POST /<b>\u202e"}, body, good, nil, auditlog.RefusedWrongly, 0},
		{"refused for its token", "attempts.demo.missing_token", []string{signature, named, hash, size, received}, body, good, nil, auditlog.Signed, 0},
		{"a duplicate", duplicate, []string{signature, named, hash, size, received}, body, good, nil, auditlog.Signed, 0},
		{"its body left out", attempt, []string{signature, hash, size}, "", good, nil, auditlog.BodyMissing, 3},
		{"its body left out and given", attempt, []string{signature, hash, size}, "", good, given, auditlog.RefusedWrongly, 0},
		{"a duplicate, its body left out", duplicate, []string{signature, named, hash, size}, "", good, nil, auditlog.BodyMissing, 3},
		{"another body left out", attempt, []string{other, hash, size}, "", good, given, auditlog.RefusedRightly, 0},
		{"of another body", attempt, []string{signature, "receiver-body-sha256: " + digest("x"), size}, body, good, nil, auditlog.Contradicting, 1},
		{"the key's name and not its signature", duplicate, []string{other, named, hash, size}, body, good, nil, auditlog.Contradicting, 1},
		{"an event with another key", event, []string{other, otherName, hash, callback}, body, good, nil, auditlog.OtherKey, 1},
		{"an event with another key, given", event, []string{other, otherName, hash, callback}, body, both, nil, auditlog.Signed, 0},
		{"an event with the name of another key", event, []string{signature, otherName, hash, callback}, body, both, nil, auditlog.Signed, 0},
		{"a key of no name", event, []string{signature, hash, callback}, body, good, nil, auditlog.Signed, 0},
		{"an event that names no key", event, []string{other, hash, callback}, body, good, nil, auditlog.Contradicting, 1},
		{"an event with the key's name only", event, []string{other, named, hash, callback}, body, both, nil, auditlog.Signed, 0},
		{"an event with a bad signature", event, []string{"receiver-signature: " + sign("guessed", body), named, hash, callback}, body, both, nil, auditlog.Contradicting, 1},
		{"a callback's event without a signature", event, []string{hash, callback}, body, good, nil, auditlog.Contradicting, 1},
		{"a late event with a blank signature", event, []string{"receiver-signature:  \t", hash, "ce-evidence: late"}, body, good, nil, auditlog.Contradicting, 1},
		{"a name of a key only", event, []string{named, hash, callback}, body, good, nil, auditlog.Contradicting, 1},
		{"a body outside", event, []string{signature, named, hash, callback, outside}, "", good, nil, auditlog.BodyMissing, 3},
		{"a body outside, given", event, []string{signature, named, hash, callback, outside}, "", good, given, auditlog.Signed, 0},
		{"a body outside, another given", event, []string{signature, named, hash, callback, outside}, "", good, []string{"x"}, none, 1},
		{"a body outside, another given too", event, []string{signature, named, hash, callback, outside}, "", good, []string{body, "x"}, none, 1},
		{"a body outside, polled for", event, []string{"ce-evidence: poll", hash, outside}, "", good, nil, auditlog.Unsigned, 0},
		{"a body outside, polled for and given", event, []string{"ce-evidence: poll", hash, outside}, "", good, given, auditlog.Unsigned, 0},
		{"a reference of another form", event, []string{signature, named, callback, "receiver-data-ref: " + digest(body)}, "", good, given, auditlog.Signed, 0},
		{"a reference to no digest", event, []string{signature, named, hash, callback, "receiver-data-ref: x"}, "", good, nil, auditlog.BodyMissing, 3},
		{"a blank reference", event, []string{signature, named, hash, callback, "receiver-data-ref:"}, body, good, nil, "", -1},
		{"two bodies that are nobody's", event, []string{signature, named, hash, callback}, body, good, []string{"x", "y"}, none, 1},
		{"a body that is there, given", event, []string{signature, named, hash, callback}, body, good, given, none, 1},
		{"an encrypted body", event, []string{signature, named, hash, callback, encrypted, size}, "age-encryption.org/v1\n", good, nil, auditlog.BodyEncrypted, 3},
		{"an encrypted body, given decrypted", event, []string{signature, named, hash, callback, encrypted, size}, "age-encryption.org/v1\n", good, given, auditlog.Signed, 0},
		{"an encrypted body, not signed", event, []string{"ce-evidence: poll", hash, encrypted}, "age-encryption.org/v1\n", good, nil, auditlog.Unsigned, 0},
		{"a blank encryption", event, []string{signature, named, hash, callback, "receiver-encryption:"}, body, good, nil, "", -1},
		{"an encrypted body outside", event, []string{signature, named, hash, callback, encrypted, "receiver-data-ref: nats-object:PAYLOADS/" + digest("age") + ".x"}, "", good, nil, auditlog.BodyMissing, 3},
		{"an encrypted body outside, as stored", event, []string{signature, named, hash, callback, encrypted, "receiver-data-ref: nats-object:PAYLOADS/" + digest("age") + ".x"}, "", good, []string{"age"}, auditlog.BodyEncrypted, 3},
		{"an encrypted body outside, given twice", event, []string{signature, named, hash, callback, encrypted, "receiver-data-ref: nats-object:PAYLOADS/" + digest("age") + ".x"}, "", good, []string{"age", body}, auditlog.Signed, 0},
		{"a size with a plus", attempt, []string{signature, hash, "receiver-body-size: +5"}, "", good, nil, auditlog.BodyMissing, 3},
		{"a size below zero", attempt, []string{"receiver-signature: " + sign(theKey, ""), "receiver-body-size: -5"}, "", good, nil, auditlog.RefusedWrongly, 0},
		{"a size of nothing", attempt, []string{"receiver-signature: " + sign(theKey, ""), "receiver-body-size: 0"}, "", good, nil, auditlog.RefusedWrongly, 0},
		{"a size that is none", attempt, []string{"receiver-signature: " + sign(theKey, ""), "receiver-body-size: many"}, "", good, nil, auditlog.RefusedWrongly, 0},
		{"an attempt of another form", "attempts.demo", []string{signature, hash, size}, body, good, nil, auditlog.RefusedWrongly, 0},
		{"another's subject", "elsewhere", []string{signature, hash, callback}, body, good, nil, auditlog.Signed, 0},
		{"no subject", "", []string{callback}, body, good, nil, auditlog.Contradicting, 1},
		{"a hostile subject", "jobs.\u202e\x00.<b>", []string{"\u200b<i>: \ufeff", "ce-evidence: poll"}, "\xff\x00<script>", good, nil, auditlog.Unsigned, 0},
		{"an edge's event", event, []string{signature, named, hash, callback, received, "receiver-edge: e", "receiver-edge-record: JOBS/5", "receiver-edge-stored: 2026-03-01T12:00:01.75+01:00"}, body, good, nil, auditlog.Signed, 0},
		{"an edge's record of no number", event, []string{signature, named, hash, callback, received, "receiver-edge-record: JOBS/x", "receiver-edge-stored: 2026-03-01T12:00:01Z"}, body, good, nil, auditlog.Signed, 0},
		{"an edge's record of the largest number", event, []string{signature, named, hash, callback, received, "receiver-edge-record: JOBS/18446744073709551615", "receiver-edge-stored: 2026-03-01T12:00:01Z"}, body, good, nil, auditlog.Signed, 0},
		{"an edge's record of a larger number", event, []string{signature, named, hash, callback, received, "receiver-edge-record: JOBS/18446744073709551616", "receiver-edge-stored: 2026-03-01T12:00:01Z"}, body, good, nil, auditlog.Signed, 0},
		{"an edge's record of no time", event, []string{signature, named, hash, callback, received, "receiver-edge-record: JOBS/1"}, body, good, nil, auditlog.Signed, 0},
		{"the first time", event, []string{"ce-evidence: poll", "ce-time: 0001-01-01T00:00:00Z"}, body, good, nil, auditlog.Unsigned, 0},
		{"a blank key file", event, nil, body, []file{{"platform.key", []byte(" \n")}}, nil, none, 2},
		{"a key file of a byte order mark", event, nil, body, []file{{"platform.key", []byte("\ufeffkey")}}, nil, none, 2},
		{"a key file with quotes", event, nil, body, []file{{"platform.key", []byte("\"key\"\n")}}, nil, none, 2},
		{"a key file of UTF-16", event, nil, body, []file{{"platform.key", []byte("k\x00e\x00y\x00")}}, nil, none, 2},
		{"a key that ends in a space", event, []string{"receiver-signature: " + sign(theKey+" ", body), "receiver-key-fingerprint: " + fingerprint(theKey+" "), callback}, body, []file{{"platform.key", []byte(theKey + " \n")}}, nil, auditlog.Signed, 0},
		{"a key that ends in two line breaks", event, []string{signature, named, hash, callback}, body, []file{{"platform.key", []byte(theKey + "\n\n")}}, nil, auditlog.OtherKey, 1},
	}
	for _, form := range []string{"SHA256=%", " \tsha256=% \t", "Sha256=%", "sha256= %", "sha256=%=", "sha256%", "sha1=%", "\u017fha256=%", "sha256=\n%", "% ", "sha256=%\r"} {
		value := strings.Replace(form, "%", strings.TrimPrefix(sign(theKey, body), "sha256="), 1)
		rows = append(rows, kind{fmt.Sprintf("a signature %q", form), event, []string{"receiver-signature: " + value, named, hash, callback}, body, good, nil, "", -1})
	}
	for _, time := range []string{"2026-03-01T12:00:01Z", "2026-03-01T1:00:01Z", "2026-03-01T12:00:01,5Z", "2026-03-01T12:00:01.123456789123+00:00", "2026-03-01T12:00:01.100-24:60", "2026-03-01T12:00:01+25:00", "2026-03-01T24:00:01Z",
		"2026-02-29T12:00:01Z", "2026-03-01 12:00:01Z", "2026-03-01T12:00:01", "2026-03-01T12:00:01.Z", "2026-03-01T12:00:01z", "0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59.999999999-01:00", ""} {
		rows = append(rows, kind{"received at " + time, event, []string{"ce-evidence: poll", "receiver-received: " + time, "ce-time: " + time}, body, good, nil, auditlog.Unsigned, 0},
			kind{"an action at " + time, action, nil, `{"what":"start","time":"` + time + `"}`, good, nil, auditlog.Unsigned, 0})
	}
	for _, subject := range []string{"jobs.demo.7.started", "jobs.Demo.7.finished", "jobs.demo.finished", "jobs.demo.a.b.finished", "jobs.demo.~YS9i.finished", "jobs.demo.~YS9j=.finished", "jobs.demo.~YWI.finished", "jobs.demo.~.finished",
		"jobs.demo.a b.finished", "jobs.demo.Nats-x.lost", "jobs.demo.~" + encode("a b", 256) + ".finished", "jobs.demo.~" + encode("a b", 257) + ".finished", "jobs.demo." + digest(body) + ".unrecognised", "jobs.demo.7.unrecognised", "attempts._.wrong_path", "attempts.DEMO.mismatch", "attempts.demo.", "attempts.demo.a.b"} {
		rows = append(rows, kind{"a record of " + subject, subject, []string{signature, hash, size, "ce-evidence: poll", received}, body, good, nil, "", -1})
	}
	return rows
}

// encode returns the token of an id of so many bytes.
func encode(id string, n int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(id + strings.Repeat("x", n-len(id))))
}

func (k kind) record(r *audit.Record) {
	r.Subject, r.Data, r.Header = k.subject, []byte(k.body), map[string][]string{}
	for _, line := range k.header {
		name, value, _ := strings.Cut(line, ":")
		r.Header[name] = append(r.Header[name], strings.TrimPrefix(value, " "))
	}
}

// Of a record of each kind, with a key and without, the page says what the command says, which is
// what docs/evidence.md says.
func TestThePageAgreesOnConclusions(t *testing.T) {
	rows := kinds()
	var checks []check
	changes, seqs := map[uint64]func(*audit.Record){}, []uint64{}
	for i, k := range rows {
		seq := uint64(i + 1)
		changes[seq] = k.record
		if k.code == 0 && k.bodies == nil && len(k.keys) == 1 && k.keys[0].Bytes[0] == 'M' {
			seqs = append(seqs, seq)
		}
	}
	for i, k := range rows {
		data := sealed(t, len(rows), changes, uint64(i+1))
		c := check{name: k.name, Bundle: data, LogKeys: []string{logKey(t)}, SignatureKeys: k.keys}
		for n, text := range k.bodies {
			c.Bodies = append(c.Bodies, file{fmt.Sprintf("body-%d", 9-n), []byte(text)}) // in no order
		}
		checks = append(checks, c)
		c.name, c.SignatureKeys = k.name+", without a key", nil
		checks = append(checks, c)
	}
	seen, answers := map[auditlog.Conclusion]bool{}, agree(t, checks)
	for i, k := range rows {
		seen[k.want] = true
		a := answers[2*i]
		if text := a.Why + strings.Join(a.Lines, "\n"); k.code >= 0 && a.Code != k.code || !strings.Contains(text, string(k.want)) {
			t.Errorf("%s: exit code %d with %q, want %d with %q", k.name, a.Code, text, k.code, k.want)
		}
	}
	for _, c := range []auditlog.Conclusion{auditlog.Signed, auditlog.RefusedWrongly, auditlog.RefusedRightly, auditlog.Unsigned, auditlog.BodyEncrypted, auditlog.BodyMissing, auditlog.OtherKey, auditlog.Contradicting} {
		if !seen[c] {
			t.Errorf("no record comes to %q", c)
		}
	}
	all := sealed(t, len(rows), changes, slices.Compact(seqs)...)
	agree(t, []check{{name: "all at once", Bundle: all, LogKeys: []string{logKey(t)}, SignatureKeys: []file{platformKey}}})
}
