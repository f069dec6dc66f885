package conformance_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/conformance"
)

func options(url string) conformance.Options {
	return conformance.Options{URL: url, Key: []byte(key), Scheme: conformance.Schemes[0], Time: time.Minute, CutOff: 20 * time.Second, Idle: 20}
}

func failures(t *testing.T, report conformance.Report) []conformance.Result {
	t.Helper()
	return slices.DeleteFunc(slices.Clone(report.Results), func(r conformance.Result) bool { return r.Verdict != conformance.Fail })
}

// The suite is not made for one receiver: a minimal one that does nothing wrong passes, by
// another scheme too, and so does one behind https.
func TestGoodReceiversPass(t *testing.T) {
	for _, scheme := range []string{"open-connectors", "github"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			h := newHook()
			o := options("")
			o.Scheme, _ = conformance.FindScheme(scheme)
			h.header, h.hex = o.Scheme.Header, o.Scheme.Hex
			if h.hex {
				o.Only = []string{"stripping", "keys", "algorithms", "macs", "headers", "replays", "re-encoding", "oracles", "tenants"}
			}
			url := started(t, h.good())
			o.URL, o.OtherURL, o.OtherKey = url+"/hook/a", url+"/hook/b", []byte(otherKey)
			o.Restart = func(context.Context) error { return nil }
			report, err := conformance.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range failures(t, report) {
				t.Errorf("%+v", r)
			}
			if n := len(report.Results); n < 200 || !h.hex && n < 500 {
				t.Errorf("the report has %d cases, want 200 or 500 at least", n)
			}
			if n := report.Count(conformance.Skip); n > 1 {
				t.Errorf("%d cases were skipped, want 1 at most", n)
			}
			quiet(t, report)
		})
	}
}

// quiet holds that a report gives no key and no signature away.
func quiet(t *testing.T, report conformance.Report) {
	t.Helper()
	var text, page bytes.Buffer
	if err := errors.Join(report.WriteJSON(&text), report.WriteText(&text, true), report.WriteHTML(&page)); err != nil {
		t.Fatal(err)
	}
	sign := base64.StdEncoding.EncodeToString(hash(key, []byte(report.Kept.Body)))
	for _, secret := range []string{key, sign, strings.TrimSuffix(sign, "="), sign[:24]} {
		if strings.Contains(text.String()+page.String(), secret) {
			t.Errorf("the report holds %q", secret)
		}
	}
}

// Each bad receiver is red where it is bad.
func TestBadReceiversFail(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler http.Handler
		red     map[string][]string // cases that must be, by class
	}{
		{"plain", newHook().plain(), map[string][]string{
			"stripping": {"no header", "empty header"}, "keys": {"signed with: empty"}, "algorithms": {"the label none without a MAC"},
			"macs": {"all zero", "first letter alone"}, "headers": {"in the query", "in a trailer", "in a cookie"},
			"replays": {"its signature for another id", "its signature for an empty body"}, "identity": {"unsigned, with X-Forwarded-For: 127.0.0.1"},
			"lengths": {"longer than the body, then the end", "33 MiB sent, unsigned"}, "chunks": {"chunks without an end, unsigned"},
			"smuggling": {"a length over everything, and chunks that end before it", "three at once: signed, unsigned, signed"}, "encodings": {"a compression bomb of 33 MiB, unsigned"},
			"paths": {"by GET", "by HEAD", "two slashes after it"}, "json": {"unsigned: invalid JSON"}, "oracles": {"no header"},
		}},
		{"reencoding", newHook().reencoding(), map[string][]string{
			"re-encoding": {"keys in another order", "letters as \\u escapes", "a space after colons", "a newline after it", "a number written 3.0"},
			"oracles":     {"a wrong signature: no reason in the response"}, "paths": {"/./"},
		}},
		{"trusting", newHook().trusting(), map[string][]string{
			"identity": {"unsigned, with X-Forwarded-For: 127.0.0.1", "unsigned, with X-Real-IP: 127.0.0.1", "wrongly signed, with X-Real-IP: 127.0.0.1"},
		}},
		{"loose", newHook().loose(), map[string][]string{
			"stripping": {"no header", "empty header", "a label without a MAC"}, "keys": {"signed with an empty key, at an unknown source"},
			"macs":    {"in lower case", "in upper case", "first letter alone", "last letter missing"},
			"headers": {"twice, right and wrong"}, "oracles": {"a wrong signature: no reason in the response", "no header"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(started(t, tt.handler) + "/hook/a")
			o.Only = slices.Sorted(maps.Keys(tt.red))
			if tt.name == "trusting" { // it checks signatures well
				o.Only = append(o.Only, "stripping", "keys", "algorithms", "macs", "re-encoding")
			}
			report, err := conformance.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			red := failures(t, report)
			for class, names := range tt.red {
				for _, name := range names {
					if !slices.ContainsFunc(red, func(r conformance.Result) bool { return r.Class == class && r.Name == name }) {
						t.Errorf("%s: %q did not fail", class, name)
					}
				}
			}
			for _, r := range red {
				if tt.red[r.Class] == nil {
					t.Errorf("it failed where it is good: %+v", r)
				}
			}
		})
	}
}

