package web_test

import (
	"testing"

	"receiver/internal/verify"
)

// With a prefix, every address is there twice: a proxy may leave it, or take it off.
func TestThePrefixThatAProxyLeaves(t *testing.T) {
	t.Parallel()
	d := open(t, func(o *options) { o.public.Prefix = "/hooks/v1" })
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"POST", "/hooks/v1/callbacks/demo", 200},
		{"POST", "/hooks/v1/callbacks/demo/", 200},
		{"POST", "/hooks/v1/callbacks/demo/token", 200},
		{"POST", "/hooks/v1/callbacks/demo/token/?x=y", 200},
		{"POST", "http://h/hooks/v1/callbacks/demo", 200},
		{"POST", "/callbacks/demo", 200},
		{"POST", "/hooks/v1/callbacks/nobody", 401},
		{"GET", "/hooks/v1/healthz", 200},
		{"HEAD", "/hooks/v1/healthz/", 200},
		{"GET", "/healthz", 200},
		{"PUT", "/hooks/v1/callbacks/demo", 405},
		{"POST", "/hooks/v1/healthz", 405},
		{"POST", "/hooks/callbacks/demo", 404},
		{"POST", "/v1/callbacks/demo", 404},
		{"POST", "/hooks/v1/hooks/v1/callbacks/demo", 404},
		{"POST", "/hooks/v1//callbacks/demo", 404},
		{"POST", "/hooks/v1callbacks/demo", 404},
		{"POST", "/hooks/v1x/callbacks/demo", 404},
		{"POST", "/hooks%2Fv1/callbacks/demo", 404},
		{"POST", "/h%6foks/v1/callbacks/demo", 404},
		{"POST", "/HOOKS/v1/callbacks/demo", 404},
		{"POST", "/hooks/v1/../v1/callbacks/demo", 404},
		{"POST", "/hooks/v1/callbacks/demo%2F", 404},
		{"POST", "/hooks/v1", 404},
		{"POST", "/hooks/v1/", 404},
		{"GET", "/hooks/v1/metrics", 404},
	} {
		_, before := d.counts()
		if got := d.do(tt.method, tt.path, demoBody); got.code != tt.code {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, got.code, tt.code)
		}
		if _, offered := d.counts(); (offered > before) != (tt.code != 200) {
			t.Errorf("%s %s, answered %d, leaves %d attempts", tt.method, tt.path, tt.code, offered-before)
		}
	}
	d.do("POST", "/hooks/v1/callbacks/demo/a/b", demoBody)
	if a := d.lastOffer(t); a.Claimed != "POST /hooks/v1/callbacks/demo/a/b" {
		t.Errorf("kept as %q, want the path as it came", a.Claimed)
	}
	if got := d.do("POST", "/hooks/v1/callbacks/demo", demoBody, verify.Header, ""); got.code != 401 {
		t.Errorf("unsigned = %d, want 401", got.code)
	}
}
