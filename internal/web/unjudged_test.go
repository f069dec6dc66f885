package web_test

import (
	"net/http"
	"strings"
	"testing"

	"receiver/internal/job"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// Only what changes the bytes of a body is refused for its encoding; other words are a
// sender's mistake, and the bytes were signed as they are.
func TestOnlyCodingsThatChangeTheBodyAreRefused(t *testing.T) {
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

// What is encoded is refused, and not lost: its bytes are kept as they came, up to the bound.
func TestWhatIsEncodedIsKept(t *testing.T) {
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
