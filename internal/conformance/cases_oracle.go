package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// reasons are words by which an answer tells why it refuses.
var reasons = []string{
	"signature", "hmac", "sha256", "sha-256", "base64", "digest", "mismatch", "malformed", "missing", "expected", "algorithm", "header", "unknown", "length", "key",
}

// oracles compare all refusals with each other: a forger must learn nothing from them.
func (r *runner) oracles() []probe {
	body := r.fresh()
	wrong := r.Scheme.sign([]byte("not the key"), body)
	right := mac(sha256.New, r.Key, body)
	near := bytes.Clone(right)
	near[31] ^= 1
	var first *answer
	same := func(s seen) string {
		if len(s.answers) != 1 {
			return "not exactly one response"
		}
		a := s.answers[0]
		if first == nil {
			first = &a
		}
		return differs(*first, a)
	}
	silent := func(s seen) string {
		if len(s.answers) == 1 {
			text := strings.ToLower(string(s.answers[0].body))
			for _, word := range reasons {
				if strings.Contains(text, word) {
					return fmt.Sprintf("the response gives a reason: %q", word)
				}
			}
		}
		return ""
	}
	probes := []probe{r.valued("a wrong signature: no reason in the response", refused, body, wrong)}
	probes[0].check = func(s seen) string { return same(s) + silent(s) }
	add := func(p probe) {
		p.want, p.check = "the same response except for Date", same
		probes = append(probes, p)
	}
	add(r.probe("no header", refused, "POST, unsigned", r.post(body)))
	for _, c := range []struct{ name, value string }{
		{"an empty header", ""}, {"no MAC", r.Scheme.value(r.Scheme.Label, "")}, {"another algorithm", r.Scheme.value("sha1", r.Scheme.encode(right[:20]))},
		{"an unknown algorithm", "xyz=1"}, {"neither base64 nor hexadecimal", r.Scheme.value(r.Scheme.Label, "!!!")}, {"a short MAC", r.Scheme.value(r.Scheme.Label, r.Scheme.encode(right[:16]))},
		{"a long MAC", r.Scheme.value(r.Scheme.Label, r.Scheme.encode(append(bytes.Clone(right), right...)))}, {"a MAC with one wrong bit", r.Scheme.value(r.Scheme.Label, r.Scheme.encode(near))},
		{"hexadecimal", r.Scheme.value(r.Scheme.Label, hex.EncodeToString(near))}, {"1,000 letters", strings.Repeat("a", 1000)},
	} {
		add(r.valued(c.name, refused, body, c.value))
	}
	add(r.probe("two headers", refused, "POST, wrong and wrong", r.post(body, r.line(wrong), r.line(wrong))))
	add(r.probe("an empty body", refused, "POST, wrong signature", r.post(nil, r.line(wrong))))
	add(r.probe("a body that is not JSON", refused, "POST, wrong signature", r.post([]byte("{"), r.line(wrong))))
	add(r.probe("a known job", refused, "POST, wrong signature", r.post([]byte(r.kept.Body), r.line(wrong))))
	add(r.probe("another media type", refused, "POST, wrong signature", r.post(body, r.line(wrong), "Accept: text/html")))
	folder, last := r.to.parts()
	unknown := r.post(body, r.line(wrong))
	unknown.target = r.to.with(folder + "no-such-source")
	p := r.probe("an unknown source", refused, "POST, wrong signature", unknown)
	if !r.Scheme.Sources || last == "" {
		p.skip = "in this scheme the address does not name a source"
	}
	add(p)
	return probes
}

// differs says in what two answers differ, Date left out.
func differs(a, b answer) string {
	if a.code != b.code {
		return fmt.Sprintf("status %d, but %d for a wrong signature", b.code, a.code)
	}
	if !bytes.Equal(a.body, b.body) {
		return "the response body differs from that to a wrong signature"
	}
	for _, name := range slices.Sorted(maps.Keys(union(a.header, b.header))) {
		if name != "Date" && !slices.Equal(a.header[name], b.header[name]) {
			return "a response header differs from that to a wrong signature: " + plain(name)
		}
	}
	return ""
}

