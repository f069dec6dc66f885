package job

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Attempt is a callback that made no event: one that was refused, or an authentic
// one that told nothing new. It is one message of the stream ATTEMPTS, on the subject
// `attempts.<source>.<verdict>`.
type Attempt struct {
	// Source is the configured source, or NoSource.
	Source string
	// Claimed is the source that the request named if there is none of that name, and for
	// WrongPath and WrongMethod its method and path; its header holds at most MaxText bytes
	// of it, in printable ASCII.
	Claimed string
	// Verdict is the reason of a refusal, or Duplicate, or another word of ours:
	// lower case and underscores.
	Verdict string
	Receipt Receipt
	// Body is the raw body, or nil if it was over the bound for refused bodies; Size and SHA256
	// (hexadecimal) are always those of the whole body.
	Body   []byte
	Size   int64
	SHA256 string
	// Event is the id of the event that was there already; empty if there is none.
	Event string
	// Repeats is how many callbacks with this body, source and verdict the attempt represents that
	// have no record of their own, the one of the Receipt being the last; 0 means that it stands
	// for that one.
	Repeats int
	// Redacted is as that of an event: Body is an answer of the platform's, redacted.
	Redacted bool
	// Hidden is true of an attempt that was read whose body was kept encrypted and was not
	// decrypted; Body is nil.
	Hidden bool
}

// NoSource replaces the source in the subject of attempts at unknown sources. It is no valid source
// name, so nothing from outside can choose a subject.
const NoSource = "_"

// The verdicts on attempts that are not reasons of verify.
const (
	// UnknownSource: the address names no configured source.
	UnknownSource = "unknown_source"
	// WrongPath: it came to an address that is none for callbacks. It is answered 404,
	// whatever its signature is.
	WrongPath = "wrong_path"
	// WrongMethod: it came by a method that its address is not for, such as GET. It is answered
	// 405, whatever its signature is.
	WrongMethod = "wrong_method"
	// Encoded: the sender says that the body is compressed, or in another coding that changes
	// its bytes. It is answered 415, whatever its signature is.
	Encoded = "encoded"
	// Duplicate: authentic, and its event is already there.
	Duplicate = "duplicate"
	// Late: as Duplicate, but of the callback and our own question to the platform one
	// told the end of the job first, and this is the other.
	Late = "late"
	// Quarantined: authentic, about a job that was not submitted here, at a source that
	// wants to look at such first. Releasing it makes it an event.
	Quarantined = "quarantined"
	// Unconfirmed: authentic, but the platform, asked again, did not say the same. The
	// job is being watched until it says how it ended.
	Unconfirmed = "unconfirmed"
)

// Subject returns `attempts.<source>.<verdict>`.
func (a Attempt) Subject() string { return AttemptsPrefix + a.Source + "." + a.Verdict }

// Header returns the headers of the attempt's message.
func (a Attempt) Header() Header {
	h := a.Receipt.appendTo(make(Header, 0, usualHeader))
	h = h.Set(HeaderBody, a.SHA256)
	h = h.Set(headerSize, strconv.FormatInt(a.Size, 10))
	h = h.Set(HeaderClaimed, cut(a.Claimed, MaxText))
	h = h.Set(headerEvent, a.Event)
	if a.Repeats > 0 {
		h = h.Set(headerRepeats, strconv.Itoa(a.Repeats))
	}
	if a.Redacted {
		h = h.Set(headerRedacted, redactedAddress)
	}
	return h
}

// EncryptedHeader is Header for a message whose data will be the encrypted Body.
func (a Attempt) EncryptedHeader() Header { return a.Header().Set(headerEncryption, ByAge) }

// ParseAttempt undoes Subject, Header and the payload of a message of the stream
// ATTEMPTS. It returns an error for a message that this program did not write. A body that
// is encrypted is given decrypted, or nil: then the attempt is Hidden.
func ParseAttempt(subject string, header map[string][]string, data []byte) (Attempt, error) {
	source, verdict, err := parseAttemptSubject(subject)
	if err != nil {
		return Attempt{}, err
	}
	get := LookupIn(header)
	receipt := parseReceipt(get)
	if receipt == nil {
		return Attempt{}, fmt.Errorf("message on %q has no %s of the form %s", subject, headerReceived, time.RFC3339)
	}
	size, err := strconv.ParseInt(get(headerSize), 10, 64)
	if err != nil || size < 0 || len(data) > 0 && size != int64(len(data)) {
		return Attempt{}, fmt.Errorf("message on %q: %s %q is not the size of the body", subject, headerSize, get(headerSize))
	}
	a := Attempt{
		Source: source, Verdict: verdict, Receipt: *receipt, Claimed: get(HeaderClaimed),
		SHA256: get(HeaderBody), Event: get(headerEvent), Size: size,
		Redacted: get(headerRedacted) != "",
	}
	a.Repeats, _ = strconv.Atoi(get(headerRepeats))
	if a.Size == 0 || len(data) > 0 {
		a.Body = data
	}
	a.Hidden = Encrypted(header) && data == nil
	return a, nil
}

// parseAttemptSubject undoes Attempt.Subject.
func parseAttemptSubject(subject string) (source, verdict string, err error) {
	rest, attempt := strings.CutPrefix(subject, AttemptsPrefix)
	source, verdict, _ = strings.Cut(rest, ".")
	if !attempt || !ValidSource(source) && source != NoSource || verdict == "" || strings.Contains(verdict, ".") {
		return source, verdict, fmt.Errorf("subject %q is not attempts.<source>.<verdict>", subject)
	}
	return source, verdict, nil
}
