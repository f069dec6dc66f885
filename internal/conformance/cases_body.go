package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// swap sends one body with the signature of another.
func (r *runner) swap(name string, signed, sent []byte, lines ...string) probe {
	q := r.post(sent, append(lines, r.right(signed))...)
	return r.probe(name, refused, "POST, the signature of another body", q)
}

// replays are signatures seen before.
func (r *runner) replays() []probe {
	body := []byte(r.kept.Body)
	first := r.signed("a callback", accepted, body)
	first.check = func(s seen) string {
		r.kept.First = s.String()
		return ""
	}
	again := r.signed("the same callback again: a response, no error", either, body)
	again.check = func(s seen) string {
		r.kept.Again = s.String()
		return ""
	}
	probes := []probe{
		first, again,
		r.swap("its signature for another id", body, bodyOf(r.job())),
		r.swap("its signature for another status", body, bytes.Replace(body, []byte("COMPLETED"), []byte("ABORTED"), 1)),
		r.swap("its signature for other counts", body, bytes.Replace(body, []byte(":3"), []byte(":9"), 1)),
		r.swap("its signature for an empty body", body, nil),
		r.swap("its signature for the first half of the body", body, body[:len(body)/2]),
		r.swap("its signature for the body twice", body, bytes.Repeat(body, 2)),
		r.swap("the signature of an empty body", nil, body),
	}
	folder, last := r.to.parts()
	if last == "" {
		return append(probes, probe{name: "its signature at another source's address", expect: refused, skip: "the URL has no path"})
	}
	for _, source := range []string{last + "x", "other", url.PathEscape(last + "/../" + last)} {
		q := r.post(body, r.right(body))
		q.target = r.to.with(folder + source)
		probes = append(probes, r.probe("its signature at "+folder+source, refused, "POST, signed", q))
	}
	return probes
}

// reencoding sends the same JSON in other bytes.
func (r *runner) reencoding() []probe {
	const plainBody = `{"id":"%s","note":"ünï","path":"a/b","recordsCount":3,"status":"COMPLETED"}`
	id := r.job()
	body := fmt.Appendf(nil, plainBody, id)
	change := func(old, with string) []byte { return bytes.ReplaceAll(body, []byte(old), []byte(with)) }
	probes := []probe{
		r.swap("keys in another order", body, fmt.Appendf(nil, `{"status":"COMPLETED","id":"%s","recordsCount":3,"note":"ünï","path":"a/b"}`, id)),
		r.swap("letters as \\u escapes", body, change("ünï", `\u00fcn\u00ef`)),
		r.swap("slashes escaped", body, change("a/b", `a\/b`)),
		r.swap("a space after colons", body, change(`":`, `": `)),
		r.swap("a space before it", body, append([]byte(" "), body...)),
		r.swap("a newline after it", body, append(bytes.Clone(body), '\n')),
		r.swap("a carriage return and a newline after it", body, append(bytes.Clone(body), "\r\n"...)),
		r.swap("a byte order mark before it", body, append([]byte("\ufeff"), body...)),
		r.swap("a NUL after it", body, append(bytes.Clone(body), 0)),
		r.swap("a number written 3.0", body, change(":3", ":3.0")),
		r.swap("a number as text", body, change(":3", `:"3"`)),
		r.swap("in Latin-1", body, change("ünï", "\xfcn\xef"), "Content-Type: application/json; charset=iso-8859-1"),
		r.swap("in UTF-16", body, utf16(body), "Content-Type: application/json; charset=utf-16"),
		r.swap("accents as combining characters", body, change("ünï", "u\u0308ni\u0308")),
		r.swap("as a form field", body, []byte("payload="+url.QueryEscape(string(body))), "Content-Type: application/x-www-form-urlencoded"),
		r.swap("as an array", body, []byte("["+string(body)+"]")),
		r.swap("an additional key", body, change("{", `{"x":1,`)),
		r.swap("a duplicate key", body, change("{", `{"status":"ABORTED",`)),
	}
	// A body counts if it is signed as it is sent, in any notation.
	for _, odd := range []struct{ name, body string }{
		{"spaces and newlines", "{ \"id\" :\t\"%s\",\r\n \"status\":\"COMPLETED\" }\n"},
		{"keys not sorted", `{"status":"COMPLETED","recordsCount":1,"id":"%s"}`},
		{"escapes", `{"id":"%s","status":"COMPLETED","note":"\u00fc\/\u2028"}`},
		{"a number written 1.0", `{"id":"%s","status":"COMPLETED","recordsCount":1.0}`},
		{"letters that HTML escapes", `{"id":"%s","status":"COMPLETED","note":"<&>"}`},
	} {
		probes = append(probes, r.signed("signed as sent: "+odd.name, accepted, fmt.Appendf(nil, odd.body, r.job())))
	}
	return append(probes, r.signed("signed as sent: a byte order mark", either, append([]byte("\ufeff"), r.fresh()...)))
}

