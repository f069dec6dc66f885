package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// TypePrefix begins the CloudEvents type of every event; its kind ends it.
const TypePrefix = "com.sap.openconnectors.bulk.job."

// Evidence says how we came to know what an event tells.
type Evidence string

// The kinds of evidence.
const (
	// ByCallback: the platform's signed callback, kept whole in the event.
	ByCallback Evidence = "callback"
	// ByPoll: the platform's answer to our own authenticated question.
	ByPoll Evidence = "poll"
	// ByUs: our own doing or observation.
	ByUs Evidence = "receiver"
)

// Event is one event of the stream JOBS, before it is written or after it is read.
// Its wire form is a CloudEvents 1.0 event in the binary mode of the NATS protocol
// binding: attributes in `ce-` headers, data as the payload.
type Event struct {
	Kind   Kind
	Source string
	// Job is the normalised view; of an Unrecognised event it is empty.
	Job View
	// Time is when we received or did what the event tells.
	Time time.Time
	// Evidence says how we know.
	Evidence Evidence
	// Reason says why an Unrecognised event is one.
	Reason string
	// Receipt is the callback that the event came by; nil for other evidence.
	Receipt *Receipt
	// ContentType is the media type of Data; empty means application/json.
	ContentType string
	// Data is the raw body of the callback or of the platform's answer, or our own JSON.
	Data []byte
}

// Receipt is what was received with the body of a callback, and what proved it:
// all that is needed to check the signature again.
type Receipt struct {
	// Signature is the value of Elements-Webhook-Signature as received; several
	// values are joined by a comma, as HTTP does.
	Signature string
	// Key is the name of the key that made the signature and Fingerprint its
	// fingerprint; both are empty unless it verified.
	Key, Fingerprint string
	// Remote is the address that the callback came from.
	Remote string
	// Received is when the whole body had arrived.
	Received time.Time
	// Request is the JSON object of the request's headers as received, secrets
	// replaced by fingerprints.
	Request string
}

// Subject returns the subject that the event is published on.
func (e Event) Subject() string { return Subject(e.Source, e.Job.ID, e.Kind) }

// ID returns the CloudEvents id. It is the same whenever and wherever the same
// outcome of the same job is learnt again, so a consumer can forget what it has
// seen by id. Progress and Conflict are one event for each distinct outcome.
func (e Event) ID() string {
	switch e.Kind {
	case Unrecognised:
		return string(Unrecognised) + "." + BodySHA256(e.Data)
	case Progress, Conflict:
		_, word := Classify(e.Job.Status)
		id := Token(e.Job.ID) + "." + string(e.Kind) + "." + Token(word)
		if e.Job.Result != "" {
			id += "." + string(e.Job.Result)
		}
		return id
	}
	return Token(e.Job.ID) + "." + string(e.Kind)
}

// Header returns the headers of the event's message, in the form of nats.Header.
// Values are printable ASCII, percent-encoded in `ce-` headers, and bounded: together
// they stay under the 64 KiB that JetStream stores with one message.
//
// CloudEvents NATS protocol binding 1.0.3-wip, section 3.1.3.
func (e Event) Header() map[string][]string {
	h := make(map[string][]string, 20)
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{visible(value)}
		}
	}
	set("ce-specversion", "1.0")
	set("ce-type", TypePrefix+string(e.Kind))
	set("ce-source", e.Source)
	set("ce-id", e.ID())
	set("ce-time", e.Time.UTC().Format(time.RFC3339Nano))
	set("ce-subject", percentEncode(e.Job.ID))
	set("ce-evidence", string(e.Evidence))
	set("ce-result", string(e.Job.Result))
	set("ce-status", percentEncode(e.Job.Status))
	set("ce-reason", e.Reason)
	contentType := e.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	set("ce-datacontenttype", percentEncode(cut(contentType, MaxText)))
	if e.Job.ID != "" {
		set(headerJob, e.Job.header())
	}
	if e.Receipt != nil {
		e.Receipt.header(set)
		set(headerBody, BodySHA256(e.Data))
	}
	return h
}

// The headers that are ours. They say how we know; the `ce-` headers say what happened.
const (
	headerJob         = "receiver-job"
	headerSignature   = "receiver-signature"
	headerKey         = "receiver-key"
	headerFingerprint = "receiver-key-fingerprint"
	headerBody        = "receiver-body-sha256"
	headerRemote      = "receiver-remote"
	headerReceived    = "receiver-received"
	headerRequest     = "receiver-request"
)