// A receiver that never cuts off a slow sender fails.
func TestASlowSenderMustBeCutOff(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(newHook().good()) // without timeouts
	t.Cleanup(s.Close)
	o := options(s.URL + "/hook/a")
	o.CutOff, o.Only = time.Second, []string{"slow"}
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	slow := slices.DeleteFunc(failures(t, report), func(r conformance.Result) bool { return r.Class != "slow" })
	if len(slow) != 7 {
		t.Errorf("%d of 7 slow cases failed, want all: %+v", len(slow), slow)
	}
}

// A receiver that forgets its jobs in a restart is red.
func TestRestart(t *testing.T) {
	t.Parallel()
	h := newHook()
	o := options(started(t, h.good()) + "/hook/a")
	o.Only = []string{"replays"}
	report, err := conformance.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Earlier = report.Kept
	for _, forgets := range []bool{false, true} {
		if forgets {
			h.mu.Lock()
			clear(h.jobs)
			h.mu.Unlock()
		}
		report, err := conformance.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Count(conformance.Fail) == 1; got != forgets || len(report.Results) != 5 {
			t.Errorf("forgets %v: %+v", forgets, report.Results)
		}
	}
}

func TestControl(t *testing.T) {
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	good := started(t, newHook().good())
	secure := httptest.NewTLSServer(newHook().good())
	t.Cleanup(secure.Close)
	moved := started(t, http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	for _, tt := range []struct{ name, url, key, says string }{
		{"another key", good + "/hook/a", "another", "check --key-file"},
		{"a redirect", moved, key, "redirects are not followed"},
		{"nobody there", "http://127.0.0.1:1/x", key, "check that it runs"},
		{"http to https", "http" + strings.TrimPrefix(secure.URL, "https") + "/hook/a", key, "check --key-file"},
		{"https to http", "https" + strings.TrimPrefix(good, "http") + "/hook/a", key, "http or https"},
	} {
		o := options(tt.url)
		o.Key = []byte(tt.key)
		report, err := conformance.Run(t.Context(), o)
		if !errors.Is(err, conformance.ErrControl) || len(report.Results) != 1 || report.Count(conformance.Fail) != 1 {
			t.Errorf("%s: Run = %v, %v, want ErrControl after one case", tt.name, report, err)
		} else if !strings.Contains(err.Error(), tt.says) && !strings.Contains(err.Error(), "--url") {
			t.Errorf("%s: %q, want %q", tt.name, err, tt.says)
		}
	}
	if reached.Load() != 0 {
		t.Error("a redirect was followed")
	}
	o := options(secure.URL + "/hook/a")
	o.Earlier = &conformance.Kept{Body: `{"id":"1"}`}
	if report, err := conformance.Run(t.Context(), o); err != nil || report.Count(conformance.Fail) != 0 {
		t.Errorf("https: %+v, %v", report, err)
	}
}

// There is no way to attack another machine.
func TestLoopbackOnly(t *testing.T) {
	for _, url := range []string{
		"http://192.0.2.1/x", "http://0.0.0.0/x", "http://[::]/x", "http://[::ffff:192.0.2.1]/x", "http://[fe80::1]/x", "http://10.0.0.1:8080/x",
		"http://169.254.169.254/", "http://127.0.0.1@192.0.2.1/", "http://u:p@127.0.0.1/", "ftp://127.0.0.1/", "127.0.0.1:80", "http:///x", "",
		"http://127.0.0.1:99999/", "http://127.0.0.1/#x",
	} {
		report, err := conformance.Run(t.Context(), options(url))
		if !errors.Is(err, conformance.ErrUse) || len(report.Results) != 0 {
			t.Errorf("Run against %q = %+v, %v, want ErrUse", url, report, err)
		}
		if url == "" {
			continue // no other URL is none to refuse, and what listens at the first is not the test's
		}
		o := options("http://127.0.0.1/x")
		o.OtherURL = url
		if _, err := conformance.Run(t.Context(), o); !errors.Is(err, conformance.ErrUse) {
			t.Errorf("Run with --other-url %q = %v, want ErrUse", url, err)
		}
	}
}

// A run that has no time left is no success.
func TestTimeIsBounded(t *testing.T) {
	t.Parallel()
	o := options(started(t, newHook().good()) + "/hook/a")
	o.Time = 300 * time.Millisecond
	report, err := conformance.Run(t.Context(), o)
	if err == nil && report.Count(conformance.Fail) == 0 {
		t.Errorf("Run = %s, want failures", report.Summary())
	}
}

func TestCardEscapes(t *testing.T) {
	report := conformance.Report{Results: []conformance.Result{{"macs", "<script>", `"><img src=x>`, "&", "\x1b[2J", conformance.Fail}}}
	var page, lines bytes.Buffer
	if err := errors.Join(report.WriteHTML(&page), report.WriteJSON(&lines)); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); strings.Contains(text, "<script") || strings.Contains(text, "<img") || strings.Contains(text, "//") {
		t.Errorf("the page is not escaped, or names another:\n%s", text)
	}
	var back conformance.Result
	if err := json.Unmarshal(lines.Bytes(), &back); err != nil || back != report.Results[0] {
		t.Errorf("the line reads as %+v, %v", back, err)
	}
}
