package job

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// The headers of CloudEvents, which say what happened. A name that begins with a capital letter is
// read elsewhere, too; no header is spelt anywhere else.
const (
	headerVersion     = "ce-specversion"
	HeaderType        = "ce-type"
	headerSource      = "ce-source"
	HeaderID          = "ce-id"
	headerTime        = "ce-time"
	headerSubject     = "ce-subject"
	HeaderEvidence    = "ce-evidence"
	HeaderResult      = "ce-result"
	headerStatus      = "ce-status"
	HeaderReason      = "ce-reason"
	headerExpected    = "ce-expected"
	HeaderFilesUntil  = "ce-filesuntil"
	headerContentType = "ce-datacontenttype"
	// HeaderTrace names the span that published the event, by W3C Trace Context. A NATS server acts
	// on a header `traceparent`, so that is not used.
	//
	// CloudEvents, "Distributed Tracing extension".
	HeaderTrace = "ce-traceparent"
)

// The headers that are ours. They say how we know.
const (
	HeaderJob         = "receiver-job"
	HeaderSignature   = "receiver-signature"
	headerKey         = "receiver-key"
	HeaderFingerprint = "receiver-key-fingerprint"
	HeaderBody        = "receiver-body-sha256"
	HeaderRemote      = "receiver-remote"
	headerReceived    = "receiver-received"
	HeaderRequest     = "receiver-request"
	headerSize        = "receiver-body-size"
	HeaderClaimed     = "receiver-claimed-source"
	headerEvent       = "receiver-event"
	headerRepeats     = "receiver-repeats"
	headerRedacted    = "receiver-redacted"
	headerEncryption  = "receiver-encryption"
	// HeaderDataRef refers to a body kept in the object store: the bucket and the object's name.
	HeaderDataRef = "receiver-data-ref"
	// HeaderReplayOf is the sequence in JOBS of an event that was published once more.
	HeaderReplayOf = "receiver-replay-of"
	// HeaderChunk numbers the chunks of an object that an edge uploads, from 0.
	HeaderChunk = "receiver-chunk"
)

// HeaderLeftOut is how many bytes of data the NATS server left out of a message.
const HeaderLeftOut = ServerPrefix + "Msg-Size"

// redactedAddress is the value of headerRedacted: what was redacted.
const redactedAddress = "callback-address"

// ByAge is the value of the header `receiver-encryption`: the data is an age v1 file.
const ByAge = "age"

// Encrypted reports whether the data of a message with these headers is encrypted. The other
// headers then describe the decrypted data: digest, size, media type.
func Encrypted(header map[string][]string) bool { return len(header[headerEncryption]) > 0 }

// Header is the headers of a message in their wire format: a line `name: value` for each, ended by
// CR LF. Names are ASCII, values printable ASCII.
//
// NATS ADR-4, "Message Headers", without its first line and the empty last one.
type Header []byte

// Map returns the headers in the form of nats.Header.
func (h Header) Map() map[string][]string { return MapOf(h) }

// MapOf returns headers in the form of nats.Header.
func MapOf(headers ...Header) map[string][]string {
	m := map[string][]string{}
	for _, h := range headers {
		for line := range strings.Lines(string(h)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
			m[name] = append(m[name], value)
		}
	}
	return m
}

// Set returns the headers with one more, unless its value is empty.
func (h Header) Set(name, value string) Header {
	if value == "" {
		return h
	}
	return h.own(name, harmless(name, visible(value)))
}

// own is Set for a value that needs no look.
func (h Header) own(name, value string) Header {
	if value == "" {
		return h
	}
	return append(append(h.name(name), value...), "\r\n"...)
}

// Digest returns the SHA-256 of the body as the headers of an event tell it; empty if they
// do not.
func (h Header) Digest() []byte {
	_, rest, found := bytes.Cut(h, []byte("\r\n"+HeaderBody+": "))
	if !found {
		return nil
	}
	digest, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return digest
}

// ServerPrefix begins the names of all headers that a NATS server acts on. The server searches for
// such a name anywhere in the headers. If a value contains the name twice in a row, the server
// takes the header itself for absent (nats-server 2.15.3, getHeaderKeyIndex; 2.12.1 and older even
// if it contains it once; docs/dependencies.md). One of these headers is the condition that an
// event is stored once, so no value from outside may contain such a name.
const ServerPrefix = "Nats-"

