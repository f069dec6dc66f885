package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
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
	// ByVendorQueue: a callback that the platform had given up to send, read from its
	// queue by our own authenticated question. It carries no signature.
	ByVendorQueue Evidence = "vendor-queue"
	// ByReverify: the platform's signed callback, as ByCallback, but refused when it came, because
	// a key was wrong here, and accepted by an operator after the key was corrected.
	ByReverify Evidence = "late"
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
	// Reason says why an Unrecognised event is one, which always has a Receipt.
	Reason string
	// Unexpected is true when nothing told, when the event was made, that the job was
	// submitted here. A callback can overtake the answer to its submission, so only the
	// job's submitted event, or none for good, settles it.
	Unexpected bool
	// Receipt is the callback that the event came by; nil for other evidence.
	Receipt *Receipt
	// Redacted is true when Data is not as the platform gave it: secrets of callback
	// addresses are replaced by their fingerprints (Redact). Never of a callback.
	Redacted bool
	// ContentType is the media type of Data; empty means application/json.
	ContentType string
	// Data is the raw body of the callback or of the platform's answer, or our own JSON. Of
	// an event that was read it is nil when only its headers were.
	Data []byte
	// Trace is the traceparent of the span that published the event; empty if it was not traced. It
	// is no part of what the event tells.
	Trace string
	// Hidden is true of an event that was read whose data is encrypted and was not decrypted: parts
	// that are only in the data are missing from Job, which names it in Cut.
	Hidden bool
	// Lost is true of an event that was read whose data was kept apart from it and is not
	// there any more: Data is nil, and Job lacks what it names in Cut.
	Lost bool

	digest string // of data that is not here
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
func (e Event) Subject() string {
	if e.Kind == Unrecognised {
		return Subject(e.Source, e.dataSHA256(), e.Kind)
	}
	return Subject(e.Source, e.Job.ID, e.Kind)
}

