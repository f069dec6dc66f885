package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"receiver/internal/job"
	"receiver/internal/verify"
)

// maxHeaderJSON bounds what is recorded of a request's headers.
const maxHeaderJSON = 8 << 10

// plainHeaders are those of nearly every callback, which hold no secret.
var plainHeaders = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Connection": true, "Content-Length": true, "Content-Type": true, "Elements-Webhook-Id": true,
	verify.Header: true, "Host": true, "User-Agent": true, "X-Forwarded-For": true, "X-Forwarded-Proto": true,
}

// minToken is the shortest length of a token that this program makes. Shorter values must not be
// removed from a sender's headers.
const minToken = 16

// secretWords are in the names of headers that hold secrets. The platform can be configured to send
// any header with its callbacks, and proxies add their own. OC: (a) row 29.
var secretWords = []string{"auth", "cookie", "credential", "key", "passw", "secret", "session", "token"}

// isSecret reports whether a header is recorded by fingerprint only.
func isSecret(name string) bool {
	if plainHeaders[name] {
		return false
	}
	lower := strings.ToLower(name)
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(lower, word) })
}

// omitted replaces headers beyond the limit.
const omitted = `{"omitted":["headers over the bound for records"]}`

var headerBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 1<<10)
	return &b
}}

// headersOf returns the headers of a request, written down as headerJSON does when they are
// asked for. Token is what follows the source in its address.
func headersOf(r *http.Request, token string) fmt.Stringer {
	if token == "" {
		return requestHeaders{r} // which takes no memory
	}
	return tokenHeaders{r, token}
}

type requestHeaders struct{ *http.Request }

func (h requestHeaders) String() string { return headerJSON(h.Request) }

type tokenHeaders struct {
	*http.Request
	token string
}

func (h tokenHeaders) String() string { return headerJSON(h.Request, h.token) }

// secretHeaders are those of a request whose address has parts that may be tokens.
type secretHeaders struct {
	*http.Request
	secrets []string
}

func (h secretHeaders) String() string {
	if len(h.secrets) > maxSecrets { // which no address of ours has
		return omitted
	}
	return headerJSON(h.Request, h.secrets...)
}

// headerJSON returns the headers as received as one JSON object in ASCII, names sorted, secrets
// replaced by fingerprints: whole values of secret headers, and the tokens anywhere. Headers beyond
// the bound are left out whole and the object says so, since half a header proves nothing.
//
// It is written by hand: encoding/json sorts a map by reflection, at the price of half of
// all allocations for a callback.
func headerJSON(r *http.Request, tokens ...string) string {
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
		text = appendHeader(text, name, values, tokens)
		if len(text) >= maxHeaderJSON {
			return omitted
		}
	}
	text = append(text, '}')
	*buffer = text
	return string(text)
}

func appendHeader(text []byte, name string, values, tokens []string) []byte {
	secret := isSecret(name)
	text = append(job.AppendString(text, name), ':', '[')
	for i, v := range values {
		if i > 0 {
			text = append(text, ',')
		}
		if secret {
			v = job.Fingerprint([]byte(v))
		} else {
			v = without(v, tokens)
		}
		text = job.AppendString(text, v)
	}
	return append(text, ']')
}

// without returns a value with the fingerprints of tokens in their places.
func without(v string, tokens []string) string {
	for _, token := range tokens {
		if len(token) >= minToken && strings.Contains(v, token) {
			v = strings.ReplaceAll(v, token, job.Fingerprint([]byte(token)))
		}
	}
	return v
}
