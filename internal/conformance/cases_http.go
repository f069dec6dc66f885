package conformance

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

// smuggling hides a second request where a proxy and the receiver may see another end of the
// first one.
func (r *runner) smuggling() []probe {
	body := r.fresh()
	inner := r.post(body, r.right(body)).bytes(r.to)
	alone := func(s seen) string {
		if len(s.answers) > 1 {
			return "the hidden request was answered"
		}
		return ""
	}
	hide := func(name, tail string, lines ...string) probe {
		q := r.post([]byte(tail+string(inner)), lines...)
		q.noLength, q.keep = true, true
		p := r.probe(name, refused, plain(strings.Join(lines, "; ")), q)
		p.check, p.half = alone, true
		return p
	}
	size := func(n int) string { return "Content-Length: " + itoa(n) }
	const te, end = "Transfer-Encoding: chunked", "0\r\n\r\n"
	all := len(end) + len(inner)
	probes := []probe{
		hide("a length over everything, and chunks that end before it", end, size(all), te),
		hide("chunks that end early, and a length over everything", end, te, size(all)),
		hide("a length that ends early, and chunks over everything", fmt.Sprintf("%x\r\n", len(inner)), size(len(fmt.Sprintf("%x\r\n", len(inner)))), te),
		hide("HTTP/1.0 chunks that end early", end, size(all), te, "Connection: keep-alive"),
		hide("chunks twice", end, size(all), te, te),
		hide("chunks and identity", end, size(all), te, "Transfer-Encoding: identity"),
	}
	for _, coding := range []string{"xchunked", "chunked, identity", "identity, chunked", "gzip, chunked", "chunked;a=b", "\"chunked\"", "chunked,", ",chunked", "\vchunked", "chunked\x00", "cow", ""} {
		probes = append(probes, hide("Transfer-Encoding "+plain(coding), end, size(all), "Transfer-Encoding: "+coding))
	}
	for _, line := range []string{"Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "X: x\nTransfer-Encoding: chunked", "X: x\rTransfer-Encoding: chunked", " Transfer-Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding\x00: chunked"} {
		p := hide(plain(line), end, size(all), line)
		probes = append(probes, p)
	}
	return append(probes, r.heads(body)...)
}

// heads are requests whose head is not as it should be, rightly signed.
func (r *runner) heads(body []byte) []probe {
	change := func(name string, expect expectation, old, with string) probe {
		q := r.post(body, "X-Other: x", r.right(body))
		p := r.probe(name, expect, "POST, signed", q)
		p.raw = bytes.Replace(p.raw, []byte(old), []byte(with), 1)
		return p
	}
	line := "POST " + r.to.path + " HTTP/1.1\r\n"
	feeds := change("only line feeds", either, "", "")
	feeds.raw = bytes.ReplaceAll(feeds.raw, []byte("\r\n"), []byte("\n"))
	returns := change("only carriage returns", refused, "", "")
	returns.raw = bytes.ReplaceAll(returns.raw, []byte("\r\n"), []byte("\r"))
	returns.half = true
	many := r.post(body, r.right(body))
	many.lines = append(many.lines, strings.Split(strings.TrimSuffix(strings.Repeat("X-Many: "+strings.Repeat("x", 1000)+"\n", 2000), "\n"), "\n")...)
	return []probe{
		feeds, returns,
		change("a space before a colon", refused, "X-Other:", "X-Other :"),
		change("a header without a colon", refused, "X-Other: x", "X-Other"),
		change("a header without a name", refused, "X-Other: x", ": x"),
		change("a space in a header's name", refused, "X-Other: x", "X Other: x"),
		change("a space before the first header", refused, "Host:", " Host:"),
		change("NUL in a header", refused, "X-Other: x", "X-Other: x\x00y"),
		change("NUL in the path", refused, " HTTP/1.1", "\x00 HTTP/1.1"),
		change("no Host", refused, "Host: "+r.to.url.Host+"\r\n", ""),
		change("two Hosts", refused, "Host: ", "Host: a\r\nHost: "),
		change("a Host with a path", refused, "Host: ", "Host: a/../b"),
		change("HTTP/1.1 in lower case", refused, "HTTP/1.1", "http/1.1"),
		change("HTTP/9.9", refused, "HTTP/1.1", "HTTP/9.9"),
		change("HTTP/0.9", refused, " HTTP/1.1", ""),
		change("HTTP/1.10", refused, "HTTP/1.1", "HTTP/1.10"),
		change("two spaces in the first line", refused, line, strings.Replace(line, " HTTP", "  HTTP", 1)),
		change("a tab in the first line", refused, line, strings.Replace(line, "POST ", "POST\t", 1)),
		change("an additional word in the first line", refused, line, strings.Replace(line, " HTTP", " x HTTP", 1)),
		r.probe("2 MB of headers", refused, "POST, signed, 2,000 headers", many),
		r.pipeline(),
	}
}