// ID returns the CloudEvents id. It is the same whenever and wherever the same
// outcome of the same job is learnt again, so a consumer can forget what it has
// seen by id. Progress and Conflict are one event for each distinct outcome.
func (e Event) ID() string {
	switch e.Kind {
	case Unrecognised:
		return string(Unrecognised) + "." + e.dataSHA256()
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

// Header returns the headers of the event's message. Values are percent-encoded in `ce-`
// headers, and bounded: together they stay under the 64 KiB that JetStream stores with one
// message.
//
// CloudEvents NATS protocol binding 1.0.3-wip, section 3.1.3.
func (e Event) Header() Header { return e.header(View.appendTo) }

// EncryptedHeader is Header for a message whose data will be the encrypted Data. It says so,
// and gives digest and length of Data whatever the event is known by, and leaves out of the
// job what only Data may tell: the texts that people wrote, the callback payload first of all.
func (e Event) EncryptedHeader() Header {
	h := e.header(View.sparse)
	h = h.Set(headerEncryption, ByAge)
	h = h.Set(headerSize, strconv.Itoa(len(e.Data)))
	if e.Receipt == nil { // those that came by a callback have it anyway
		h = h.Set(HeaderBody, e.dataSHA256())
	}
	return h
}

// usualHeader is about what the headers of an event take beside those of its request.
const usualHeader = 1 << 10

func (e *Event) header(view func(View, Header) Header) Header {
	room := usualHeader
	if e.Receipt != nil {
		room = usualHeader + len(e.Receipt.Request)
	}
	h := make(Header, 0, room)
	h = h.Set(headerVersion, "1.0")
	h = append(append(append(h.name(HeaderType), TypePrefix...), e.Kind...), "\r\n"...)
	h = h.Set(headerSource, e.Source)
	h = h.Set(HeaderID, e.ID())
	h = h.time(headerTime, e.Time, time.RFC3339Nano)
	h = h.Set(headerSubject, percentEncode(e.Job.ID))
	h = h.Set(HeaderEvidence, string(e.Evidence))
	h = h.Set(HeaderResult, string(e.Job.Result))
	h = h.Set(headerStatus, percentEncode(e.Job.Status))
	h = h.Set(HeaderReason, e.Reason)
	if e.Unexpected {
		h = h.Set(headerExpected, "false")
	}
	if until := e.FilesUntil(); !until.IsZero() {
		h = h.time(HeaderFilesUntil, until, time.RFC3339)
	}
	if e.Redacted {
		h = h.Set(headerRedacted, redactedAddress)
	}
	contentType := e.ContentType
	if contentType == "" {
		contentType = "application/json"
	}
	h = h.Set(headerContentType, percentEncode(cut(contentType, MaxText)))
	h = h.Set(HeaderTrace, e.Trace)
	if e.Job.ID != "" {
		h = append(view(e.Job, h.name(HeaderJob)), "\r\n"...)
	}
	if e.Receipt != nil {
		h = e.Receipt.appendTo(h).Set(HeaderBody, e.dataSHA256())
	}
	return h
}

func (e Event) dataSHA256() string {
	if e.Hidden || e.Data == nil && e.digest != "" {
		return e.digest
	}
	return BodySHA256(e.Data)
}

// Digest returns the SHA-256 of the event's data in hexadecimal, also of data that is not
// here, as far as it is known; else it is empty.
func (e Event) Digest() string {
	if e.Data == nil {
		return e.digest
	}
	return e.dataSHA256()
}

// Without returns the event without its data, whose digest is known.
func (e Event) Without(digest string) Event {
	e.Data, e.digest = nil, digest
	return e
}

// Retention is how long the platform keeps a job's files, errors and status at most.
//
// OC: section 1.4.
const Retention = 3 * 24 * time.Hour

// FilesUntil returns when, at the latest, the files of a job that finished are gone
// from the platform, counted from its end as the platform says, or else from when we
// heard of it. It is zero for other kinds of event.
func (e Event) FilesUntil() time.Time {
	if e.Kind != Finished {
		return time.Time{}
	}
	end := e.Time
	if e.Job.Ended != "" {
		if said, err := time.Parse(time.RFC3339, e.Job.Ended); err == nil && said.Before(end) {
			end = said
		}
	}
	return end.UTC().Add(Retention)
}

// BodySHA256 returns the SHA-256 of a body in hexadecimal, by which bodies are named.
func BodySHA256(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// ParseEvent undoes Subject, Header and the payload of a message of the stream JOBS.
// The callback payload comes back as the same JSON, but not letter for letter. It
// returns an error for a message that this program did not write. Data that is encrypted is
// given decrypted, or nil: then the event is Hidden.
func ParseEvent(subject string, header map[string][]string, data []byte) (Event, error) {
	source, id, kind, err := ParseSubject(subject)
	if err != nil {
		return Event{}, err
	}
	get := LookupIn(header)
	e := Event{
		Kind: kind, Source: source,
		Evidence: Evidence(get(HeaderEvidence)), Reason: get(HeaderReason),
		Receipt: parseReceipt(get), Data: data, Unexpected: get(headerExpected) == "false",
		Redacted: get(headerRedacted) != "", Trace: get(HeaderTrace),
	}
	if data == nil {
		e.Hidden, e.digest = Encrypted(header), get(HeaderBody)
	}
	if e.ContentType, err = url.PathUnescape(get(headerContentType)); err != nil {
		return Event{}, fmt.Errorf("message on %q: ce-datacontenttype: %w", subject, err)
	}
	if e.Time, err = time.Parse(time.RFC3339Nano, get(headerTime)); err != nil {
		return Event{}, fmt.Errorf("message on %q: ce-time: %w", subject, err)
	}
	if e.Receipt == nil && get(headerReceived) != "" {
		return Event{}, fmt.Errorf("message on %q has a %s that is not of the form %s", subject, headerReceived, time.RFC3339)
	}
	switch said := get(HeaderBody); {
	case kind != Unrecognised:
		if err := json.Unmarshal([]byte(get(HeaderJob)), &e.Job); err != nil {
			return Event{}, fmt.Errorf("message on %q: %s: %w", subject, HeaderJob, err)
		}
		if e.Job.ID != id {
			return Event{}, fmt.Errorf("message on %q is about job %q", subject, e.Job.ID)
		}
		e.Job = e.Job.whole(data)
	case id != "" && said != "" && said != id:
		return Event{}, fmt.Errorf("message on %q is of body %q", subject, said)
	}
	return e, nil
}
