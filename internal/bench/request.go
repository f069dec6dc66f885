package bench

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/url"
	"strconv"
)

// Kind is what a receiver should make of a request.
type Kind int

// The kinds of request.
const (
	// Fresh: a callback for a job that was never heard of.
	Fresh Kind = iota
	// Repeat: the same bytes as a callback that was answered before.
	Repeat
	// Forged: well-formed, but not signed with the key.
	Forged
)

// Numbers of requests that are not measured. They are apart from those that are, so that
// no job is met twice by chance.
const (
	firstPrime  = 1 << 40
	firstWarmup = 1 << 41
)

// Writer writes the requests of a load. It is for one caller at a time.
type Writer struct {
	load            Load
	head            []byte
	mac             hash.Hash
	body, sum, text []byte
}

// NewWriter returns a writer of the requests of a load, which must be one that Check
// finds nothing wrong with.
func NewWriter(l Load) (*Writer, error) {
	u, err := l.target()
	if err != nil {
		return nil, err
	}
	return &Writer{load: l, head: head(u), mac: hmac.New(sha256.New, l.Key)}, nil
}

// head is what all requests begin with; it ends within the signature header.
//
// OC: (a) rows 19 and 23.
func head(u *url.URL) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: receiver-bench\r\nAccept: */*\r\n"+
		"Content-Type: application/json\r\nElements-Webhook-Signature: sha256=", u.RequestURI(), u.Host)
}

// Request returns the bytes of the n-th request, and its kind. The bytes are good until the next
// call.
func (w *Writer) Request(n uint64) ([]byte, Kind) {
	kind := w.kind(n)
	w.writeBody(n, kind)
	w.sum = append(w.sum[:0], wrongSum...)
	if kind != Forged {
		w.mac.Reset()
		w.mac.Write(w.body) // a hash never returns an error
		w.sum = w.mac.Sum(w.sum[:0])
	}
	w.text = append(w.text[:0], w.head...)
	w.text = base64.StdEncoding.AppendEncode(w.text, w.sum)
	w.text = append(w.text, "\r\nContent-Length: "...)
	w.text = strconv.AppendInt(w.text, int64(len(w.body)), 10)
	w.text = append(w.text, "\r\n\r\n"...)
	w.text = append(w.text, w.body...)
	return w.text, kind
}

// wrongSum is a digest of nothing that is sent.
var wrongSum = make([]byte, sha256.Size)

// kind says what the n-th request is.
func (w *Writer) kind(n uint64) Kind {
	if n >= firstPrime && n < firstWarmup {
		return Fresh
	}
	switch x := w.chance(n, 1); {
	case x < w.load.Duplicates:
		return Repeat
	case x < w.load.Duplicates+w.load.Refusals:
		return Forged
	}
	return Fresh
}

// writeBody writes the body of the n-th request: a notification in the form of the
// contract's section 6.2, filled up to its size by a member that no reader knows.
func (w *Writer) writeBody(n uint64, kind Kind) {
	size := w.load.Body
	switch {
	case kind == Repeat:
		n = firstPrime + w.hash(n, 2)%uint64(w.load.Prime)
	case n >= firstPrime && n < firstWarmup:
	case kind == Fresh && w.chance(n, 3) < w.load.Large:
		size = w.load.LargeBody
	}
	w.body = append(w.body[:0], `{"id":"`...)
	w.body = appendHex(w.body, w.load.Seed)
	w.body = append(w.body, '-')
	w.body = appendHex(w.body, n)
	w.body = append(w.body, `","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0,"instanceId":425904,`+
		`"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv","note":"`...)
	for more := size - len(w.body) - len(end); more > 0; more = size - len(w.body) - len(end) {
		w.body = append(w.body, filler[:min(more, len(filler))]...)
	}
	w.body = append(w.body, end...)
}

// end ends a body.
const end = `"}`

// filler is what bodies are filled up with, a piece at a time.
var filler = bytes.Repeat([]byte("x"), 4<<10)

// appendHex appends x in 16 hexadecimal digits, so that all bodies have one size.
func appendHex(b []byte, x uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, digits[x>>shift&0xf])
	}
	return b
}

// chance returns a number from 0 up to 1 for the n-th request and one question about it.
func (w *Writer) chance(n, question uint64) float64 {
	return float64(w.hash(n, question)>>11) / (1 << 53)
}

// hash is SplitMix64 over seed, question and number: the same on every machine.
func (w *Writer) hash(n, question uint64) uint64 {
	x := w.load.Seed + 0x9e3779b97f4a7c15*(n+1) + question<<56
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
