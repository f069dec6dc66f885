package job

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

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
	headerSize        = "receiver-body-size"
	headerClaimed     = "receiver-claimed-source"
	headerEvent       = "receiver-event"
	headerRepeats     = "receiver-repeats"
	headerRedacted    = "receiver-redacted"
	headerEncryption  = "receiver-encryption"
)

// redactedAddress is the value of headerRedacted: what was redacted.
const redactedAddress = "callback-address"

// ByAge is the value of the header `receiver-encryption`: the data is an age v1 file.
const ByAge = "age"

// Encrypted reports whether the data of a message with these headers is encrypted as it
// stands. The other headers then speak of what it is decrypted: digest, size, media type.
func Encrypted(header map[string][]string) bool { return len(header[headerEncryption]) > 0 }

// Header is the headers of a message as they stand on the wire: a line `name: value` for
// each, ended by CR LF. Names are ASCII, values printable ASCII.
//
// NATS ADR-4, "Message Headers", without its first line and the empty last one.
type Header []byte

// Map returns the headers in the form of nats.Header.
func (h Header) Map() map[string][]string {
	m := map[string][]string{}
	for line := range strings.Lines(string(h)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		m[name] = append(m[name], value)
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
	_, rest, found := bytes.Cut(h, []byte("\r\n"+headerBody+": "))
	if !found {
		return nil
	}
	digest, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return digest
}

// serverPrefix begins the names of all headers that a NATS server acts on. The server looks
// for such a name anywhere in the headers, and if it stands twice in a row in some value,
// the server takes the header itself for absent (nats-server 2.15.2, getHeaderKeyIndex; 2.11.6
// and older even if it stands there once). Among them is the condition that an event is
// stored once, so that no value from outside may spell one.
const serverPrefix = "Nats-"

// harmless returns the value of a header without the serverPrefix. In our JSON and in the
// attributes of CloudEvents it says the same as before; elsewhere a question mark stands for
// the letter, as for any that may not stand there.
func harmless(name, value string) string {
	if !strings.Contains(value, serverPrefix) {
		return value
	}
	letter := "?"
	switch {
	case name == headerJob || name == headerRequest:
		letter = `\u004e`
	case strings.HasPrefix(name, "ce-"):
		letter = "%4E"
	}
	return strings.ReplaceAll(value, serverPrefix, letter+serverPrefix[1:])
}

// name begins a line.
func (h Header) name(name string) Header { return append(append(h, name...), ": "...) }

// time adds a header whose value is a time.
func (h Header) time(name string, t time.Time, layout string) Header {
	return append(t.UTC().AppendFormat(h.name(name), layout), "\r\n"...)
}

func getter(header map[string][]string) func(string) string {
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
	h = h.Set(headerSignature, cut(r.Signature, MaxSignature))
	h = h.Set(headerKey, cut(r.Key, MaxText))
	h = h.Set(headerFingerprint, r.Fingerprint)
	h = h.Set(headerRemote, cut(r.Remote, MaxText))
	h = h.time(headerReceived, r.Received, time.RFC3339Nano)
	if request := harmless(headerRequest, visible(r.Request)); len(request) <= maxRequest {
		h = h.own(headerRequest, request)
	}
	return h
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
	if isAttribute(s) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(strings.ToValidUTF8(s, "\ufffd")) {
		if c <= ' ' || c > '~' || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// isAttribute reports whether s may stand in a CloudEvents header as it is.
func isAttribute(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '%' {
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
