package web_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// Only what changes the bytes of a body is refused for its encoding; other words are a
// sender's mistake, and the bytes were signed as they are.
func TestOnlyCodingsThatChangeTheBodyAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	for value, code := range map[string]int{
		"": 200, "identity": 200, "Identity": 200, "utf-8": 200, "UTF-8": 200, "UTF-8, identity": 200, "none": 200, "binary": 200, "8bit": 200,
		"json": 200, "gzipped": 200, "g zip": 200, "aws-chunked": 200, ",": 200, "\"\"": 200, "charset=utf-8": 200, "iso-8859-1;q=1": 200, "*": 200,
		"gzip": 415, "GZip": 415, " gzip\t": 415, "x-gzip": 415, "deflate": 415, "br": 415, "zstd": 415, "compress": 415, "x-compress": 415,
		"aes128gcm": 415, "exi": 415, "dcb": 415, "dcz": 415, "pack200-gzip": 415, "\"gzip\"": 415, "gzip;q=1.0": 415,
		"identity, gzip": 415, "utf-8,gzip": 415, "gzip,": 415, "gzip, br": 415, ",,zstd": 415,
	} {
		headers := []string{"Content-Encoding", value}
		if value == "" { // post would leave it out
			headers = []string{"Content-Encoding", " "}
		}
		if got := d.post(demoBody, headers...); got.code != code {
			t.Errorf("Content-Encoding %q = %d, want %d", value, got.code, code)
		}
	}
	for _, tt := range []struct {
		headers []string
		code    int
	}{
		{[]string{"Content-Encoding", "utf-8", "Content-Encoding", "identity"}, 200},
		{[]string{"Content-Encoding", "identity", "Content-Encoding", "br"}, 415},
		{[]string{"Content-Encoding", "br", "Content-Encoding", "identity"}, 415},
	} {
		if got := d.post(demoBody, tt.headers...); got.code != tt.code {
			t.Errorf("POST with %q = %d, want %d", tt.headers, got.code, tt.code)
		}
	}
}

// An encoded body is refused, and not lost: its bytes are kept as they came, up to the limit.
func TestEncodedBodyIsKept(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *options) { o.public.BodyLimit = 4 << 10 })
	packed := "\x1f\x8b\x08 packed"
	for _, tt := range []struct {
		path, body, subject, claimed string
		kept                         bool
	}{
		{"/callbacks/demo", packed, "attempts.demo.encoded", "", true},
		{"/callbacks/demo", "", "attempts.demo.encoded", "", true},
		{"/callbacks/demo/a-token", strings.Repeat("x", 2<<10), "attempts.demo.encoded", "", false},
		{"/callbacks/nobody", packed, "attempts._.encoded", "nobody", true},
	} {
		got := d.do(http.MethodPost, tt.path, tt.body, "Content-Encoding", "gzip")
		if want := `{"message":"send the body without Content-Encoding"}` + "\n"; got.code != 415 || got.body != want {
			t.Errorf("POST %s = %d %q, want 415 %q", tt.path, got.code, got.body, want)
		}
		a := d.lastOffer(t)
		if a.Subject() != tt.subject || a.Claimed != tt.claimed || (string(a.Body) == tt.body) != tt.kept || a.Size != int64(len(tt.body)) ||
			a.SHA256 != job.BodySHA256([]byte(tt.body)) || a.Receipt.Signature != signature(demoKey, tt.body) || a.Receipt.Remote != "127.0.0.1" ||
			!strings.Contains(a.Receipt.Request, `"Content-Encoding":["gzip"]`) {
			t.Errorf("POST %s is kept as %+v, want it on %s", tt.path, a, tt.subject)
		}
	}
	if got := d.post(strings.Repeat("x", 5<<10), "Content-Encoding", "gzip"); got.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body over the limit = %d, want 413", got.code)
	}
	metrics := get(t, web.NewPrivate(web.Private{Metrics: d.metrics}), "/metrics", "").body
	for _, want := range []string{
		`receiver_callbacks_total{outcome="encoded",source="demo"} 3`, `receiver_callbacks_total{outcome="encoded",source="_"} 1`,
		`receiver_callbacks_rejected_total{answer="Unsupported Media Type"} 4`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics has no line %s", want)
		}
	}
	if line := d.log.lines(t)[0]; line["reason"] != "encoded" || line["source"] != "demo" || line["status"] != 415.0 || line["bytes"] != float64(len(packed)) {
		t.Errorf("logged %v, want what was refused and why", line)
	}
	if events, offered := d.counts(); events != 0 || offered != 4 {
		t.Errorf("%d events and %d attempts, want none and 4", events, offered)
	}
	if got := d.post(demoBody, "Content-Encoding", "utf-8", verify.Header, ""); got.code != http.StatusUnauthorized {
		t.Errorf("a charset and no signature = %d, want 401", got.code)
	}
}

