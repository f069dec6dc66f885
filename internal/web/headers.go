package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"sync"

	"receiver/internal/job"
)

// maxHeaderJSON bounds what is recorded of a request's headers.
const maxHeaderJSON = 8 << 10

// secretHeaders are recorded by fingerprint only.
var secretHeaders = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// omitted stands for headers beyond the bound.
const omitted = `{"omitted":["headers over the bound for records"]}`

var headerBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 1<<10)
	return &b
}}

// requestHeaders are the headers of a request, written down when they are asked for.
type requestHeaders struct{ *http.Request }

// String is headerJSON.
func (h requestHeaders) String() string { return headerJSON(h.Request) }

// headerJSON returns the headers as received as one JSON object in ASCII, names
// sorted, secrets replaced by fingerprints. Headers beyond the bound are left out whole
// and the object says so, since half a header proves nothing.
//
// It is written by hand: encoding/json sorts a map by reflection, at the price of half of
// all allocations for a callback.
func headerJSON(r *http.Request) string {
	buffer := headerBuffers.Get().(*[]byte)
	defer headerBuffers.Put(buffer)
	var room [32]string
	names := append(room[:0], "Host")
	for name := range r.Header {
		if name != "Host" { // net/http keeps it apart
			names = append(names, name)
		}
	}
	slices.Sort(names)
	host := [1]string{r.Host}
	text := append((*buffer)[:0], '{')
	for i, name := range names {
		values := r.Header[name]
		if name == "Host" {
			values = host[:]
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = appendHeader(text, name, values)
		if len(text) >= maxHeaderJSON {
			return omitted
		}
	}
	text = append(text, '}')
	*buffer = text
	return string(text)
}

func appendHeader(text []byte, name string, values []string) []byte {
	secret := slices.Contains(secretHeaders, name)
	text = append(job.AppendString(text, name), ':', '[')
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		if secret {
			sum := sha256.Sum256([]byte(v))
			v = "sha256:" + hex.EncodeToString(sum[:4])
		}
		text = job.AppendString(text, v)
	}
	return append(text, ']')
}