// maxSignature and maxRequest bound what a stranger can make us keep. A signature
// that verified is far shorter; a request is left out whole, being JSON.
const (
	maxSignature = 1 << 10
	maxRequest   = 24 << 10
)

func (r *Receipt) header(set func(name, value string)) {
	set(headerSignature, cut(r.Signature, maxSignature))
	set(headerKey, cut(r.Key, MaxText))
	set(headerFingerprint, r.Fingerprint)
	set(headerRemote, cut(r.Remote, MaxText))
	set(headerReceived, r.Received.UTC().Format(time.RFC3339Nano))
	if len(r.Request) <= maxRequest {
		set(headerRequest, r.Request)
	}
}

// BodySHA256 returns the SHA-256 of a body in hexadecimal, by which bodies are named.
func BodySHA256(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// ParseEvent undoes Subject, Header and the payload of a message of the stream JOBS.
// The callback payload comes back as the same JSON, but not letter for letter. It
// returns an error for a message that this program did not write.
func ParseEvent(subject string, header map[string][]string, data []byte) (Event, error) {
	source, id, kind, err := ParseSubject(subject)
	if err != nil {
		return Event{}, err
	}
	get := getter(header)
	e := Event{
		Kind: kind, Source: source,
		Evidence: Evidence(get("ce-evidence")), Reason: get("ce-reason"),
		Receipt: parseReceipt(get), Data: data,
	}
	if e.ContentType, err = url.PathUnescape(get("ce-datacontenttype")); err != nil {
		return Event{}, fmt.Errorf("message on %q: ce-datacontenttype: %w", subject, err)
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, get("ce-time")); err != nil {
		return Event{}, fmt.Errorf("message on %q: ce-time: %w", subject, err)
	}
	if e.Receipt == nil && get(headerReceived) != "" {
		return Event{}, fmt.Errorf("message on %q has a %s that is not of the form %s", subject, headerReceived, time.RFC3339)
	}
	if kind != Unrecognised {
		if err := json.Unmarshal([]byte(get(headerJob)), &e.Job); err != nil {
			return Event{}, fmt.Errorf("message on %q: %s: %w", subject, headerJob, err)
		}
		if e.Job.ID != id {
			return Event{}, fmt.Errorf("message on %q is about job %q", subject, e.Job.ID)
		}
		e.Job = e.Job.whole(data)
	}
	return e, nil
}

func parseReceipt(get func(string) string) *Receipt {
	received, err := time.Parse(time.RFC3339Nano, get(headerReceived))
	if err != nil {
		return nil // not every event came by a callback
	}
	return &Receipt{
		Signature: get(headerSignature), Key: get(headerKey), Fingerprint: get(headerFingerprint),
		Remote: get(headerRemote), Received: received, Request: get(headerRequest),
	}
}

func getter(header map[string][]string) func(string) string {
	return func(name string) string {
		if v := header[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

// ASCIIJSON returns the JSON text with every character beyond ASCII as \u escapes:
// the same document, fit for a header.
func ASCIIJSON(data []byte) string {
	var b strings.Builder
	b.Grow(len(data))
	for _, r := range string(data) {
		switch {
		case r < 0x20:
			b.WriteByte(' ') // white space between tokens; strings hold it escaped
		case r < 0x7f:
			b.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	return b.String()
}

// percentEncode encodes what may not stand in a CloudEvents header value: all but
// printable ASCII, and space, double quote and percent sign. What is not UTF-8 is
// replaced first, since a reader must refuse it.
//
// CloudEvents NATS protocol binding 1.0.3-wip, section 3.1.3.2.
func percentEncode(s string) string {
	const hexDigits = "0123456789ABCDEF"
	s = strings.ToValidUTF8(s, "\ufffd")
	var b []byte
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && c != '"' && c != '%' {
			if b != nil {
				b = append(b, c)
			}
			continue
		}
		if b == nil {
			b = append(make([]byte, 0, len(s)+8), s[:i]...)
		}
		b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
	}
	if b == nil {
		return s
	}
	return string(b)
}

// cut returns at most the first n bytes of s.
func cut(s string, n int) string { return s[:min(len(s), n)] }

// visible keeps a value from outside on its header line: what is not printable
// ASCII becomes a question mark. The receipt's request holds it escaped.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