func utf16(text []byte) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range string(text) {
		out = append(out, byte(c), byte(c>>8))
	}
	return out
}

// json are bodies that parsers read in different ways, rightly signed. Their interpretation is not
// judged; the suite checks that the receiver survives them and requires a signature.
func (r *runner) json() []probe {
	deep := strings.Repeat("[", 100_000)
	var probes []probe
	for _, c := range []struct{ name, body string }{
		{"a duplicate key", `{"id":"%s","id":"other","status":"COMPLETED","status":"ABORTED"}`},
		{"a key in lower and upper case", `{"id":"%s","ID":"other","status":"COMPLETED","Status":"ABORTED"}`},
		{"a number beyond 64 bits", `{"id":"%s","status":"COMPLETED","recordsCount":184467440737095516160}`},
		{"a number beyond any float", `{"id":"%s","status":"COMPLETED","recordsCount":1e999}`},
		{"a negative number", `{"id":"%s","status":"COMPLETED","recordsCount":-1}`},
		{"an id that a float rounds", `{"note":"%s","id":9007199254740993,"status":"COMPLETED"}`},
		{"NaN", `{"id":"%s","status":"COMPLETED","recordsCount":NaN}`},
		{"comments", `{"id":"%s",/* x */"status":"COMPLETED"} // x`},
		{"a comma at the end", `{"id":"%s","status":"COMPLETED",}`},
		{"data after it", `{"id":"%s","status":"COMPLETED"}{"id":"other"}`},
		{"truncated in the middle", `{"id":"%s","status":"COMP`},
		{"100,000 nested arrays", `{"id":"%s","status":"COMPLETED","x":` + deep},
		{"100,000 nested objects", `{"id":"%s","x":` + strings.Repeat(`{"a":`, 100_000)},
		{"invalid UTF-8", "{\"id\":\"%s\",\"status\":\"COMPLETED\",\"note\":\"\xff\xfe\"}"},
		{"NUL", "{\"id\":\"%s\",\"status\":\"COMPLETED\",\"note\":\"\x00\"}"},
		{"half a surrogate", `{"id":"%s","status":"COMPLETED","note":"\ud800"}`},
		{"__proto__", `{"id":"%s","status":"COMPLETED","__proto__":{"x":1}}`},
		{"single quotes", `{'id':'%s'}`},
	} {
		probes = append(probes, r.signed(c.name, either, fmt.Appendf(nil, c.body, r.job())))
	}
	for _, body := range []string{"", "null", "[]", "true", "0", `""`, "{}", "<x/>", `{"id":null,"status":null}`, `{"id":{},"status":[]}`, `{"id":"","status":""}`} {
		probes = append(probes, r.signed("the body "+strconv.Quote(body), either, []byte(body)))
	}
	for _, c := range []struct{ name, body string }{
		{"unsigned: 100,000 arrays", deep}, {"unsigned: invalid JSON", "{"}, {"unsigned: an empty body", ""},
	} {
		probes = append(probes, r.probe(c.name, refused, "POST, unsigned", r.post([]byte(c.body))))
	}
	return probes
}