func union(a, b http.Header) http.Header {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// marker is how answers tell a first callback from a repeat.
type marker struct {
	firstCode, againCode int
	first, again         string // the words in which the bodies begin to differ
}

// learn finds out how answers to a first callback and to a repeat differ; false if they do not.
func (m *marker) learn(first, again answer) bool {
	*m = marker{firstCode: first.code, againCode: again.code}
	a, b := string(first.body), string(again.body)
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	m.first, m.again = wordAt(a, i), wordAt(b, i)
	return m.firstCode != m.againCode || m.first != m.again && m.first != "" && m.again != ""
}

// wordAt is the run of letters around a place.
func wordAt(s string, i int) string {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	from, to := i, i
	for from > 0 && letter(s[from-1]) {
		from--
	}
	for to < len(s) && letter(s[to]) {
		to++
	}
	return s[from:to]
}

// repeat reports whether an answer is one to a repeat.
func (m marker) repeat(a answer) bool {
	if m.firstCode != m.againCode {
		return a.code == m.againCode
	}
	return strings.Contains(string(a.body), m.again)
}

// dedup sends what may be taken for the same job, and must not be, and the other way about.
func (r *runner) dedup() []probe {
	id := r.job()
	known := func(name string, expect expectation, body string, p func(s seen) string) probe {
		q := r.signed(name, expect, []byte(body))
		q.check = p
		return q
	}
	probes := []probe{{name: "responses distinguish a repeat from a first callback", want: "either", request: "POST, signed, twice", run: r.learn}}
	other := func(name, first, second string) {
		p := probe{name: name, request: "POST, POST, signed", want: "the second is not a repeat of the first", run: func(ctx context.Context) (string, string) {
			return r.pair(ctx, first, second)
		}}
		probes = append(probes, p)
	}
	body := func(id string) string { return fmt.Sprintf(`{"id":"%s","status":"COMPLETED"}`, id) }
	other("ids that differ in case", body(id+"-ab"), body(id+"-AB"))
	other("ids that differ in a dot", body(id+"-c.d"), body(id+"-c_d"))
	other("ids that differ in a dash", body(id+"-e-f"), body(id+"-ef"))
	number := fmt.Sprintf("%d", len(id)) + digits(r.id)
	other("ids that differ in a leading zero", body(number), body("0"+number))
	other("ids that differ in an accent", body(id+"-gé"), body(id+"-ge"))
	other("an id that is a prefix of the other", body(id+"-1"), body(id+"-10"))
	other("ids that differ after 300 letters", body(id+strings.Repeat("x", 300)+"a"), body(id+strings.Repeat("x", 300)+"b"))
	other("large numbers that are equal as a float", fmt.Sprintf(`{"id":9007199254%s2,"status":"COMPLETED"}`, digits(r.id)), fmt.Sprintf(`{"id":9007199254%s3,"status":"COMPLETED"}`, digits(r.id)))
	return append(probes,
		known("one job, in progress", either, fmt.Sprintf(`{"id":"%s","status":"RUNNING"}`, id), nil),
		known("one job, completed", either, body(id), nil),
		known("one job, completed, in other bytes", either, fmt.Sprintf(`{ "status": "COMPLETED", "id": "%s" }`, id), nil),
		known("one job, aborted after that", either, fmt.Sprintf(`{"id":"%s","status":"ABORTED"}`, id), nil),
		known("an id as a number and as text", either, fmt.Sprintf(`{"id":%s,"status":"COMPLETED"}`, number), nil),
		known("an id with spaces", either, body(" "+id+" "), nil),
	)
}

// digits are ten digits that a run's id gives.
func digits(id string) string {
	sum := sha256.Sum256([]byte(id))
	var b strings.Builder
	for _, c := range sum[:10] {
		b.WriteByte('0' + c%10)
	}
	return b.String()
}

// learn sends one callback twice and compares the answers.
func (r *runner) learn(ctx context.Context) (string, string) {
	p := r.signed("", either, r.fresh())
	first, err := r.exchange(ctx, p)
	if err != nil {
		return plain(err.Error()), "no response"
	}
	again, err := r.exchange(ctx, p)
	if err != nil {
		return plain(err.Error()), "no response"
	}
	if wrong := accepted.wrong(first) + either.wrong(again); wrong != "" {
		return first.String() + "; then " + again.String(), wrong
	}
	if !r.mark.learn(first.answers[0], again.answers[0]) {
		r.mark = marker{}
		return "", skipped + "the responses are equal, so repeats cannot be detected from outside"
	}
	return fmt.Sprintf("%s; then %s", first, again), ""
}

// pair sends two callbacks of which the second must not pass for a repeat.
func (r *runner) pair(ctx context.Context, first, second string) (string, string) {
	if r.mark == (marker{}) {
		return "", skipped + "responses do not distinguish repeats"
	}
	one, err := r.exchange(ctx, r.signed("", either, []byte(first)))
	if err != nil {
		return plain(err.Error()), "no response"
	}
	two, err := r.exchange(ctx, r.signed("", either, []byte(second)))
	if err != nil {
		return plain(err.Error()), "no response"
	}
	text := one.String() + "; then " + two.String()
	if wrong := either.wrong(one) + either.wrong(two); wrong != "" || len(two.answers) == 0 {
		return text, wrong
	}
	if r.mark.repeat(two.answers[0]) {
		return text, "the second was treated as a repeat"
	}
	return text, ""
}

// tenants mix up two sources.
func (r *runner) tenants() []probe {
	if r.other == nil {
		return []probe{{name: "the signature of one source at another", expect: refused, skip: "needs --other-url and --other-key-file"}}
	}
	send := func(name string, expect expectation, to *target, body []byte, value string) probe {
		q := r.post(body, r.line(value))
		q.target = to.path
		return probe{name: name, expect: expect, request: r.Scheme.Header + ": " + short(value), to: to, raw: q.bytes(to), body: body, method: "POST"}
	}
	first, second := r.fresh(), r.fresh()
	sign := r.Scheme.sign
	return []probe{
		send("the other source, correctly signed", accepted, r.other, first, sign(r.OtherKey, first)),
		send("this source's signature at the other", refused, r.other, second, sign(r.Key, second)),
		send("the other source's signature here", refused, r.to, second, sign(r.OtherKey, second)),
		send("a callback of the other source, repeated at this source", refused, r.to, first, sign(r.OtherKey, first)),
		send("both keys in one", refused, r.to, second, sign(append(bytes.Clone(r.Key), r.OtherKey...), second)),
		send("the same job at this source", accepted, r.to, first, sign(r.Key, first)),
	}
}