// A callback to an unknown address uses up the platform's retries. It is answered like any other
// request to such an address, and is logged, counted and kept.
func TestCallbackToAWrongPathIsKept(t *testing.T) {
	t.Parallel()
	const token = "AXRva2VuLm9mLm91cnM_-x-and-more-of-it"
	const signed, unsigned = true, false
	for _, tt := range []struct {
		method, path string
		signed       bool
		code         int
		claimed      string // what is recorded; empty for nothing
		source       string // whose retries it uses up, if it is signed
	}{
		{"POST", "//callbacks/demo", signed, 404, "POST //callbacks/demo", "demo"},
		{"POST", "/callbacks//demo", signed, 404, "POST /callbacks//demo", "demo"},
		{"POST", "/callbacks/demo//", signed, 404, "POST /callbacks/demo//", "demo"},
		{"POST", "/prefix/callbacks/demo", signed, 404, "POST /prefix/callbacks/demo", "demo"},
		{"POST", "/prefix/callbacks/demo/?a=secret", signed, 404, "POST /prefix/callbacks/demo/", "demo"},
		{"POST", "/callbacks", signed, 404, "POST /callbacks", ""},
		{"POST", "/callbacks/", signed, 404, "POST /callbacks/", ""},
		{"POST", "/callbacks//", signed, 404, "POST /callbacks//", ""},
		{"POST", "/Callbacks/Demo", signed, 404, "POST /Callbacks/Demo", "demo"},
		{"POST", "/%63allbacks/demo", signed, 404, "POST /%63allbacks/demo", "demo"},
		{"POST", "/callbacks%2Fdemo", signed, 404, "POST /callbacks%2Fdemo", "demo"},
		{"POST", "/callbacks/demo%2F", signed, 404, "POST /callbacks/demo%2F", "demo"},
		{"POST", "/callbacks/%64emo", signed, 404, "POST /callbacks/%64emo", "demo"},
		{"POST", "/callbacks/demo;v=1", signed, 404, "POST /callbacks/demo;v=1", ""},
		{"POST", "/callbacks/../callbacks/demo", signed, 404, "POST /callbacks/../callbacks/demo", ""},
		{"POST", "/./callbacks/demo", signed, 404, "POST /./callbacks/demo", "demo"},
		{"POST", "/callbacks/demo/a/b", signed, 404, "POST /callbacks/demo/a/b", "demo"},
		{"POST", "/callbacks/demo/" + token + "/extra", signed, 404, "POST /callbacks/demo/sha256:a7119842/extra", "demo"},
		{"POST", "/callbacks/demo%2F" + token, signed, 404, "POST /callbacks/sha256:", "demo"},
		{"POST", "/callbacks/" + token, signed, 404, "POST /callbacks/sha256:a7119842", ""},
		{"POST", "/", signed, 404, "POST /", ""},
		{"POST", "http://other.example/a/callbacks/demo", signed, 404, "POST /a/callbacks/demo", "demo"},
		{"POST", "http://other.example", signed, 404, "POST ", ""},
		{"POST", "/hooks/" + strings.Repeat("x/", 300), signed, 404, ("POST /hooks/" + strings.Repeat("x/", 300))[:256], ""},
		{"POST", "/hooks" + strings.Repeat("/"+token, 150), signed, 404, "POST /hooks" + strings.Repeat("/sha256:a7119842", 5) + "/...", ""},
		{"POST", "/x\xe9\xff", signed, 404, "POST /x%E9%FF", ""},
		{"PUT", "/prefix/callbacks/demo", signed, 404, "PUT /prefix/callbacks/demo", "demo"},
		{"POST", "/prefix/callbacks/demo", unsigned, 404, "POST /prefix/callbacks/demo", "demo"},
		{"POST", "/CALLBACK", unsigned, 404, "POST /CALLBACK", ""},
		{"POST", "/wp-login.php", unsigned, 404, "", ""},
		{"PUT", "/prefix/callbacks/demo", unsigned, 404, "", ""},
		{"GET", "/callbacks/a/b/c", unsigned, 404, "", ""},
		{"GET", "/callbacks/demo", signed, 405, "GET /callbacks/demo", "demo"},
		{"PUT", "/callbacks/demo/" + token + "/", signed, 405, "PUT /callbacks/demo/sha256:a7119842/", "demo"},
		{"AN-UNUSUALLY-LONG-METHOD", "/callbacks/demo", signed, 405, "AN-UNUSUALLY-LON /callbacks/demo", "demo"},
		{"POST", "/healthz", signed, 405, "POST /healthz", ""},
		{"PUT", "/callbacks/demo", unsigned, 405, "", ""},
		{"POST", "/healthz", unsigned, 405, "", ""},
	} {
		retries := callback.NewRetryState()
		d := open(t, func(o *options) { o.public.Retries = retries })
		l := d.dial()
		l.send("%s %s HTTP/1.1\nHost: x\nX-Original-Uri: %[2]s\nContent-Length: %[3]d\n", tt.method, tt.path, len(demoBody))
		if tt.signed {
			l.send("%s: %s\n", verify.Header, signature(demoKey, demoBody))
		}
		l.send("\n%s", demoBody)
		got := l.answer()
		reason, want := job.WrongPath, `{"message":"Not Found"}`+"\n"
		if tt.code == http.StatusMethodNotAllowed {
			reason, want = job.WrongMethod, `{"message":"Method Not Allowed"}`+"\n"
		}
		if got.code != tt.code || got.body != want {
			t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, got.code, got.body, tt.code, want)
		}
		if _, offered := d.counts(); tt.claimed == "" {
			if lines := d.log.lines(t); offered != 0 || len(lines) != 0 {
				t.Errorf("%s %s leaves %d attempts and %v in the log, want nothing", tt.method, tt.path, offered, lines)
			}
			continue
		}
		a := d.lastOffer(t)
		if a.Subject() != "attempts._."+reason || !strings.HasPrefix(a.Claimed, tt.claimed) || string(a.Body) != demoBody || a.Receipt.Remote != "127.0.0.1" {
			t.Errorf("%s %s is kept as %+v on %s, want it to claim %q", tt.method, tt.path, a, a.Subject(), tt.claimed)
		}
		line := d.log.lines(t)[0]
		if line["reason"] != reason || line["request"] != a.Claimed || line["status"] != float64(tt.code) || line["source"] != cmp.Or(tt.source, "_") {
			t.Errorf("%s %s logged %v", tt.method, tt.path, line)
		}
		if inARow := retries.Standing("demo", time.Now()).InARow; (inARow == 1) != (tt.signed && tt.source != "") {
			t.Errorf("%s %s: %d failures of demo in a row", tt.method, tt.path, inARow)
		}
		for what, text := range map[string]string{"log": d.log.text(), "record": a.Claimed + a.Receipt.Request} {
			if strings.Contains(text, token[:20]) || strings.Contains(text, token[len(token)-20:]) {
				t.Errorf("%s %s: the %s has the token: %s", tt.method, tt.path, what, text)
			}
		}
	}
}

