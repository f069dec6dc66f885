package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"receiver/internal/job"
)

func TestHeadersAreRecordedAsReceived(t *testing.T) {
	t.Parallel()
	header := http.Header{
		"X-Many": {"one", "two"}, "Content-Type": {"application/json"}, "X-None": {},
		"Authorization": {"Basic c2VjcmV0"}, "X-Odd": {"a\"b\\c\t<\u00e4\U0001f600\xff"},
	}
	const want = `{"Authorization":["sha256:e54151d4"],"Content-Type":["application/json"],"Host":["receiver.example"],` +
		`"X-Many":["one","two"],"X-None":[],"X-Odd":["a\"b\\c\t\u003c\u00e4\ud83d\ude00\ufffd"]}`
	if got := headerJSON(&http.Request{Host: "receiver.example", Header: header}); got != want {
		t.Errorf("headerJSON = %s, want %s", got, want)
	}
}

func TestNoSecretIsRecorded(t *testing.T) {
	t.Parallel()
	const token = "AXRva2VuLm9mLm91cnM_-x"
	header := http.Header{
		"X-Original-Uri": {"/callbacks/crm/" + token + "?x"}, "X-Api-Key": {"k"}, "X-Apikey": {"k"}, "X-Hub-Token": {"k"}, "Set-Cookie": {"k"},
		"X-Client-Secret": {"k"}, "X-Passwd": {"k"}, "X-Auth-Request-User": {"k"}, "X-Session": {"k"}, "Elements-Webhook-Signature": {"sha256=" + token},
	}
	got := headerJSON(&http.Request{Host: token + ".example", Header: header}, token)
	if strings.Contains(got, token) || strings.Contains(got, `"k"`) {
		t.Errorf("headerJSON = %s, want no secret in it", got)
	}
	var parsed http.Header
	if err := json.Unmarshal([]byte(got), &parsed); err != nil || parsed.Get("X-Original-Uri") != "/callbacks/crm/"+job.Fingerprint([]byte(token))+"?x" {
		t.Errorf("headerJSON = %s, %v, want what stands around the token", got, err)
	}
	if got := headerJSON(&http.Request{Host: "h", Header: http.Header{"X-A": {"aaa"}}}, "a"); strings.Contains(got, "sha256") {
		t.Errorf("headerJSON = %s, where the address ends in what is no token", got)
	}
}

func TestHeadersOverTheBoundAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		size int
		kept bool
	}{{maxHeaderJSON - 100, true}, {maxHeaderJSON, false}, {4 * maxHeaderJSON, false}} {
		for _, filler := range []string{"x", "\u00e4"} {
			h := http.Header{"X-Long": {strings.Repeat("x", tt.size-1) + filler}}
			got := headerJSON(&http.Request{Host: "h", Header: h})
			if (got != omitted) != tt.kept || len(got) > maxHeaderJSON {
				t.Errorf("headerJSON of %d bytes has %d, kept %v, want %v", tt.size, len(got), got != omitted, tt.kept)
			}
		}
	}
}

// For any headers, the record is one JSON document in printable ASCII, equal to that of
// encoding/json.
func FuzzHeaderJSON(f *testing.F) {
	f.Add("X-Test", "value", "receiver.example")
	f.Add("Accept", "a\"b\\\x00\xff\u2028<>&", "[::1]:8080")
	f.Add("Host", "another", "host")
	f.Fuzz(func(t *testing.T, name, value, host string) {
		r := &http.Request{Host: host, Header: http.Header{name: {value, "", value}, "User-Agent": {"fuzz"}}}
		text := headerJSON(r)
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Fatalf("headerJSON = %q, want printable ASCII", text)
			}
		}
		if text == omitted {
			return
		}
		want := map[string][]string{name: {value, "", value}, "User-Agent": {"fuzz"}}
		want["Host"] = []string{host}
		var got map[string][]string
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("headerJSON = %q: %v", text, err)
		}
		if isSecret(name) {
			if len(value) > 8 && strings.Contains(text, value) && !strings.Contains(name+host, value) {
				t.Fatalf("headerJSON = %q tells a secret", text)
			}
			delete(want, name)
			delete(got, name)
		}
		plain, err := json.Marshal(want)
		var oracle map[string][]string
		if err != nil || json.Unmarshal(plain, &oracle) != nil || !reflect.DeepEqual(got, oracle) {
			t.Fatalf("headerJSON says %q, want %q", got, oracle)
		}
	})
}