// pipeline sends three requests at once. Each must be judged by itself.
func (r *runner) pipeline() probe {
	first, second, third := r.fresh(), r.fresh(), r.fresh()
	q1, q2, q3 := r.post(first, r.right(first)), r.post(second), r.post(third, r.right(third))
	q1.keep, q2.keep = true, true
	p := r.probe("three at once: signed, unsigned, signed", either, "POST, POST, POST", q1)
	p.raw = append(append(p.raw, q2.bytes(r.to)...), q3.bytes(r.to)...)
	p.want = "the unsigned one is refused; any response to the others"
	p.check = func(s seen) string {
		if len(s.answers) > 1 && s.answers[1].ok() {
			return "the unsigned one was accepted"
		}
		return ""
	}
	return p
}

// encodings are bodies whose bytes are said to mean others.
func (r *runner) encodings() []probe {
	body := r.fresh()
	packed := pack(body)
	with := func(name string, expect expectation, signed, sent []byte, coding string) probe {
		p := r.probe(name, expect, "POST, Content-Encoding: "+coding, r.post(sent, "Content-Encoding: "+coding, r.right(signed)))
		p.body = signed
		return p
	}
	var flat bytes.Buffer
	w, _ := flate.NewWriter(&flat, flate.BestSpeed) // the level is one that there is
	_, _ = w.Write(body)
	_ = w.Close()
	bomb := pack(io.LimitReader(&repeated{piece: make([]byte, 64<<10)}, most))
	nested := pack(bomb)
	probes := []probe{
		with("gzip, signature of the uncompressed body", refused, body, packed, "gzip"),
		with("gzip, signature of the sent bytes", either, packed, packed, "gzip"),
		with("deflate, signature of the uncompressed body", refused, body, flat.Bytes(), "deflate"),
		with("gzip twice, signature of the uncompressed body", refused, body, pack(packed), "gzip, gzip"),
		with("x-gzip, signature of the uncompressed body", refused, body, packed, "x-gzip"),
		with("a compression bomb of 33 MiB, signed", either, bomb, bomb, "gzip"),
		with("a nested compression bomb, signed", either, nested, nested, "gzip, gzip"),
		with("a body that is not br", either, body, body, "br"),
		with("a body that is not gzip", either, body, body, "gzip"),
		with("gzip truncated in the middle", either, packed[:len(packed)/2], packed[:len(packed)/2], "gzip"),
		with("identity", either, body, body, "identity"),
		with("an unknown coding", either, body, body, "xyz"),
		r.swap("gzip without Content-Encoding, signature of the uncompressed body", body, packed),
		r.swap("Content-Transfer-Encoding, signature of the uncompressed body", body, []byte("e30="), "Content-Transfer-Encoding: base64"),
	}
	for _, b := range []struct {
		name string
		body []byte
	}{{"a compression bomb of 33 MiB, unsigned", bomb}, {"a nested compression bomb, unsigned", nested}} {
		p := r.probe(b.name, refused, "POST, Content-Encoding: gzip", r.post(b.body, "Content-Encoding: gzip"))
		probes = append(probes, p)
	}
	return probes
}