// An incomplete body at a wrong path is answered like a complete one, and no more is read.
func TestAWrongPathReadsNoMoreThanACallback(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, tt := range []struct{ headers, body string }{
		{"Content-Length: 1025", ""}, {"Transfer-Encoding: chunked", "401\n" + strings.Repeat("x", 1025) + "\n"},
		{"Content-Length: 9223372036854775807", ""}, {"Transfer-Encoding: chunked", "no chunk\n"},
	} {
		l := d.dial()
		l.send("POST /prefix/callbacks/demo HTTP/1.1\nHost: x\n%s: x\n"+tt.headers+"\n\n"+tt.body, verify.Header)
		if got := l.answer(); got.code != http.StatusNotFound || got.body != `{"message":"Not Found"}`+"\n" {
			t.Errorf("%s: %d %q, want 404 as ever", tt.headers, got.code, got.body)
		}
		if err := l.closed(); err != nil {
			t.Errorf("%s: the connection is still open: %v", tt.headers, err)
		}
	}
	if _, offered := d.counts(); offered != 0 || len(d.log.lines(t)) != 4 {
		t.Errorf("%d attempts and %v, want none and four lines", offered, d.log.lines(t))
	}
}

// HEAD is answered as GET, and recorded as what it was.
func TestHEADThatLooksLikeACallbackIsRecordedAsSuch(t *testing.T) {
	t.Parallel()
	for path, code := range map[string]int{"/callbacks/demo": 405, "/hooks/callbacks/demo": 404} {
		d := open(t)
		got := d.do(http.MethodHead, path, demoBody)
		if a := d.lastOffer(t); got.code != code || a.Claimed != "HEAD "+path {
			t.Errorf("HEAD %s = %d, recorded as %q", path, got.code, a.Claimed)
		}
	}
}
