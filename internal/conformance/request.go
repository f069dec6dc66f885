package conformance

import (
	"bytes"
	"fmt"
)

// request is a well-formed request, or one with a few lines changed.
type request struct {
	method, target, version string
	lines                   []string // of the head, after Host
	body                    []byte
	noLength                bool // the lines say how long the body is
	keep                    bool // the connection
}

// bytes is the request as it is sent.
func (q request) bytes(to *target) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", q.method, q.target, q.version, to.url.Host)
	for _, line := range q.lines {
		b.WriteString(line + "\r\n")
	}
	if !q.noLength {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(q.body))
	}
	if !q.keep {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	b.Write(q.body)
	return b.Bytes()
}

// post is a POST of a body to the receiver with these lines beside.
func (r *runner) post(body []byte, lines ...string) request {
	return request{
		method: "POST", target: r.to.path, version: "HTTP/1.1",
		lines: append([]string{"Content-Type: application/json"}, lines...), body: body,
	}
}

// line is the signature header with a value.
func (r *runner) line(value string) string { return r.Scheme.Header + ": " + value }

// right is the signature header for a body.
func (r *runner) right(body []byte) string { return r.line(r.Scheme.sign(r.Key, body)) }

// probe makes a case of a request. Shown is what to print of it.
func (r *runner) probe(name string, expect expectation, shown string, q request) probe {
	return probe{name: name, expect: expect, request: shown, to: r.to, raw: q.bytes(r.to), body: q.body, method: q.method}
}

// signed sends a body with its right signature, and lines beside.
func (r *runner) signed(name string, expect expectation, body []byte, lines ...string) probe {
	return r.probe(name, expect, "POST, signed", r.post(body, append(lines, r.right(body))...))
}

// valued sends a fresh body with this value in the signature header.
func (r *runner) valued(name string, expect expectation, body []byte, value string) probe {
	return r.probe(name, expect, r.Scheme.Header+": "+plain(short(value)), r.post(body, r.line(value)))
}