// pack compresses bytes, or what a reader gives.
func pack(from any) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // the level is one that there is
	switch from := from.(type) {                      // a buffer takes everything
	case []byte:
		_, _ = w.Write(from)
	case io.Reader:
		_, _ = io.Copy(w, from)
	}
	_ = w.Close()
	return out.Bytes()
}

// paths lead to the receiver's address another way, or use another verb, rightly signed. Rules
// of a proxy in front go by the address as it is written, so one address should have one.
func (r *runner) paths() []probe {
	body := r.fresh()
	at := func(name string, expect expectation, target string) probe {
		q := r.post(body, r.right(body))
		q.target = target
		return r.probe(name, expect, "POST "+plain(short(target)), q)
	}
	var probes []probe
	if folder, last := r.to.parts(); last == "" {
		probes = append(probes, probe{name: "other spellings of the path", expect: refused, skip: "the URL has no path"})
	} else {
		path := folder + last
		for _, c := range []struct{ name, path string }{
			{"/./", folder + "./" + last}, {"/x/../", folder + "x/../" + last}, {"/%2e/", folder + "%2e/" + last}, {"/x/%2e%2e/", folder + "x/%2e%2e/" + last},
			{"two slashes", folder + "/" + last}, {"two slashes in front", "/" + path}, {"an escaped slash", strings.TrimSuffix(folder, "/") + "%2F" + last},
			{"an escaped slash after it", path + "%2f"}, {"a backslash", strings.TrimSuffix(folder, "/") + `\` + last}, {"an escaped backslash", folder + "x%5c..%5c" + last},
			{"in upper case", strings.ToUpper(path)}, {"a parameter", path + ";x=1"}, {"NUL after it", path + "%00"}, {"a dot after it", path + "."},
			{"a suffix", path + ".json"}, {"an additional part", path + "/../x"}, {"two slashes after it", path + "//"}, {"a space after it", path + "%20"},
			{"a newline after it", path + "%0a"}, {"escaped twice", strings.ReplaceAll(path, "/", "%252f")}, {"no slash in front", path[1:]},
			{"overlong UTF-8", folder + "%c0%ae/" + last}, {"a fragment", path + "#x"},
		} {
			if c.path != path {
				probes = append(probes, at(c.name, refused, r.to.with(c.path)))
			}
		}
		probes = append(probes, at("a slash after it", either, r.to.with(path+"/")))
	}
	probes = append(probes,
		at("a whole URL", either, r.to.url.String()),
		at("the URL of another host", either, "http://example.com"+r.to.path),
		at("*", refused, "*"), at("an additional query", either, r.to.path+"?id=other"))
	for _, verb := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "Post", "POSTS", "XPOST", "PO\tST", ""} {
		q := r.post(body, r.right(body))
		q.method = verb
		p := r.probe("by "+plain(verb), refused, plain(verb)+", signed", q)
		p.check = func(s seen) string {
			if len(s.answers) > 0 && bytes.Contains(s.answers[0].body, []byte(r.Scheme.Header+": ")) {
				return "the response repeats the request's headers"
			}
			return ""
		}
		probes = append(probes, p)
	}
	old := r.post(body, r.right(body))
	old.version = "HTTP/1.0"
	preface := r.probe("HTTP/2 at once", either, "PRI * HTTP/2.0", r.post(nil))
	preface.raw = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	preface.half = true
	upgrade := r.probe("an upgrade to HTTP/2, unsigned", refused, "POST, Upgrade: h2c", r.post(body, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings"))
	socket := r.probe("an upgrade to a web socket, unsigned", refused, "GET, Upgrade: websocket", r.post(nil, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="))
	return append(probes, r.probe("HTTP/1.0", either, "POST HTTP/1.0, signed", old), preface, upgrade, socket)
}
