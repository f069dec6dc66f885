package conformance

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// headers put the signature where it does not belong, or there twice.
func (r *runner) headers() []probe {
	body := r.fresh()
	value, name := r.Scheme.sign(r.Key, body), r.Scheme.Header
	bad := r.Scheme.sign([]byte("not the key"), body)
	with := func(name string, expect expectation, lines ...string) probe {
		return r.probe(name, expect, short(strings.ReplaceAll(strings.ReplaceAll(lines[0], value, "…"), "\r\n", "⏎")), r.post(body, lines...))
	}
	probes := []probe{
		with("twice, right and right", refused, name+": "+value, name+": "+value),
		with("twice, right and wrong", refused, name+": "+value, name+": "+bad),
		with("twice, wrong and right", refused, name+": "+bad, name+": "+value),
		with("twice, empty and right", refused, name+": ", name+": "+value),
		with("twice, in two spellings", refused, strings.ToLower(name)+": "+bad, strings.ToUpper(name)+": "+value),
		with("a list, wrong and right", refused, name+": "+bad+", "+value),
		with("a list, right and wrong", refused, name+": "+value+", "+bad),
		with("folded in the MAC", refused, name+": "+value[:20]+"\r\n "+value[20:]),
		// RFC 9112, section 5.2: refused, or read as a space.
		with("folded before the value", either, name+":\r\n "+value),
		with("folded after another header", refused, "X-Other: x\r\n "+name+": "+value),
		with("the name with a space after it", refused, name+" : "+value),
		with("the name with a tab before it", refused, "\t"+name+": "+value),
		with("the name with _ instead of -", refused, strings.ReplaceAll(name, "-", "_")+": "+value),
		with("the name with HTTP_ before it", refused, "HTTP_"+name+": "+value),
		with("the name with an additional letter", refused, name+"s: "+value),
		with("a name without X-, or with it", refused, otherName(name)+": "+value),
		with("in Authorization", refused, "Authorization: "+value),
		with("in Authorization, as HMAC", refused, "Authorization: HMAC "+value),
		with("in a cookie", refused, "Cookie: "+name+"="+value),
		with("in X-Original-Headers", refused, "X-Original-Headers: "+name+": "+value),
		with("in another header, after a carriage return", refused, "X-Other: x\r"+name+": "+value),
		with("a NUL after it", refused, name+": "+value+"\x00"),
		with("a vertical tab before it", refused, name+": \v"+value),
		with("the name in upper case", accepted, strings.ToUpper(name)+": "+value),
		with("white space around it", accepted, name+":  \t"+value+" \t"),
		r.trailer(body, value),
	}
	if r.to.path != "*" {
		q := r.post(body)
		sep := "?"
		if r.to.url.RawQuery != "" {
			sep = "&"
		}
		q.target += sep + url.QueryEscape(name) + "=" + url.QueryEscape(value)
		probes = append(probes, r.probe("in the query", refused, "POST …?"+name+"=…", q))
	}
	inside := fmt.Appendf(nil, `{"id":"%s","status":"COMPLETED",%s:%s}`, r.job(), quote(name), quote(value))
	return append(probes, r.probe("in the body", refused, "POST, the signature in the JSON", r.post(inside)))
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a text is always written
	}
	return string(b)
}

func otherName(name string) string {
	if rest, ok := strings.CutPrefix(name, "X-"); ok {
		return rest
	}
	return "X-" + name
}

// trailer sends the signature behind the body.
func (r *runner) trailer(body []byte, value string) probe {
	q := r.post(nil, "Transfer-Encoding: chunked", "Trailer: "+r.Scheme.Header)
	q.noLength = true
	q.body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n%s: %s\r\n\r\n", len(body), body, r.Scheme.Header, value)
	p := r.probe("in a trailer", refused, "POST, chunked, with a trailer", q)
	p.body = body
	return p
}

// identity claims to be a caller that need not sign.
func (r *runner) identity() []probe {
	var probes []probe
	for _, line := range []string{
		"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 10.0.0.1, 127.0.0.1", "X-Real-IP: 127.0.0.1", "X-Client-IP: 127.0.0.1", "True-Client-IP: 127.0.0.1",
		"CF-Connecting-IP: 127.0.0.1", "X-Cluster-Client-IP: 127.0.0.1", "X-Originating-IP: 127.0.0.1", "X-Remote-Addr: 127.0.0.1",
		"Forwarded: for=127.0.0.1;host=localhost;proto=https", `Forwarded: for="[::1]"`, "X-Forwarded-Host: localhost", "X-Forwarded-Proto: https",
		"X-Forwarded-Port: 443", "X-Forwarded-Prefix: /healthz", "X-Original-URL: /healthz", "X-Rewrite-URL: /healthz", "X-Original-Method: GET",
		"X-HTTP-Method-Override: GET", "X-HTTP-Method: OPTIONS", "X-Method-Override: HEAD", "X-Forwarded-User: admin", "X-Remote-User: admin",
		"X-Authenticated: true", "X-Signature-Verified: true", "X-Verified: 1", "X-SSL-Client-Verify: SUCCESS", "X-Client-Verified: SUCCESS",
		"X-Forwarded-Client-Cert: Subject=\"CN=platform\"", "Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: Bearer null", "X-Api-Key: test",
		"Via: 1.1 localhost", "Origin: http://localhost", "Referer: http://localhost/", "User-Agent: ELB-HealthChecker/2.0", "X-Debug: 1", "X-Internal: true",
		"Connection: close, " + r.Scheme.Header, "X-Original-Host: localhost",
	} {
		name := line[:strings.IndexByte(line, ':')]
		probes = append(probes, r.probe("unsigned, with "+line, refused, "POST, unsigned, "+name, r.post(r.fresh(), line)))
	}
	for _, line := range []string{"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Forwarded-User: admin"} {
		body := r.fresh()
		wrong := r.line(r.Scheme.sign([]byte("not the key"), body))
		probes = append(probes, r.probe("wrongly signed, with "+line, refused, "POST, wrong signature", r.post(body, line, wrong)))
	}
	body := r.fresh()
	for _, line := range []string{"X-Original-URL: ", "X-Rewrite-URL: ", "X-Forwarded-Uri: "} {
		q := r.post(body, r.right(body), line+r.to.path)
		q.target = "/nowhere-" + r.id
		p := r.probe("the right path in "+strings.TrimSuffix(line, ": "), refused, "POST /nowhere, signed", q)
		if r.to.url.Path == "" || r.to.url.Path == "/" {
			p.skip = "the URL has no path"
		}
		probes = append(probes, p)
	}
	for _, line := range []string{"X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"} {
		q := r.post(body, r.right(body), line)
		q.method = "GET"
		probes = append(probes, r.probe("GET, with "+line, refused, "GET, signed", q))
	}
	return append(probes, r.signed("signed, with an invalid address in X-Forwarded-For", accepted, r.fresh(), "X-Forwarded-For: \"><script>, ::::, 999.1.1.1"))
}