// subjects are ids and names that mean something where they may be put.
func (r *runner) subjects() []probe {
	var probes []probe
	clean := func(s seen) string {
		if len(s.answers) != 1 {
			return "not exactly one response"
		}
		for name := range s.answers[0].header {
			if strings.HasPrefix(name, "X-Injected") {
				return "the response has a header from the request"
			}
		}
		return ""
	}
	for _, c := range []struct{ name, id string }{
		{"dots", "a.b.c"}, {"dots alone", ".."}, {"*", "*"}, {">", ">"}, {"a subject", "jobs.crm.1.finished"}, {"$JS", "$JS.API.STREAM.DELETE.JOBS"},
		{"spaces", "a b"}, {"CR LF and a header", `a\r\nX-Injected: 1\r\n\r\n`}, {"NUL", `a\u0000b`}, {"a path", "../../../etc/passwd"},
		{"a query", "' OR 1=1 --"}, {"a template", "${jndi:ldap://127.0.0.1/x}{{7*7}}"}, {"HTML", "<script>alert(1)</script>"},
		{"direction marks", `\u202eabc\u2066`}, {"terminal escapes", `\u001b[2Jx\u009b`}, {"zero width", `a\u200bb`}, {"a line separator", `a\u2028b`},
		{"10,000 letters", strings.Repeat("x", 10_000)}, {"an emoji", "😀"}, {"a dash in front", "--help"},
	} {
		// Each is of this run, so that it meets no state of another.
		p := r.signed("id: "+c.name, either, fmt.Appendf(nil, `{"id":"%s","status":"COMPLETED","run":"%s"}`, c.id, r.id))
		p.check = clean
		probes = append(probes, p)
	}
	folder, last := r.to.parts()
	for _, name := range []string{"*", ">", "%3E", last + ".*", last + "%2E%2E", "%0d%0aX-Injected:%201", "%00", "%20", last + "%20", "%ff%fe", "_", "$JS", strings.Repeat("x", 3000), "%e2%80%ae"} {
		body := r.fresh()
		q := r.post(body, r.right(body))
		q.target = r.to.with(folder + name)
		p := r.probe("name: "+short(name), refused, "POST, signed, at another name", q)
		p.check = clean
		if last == "" {
			p.skip = "the URL has no path"
		}
		probes = append(probes, p)
	}
	return probes
}

// restarts restarts the receiver, if something can, and repeats what it has seen.
func (r *runner) restarts() []probe {
	if r.Restart == nil {
		return []probe{{name: "a replay after a restart", expect: either, skip: "needs --restart-command or --resume"}}
	}
	return append([]probe{{name: "the receiver restarts", want: "an accepted callback", request: "--restart-command", run: func(ctx context.Context) (string, string) {
		if err := r.Restart(ctx); err != nil {
			return plain(err.Error()), "the restart failed"
		}
		return r.await(ctx)
	}}}, r.afterRestart(r.kept)...)
}

// await waits until the receiver accepts a callback again.
func (r *runner) await(ctx context.Context) (string, string) {
	p := r.signed("", accepted, r.fresh())
	for {
		got, err := r.exchange(ctx, p)
		if err == nil && p.expect.wrong(got) == "" {
			return got.String(), ""
		}
		if !pause(ctx, pollTime) {
			return got.String(), "no callback is accepted after the restart"
		}
	}
}

func (r *runner) resumed() []probe { return r.afterRestart(r.Earlier) }

func (r *runner) afterRestart(k *Kept) []probe {
	body := []byte(k.Body)
	replay := r.signed("a replay after a restart gets the same response as before it", either, body)
	replay.want = "the same response: " + k.Again
	replay.check = func(s seen) string {
		if k.First != k.Again && s.String() != k.Again {
			return "another response than to a replay"
		}
		return ""
	}
	return []probe{
		replay,
		r.swap("the old signature for another body", body, r.fresh()),
		r.probe("the old body unsigned", refused, "POST, unsigned", r.post(body)),
	}
}