// harmless returns the value of a header without the ServerPrefix. In JSON and in the attributes of
// CloudEvents the escaped value means the same; elsewhere a question mark replaces the letter, as
// it does every character that is not allowed there.
func harmless(name, value string) string {
	if !strings.Contains(value, ServerPrefix) {
		return value
	}
	letter := "?"
	switch {
	case name == HeaderJob || name == HeaderRequest:
		letter = `\u004e`
	case strings.HasPrefix(name, "ce-"):
		letter = "%4E"
	}
	return strings.ReplaceAll(value, ServerPrefix, letter+ServerPrefix[1:])
}

// name begins a line.
func (h Header) name(name string) Header { return append(append(h, name...), ": "...) }

// time adds a header whose value is a time.
func (h Header) time(name string, t time.Time, layout string) Header {
	return append(t.UTC().AppendFormat(h.name(name), layout), "\r\n"...)
}

// Lookup is how the headers of a message are read: the first value of a name, "" without one.
type Lookup func(name string) string

// LookupIn returns the headers of a message as NATS delivers it.
func LookupIn(header map[string][]string) Lookup {
	return func(name string) string {
		if v := header[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

// MaxSignature is how much is recorded of a signature as it came; what has this length was
// cut, or may have been. One that verified is far shorter.
const MaxSignature = 1 << 10

// maxRequest bounds, as MaxSignature does, what a stranger can make us keep. A request is
// left out whole, being JSON.
const maxRequest = 24 << 10

// appendTo adds the headers of a receipt.
func (r *Receipt) appendTo(h Header) Header {
	h = h.Set(HeaderSignature, cut(r.Signature, MaxSignature))
	h = h.Set(headerKey, cut(r.Key, MaxText))
	h = h.Set(HeaderFingerprint, r.Fingerprint)
	h = h.Set(HeaderRemote, cut(r.Remote, MaxText))
	h = h.time(headerReceived, r.Received, time.RFC3339Nano)
	if request := harmless(HeaderRequest, visible(r.Request)); len(request) <= maxRequest {
		h = h.own(HeaderRequest, request)
	}
	return h
}

func parseReceipt(get Lookup) *Receipt {
	received, err := time.Parse(time.RFC3339Nano, get(headerReceived))
	if err != nil {
		return nil // not every event came by a callback
	}
	return &Receipt{
		Signature: get(HeaderSignature), Key: get(headerKey), Fingerprint: get(HeaderFingerprint),
		Remote: get(HeaderRemote), Received: received, Request: get(HeaderRequest),
	}
}

// ASCIIJSON returns the JSON text with every character beyond ASCII as \u escapes:
// the same document, fit for a header.
func ASCIIJSON(data []byte) string {
	text := string(data)
	if isPrintable(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < ' ':
			b.WriteByte(' ') // white space between tokens; strings hold it escaped
		case r <= '~':
			b.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// percentEncode encodes the characters that a CloudEvents header value must not contain: all but
// printable ASCII, and space, double quote and percent sign. Invalid UTF-8 is replaced first, since
// a reader must refuse it.
//
// CloudEvents NATS protocol binding 1.0.3-wip, section 3.1.3.2.
func percentEncode(s string) string {
	if isAttribute(s) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(strings.ToValidUTF8(s, "\ufffd")) {
		if isEncoded(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isAttribute reports whether a CloudEvents header may contain s unencoded.
func isAttribute(s string) bool {
	for _, c := range []byte(s) {
		if isEncoded(c) {
			return false
		}
	}
	return true
}

func isEncoded(c byte) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }

// set is a set of bytes. A look at a table costs less than the comparisons that it stands for.
type set [256]bool

func setOf(bytes string) (s set) {
	for i := range len(bytes) {
		s[bytes[i]] = true
	}
	return s
}

// holds reports whether every byte of a text is in the set.
func (s *set) holds(text string) bool {
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

// cut returns at most the first n bytes of s.
func cut(s string, n int) string { return s[:min(len(s), n)] }

// visible keeps a value from outside on its header line: what is not printable
// ASCII becomes a question mark. The receipt's request holds it escaped.
func visible(s string) string {
	if isPrintable(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// isPrintable reports whether s is of printable ASCII, space included.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i]-' ' > '~'-' ' { // a smaller one becomes a large one
			return false
		}
	}
	return true
}
