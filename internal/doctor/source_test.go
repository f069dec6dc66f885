package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
)

const remote = "https://api.example.com/elements/api-v2"

func TestCallback(t *testing.T) {
	answer := func(code int, body string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/base/healthz" || r.Header.Get("Authorization") != "" {
				code = http.StatusTeapot
			}
			w.Header().Set("Location", "https://www.example.com/base/healthz?secret=1")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		})
	}
	const ours = `{"message":"ok"}` + "\n"
	look := func(base string, running bool) []doctor.Finding {
		return doctor.Callback{Source: "crm", BaseURL: base + "/base", PlatformURL: "http://127.0.0.1:1/", Running: running}.Look(t.Context())
	}
	nobody := serve(t, nil)
	hold(t, []row{
		{"ours", look(answer(200, ours), true), doctor.OK, "a receiver answers at", ""},
		{"another's 200", look(answer(200, "<html>welcome</html>"), true), doctor.Error, "answered by another program", setting},
		{"other JSON", look(answer(200, `{"message":"OK","x":1}`), true), doctor.Error, "answered by another program", setting},
		{"redirected", look(answer(301, ""), true), doctor.Error, "is redirected (301 Moved Permanently) to https://www.example.com/base", setting},
		{"credentials", look(answer(401, ""), true), doctor.Error, "answers 401", ""},
		{"not found", look(answer(404, ours), true), doctor.Error, "answers 404", setting},
		{"a prefix that nobody expects", look(answer(404, `{"message":"Not Found"}`), true), doctor.Error, "for a prefix", "public.prefix"},
		{"bad gateway", look(answer(502, ""), true), doctor.Error, "answers 502", ""},
		{"bad gateway, as nothing runs", look(answer(502, ""), false), doctor.Note, "answers 502", ""},
		{"not found, as nothing runs", look(answer(404, ""), false), doctor.Error, "answers 404", setting},
		{"closed", look(nobody, true), doctor.Error, "does not answer", ""},
		{"closed, as nothing runs", look(nobody, false), doctor.Note, "does not answer", ""},
		{"none", doctor.Callback{Source: "crm", PlatformURL: remote}.Look(t.Context()), doctor.Note, "callback_base_url is not set", setting},
		{"this machine", doctor.Callback{Source: "crm", BaseURL: "https://localhost", PlatformURL: remote}.Look(t.Context()), doctor.Error, "cannot be reached from the internet", setting},
		{"a private network", doctor.Callback{Source: "crm", BaseURL: "https://[fd00::1]:8443", PlatformURL: remote}.Look(t.Context()), doctor.Error, "cannot be reached from the internet", setting},
	})
	for prefix, want := range map[string]string{"": "prefix: /base, if", "/base": "restart"} {
		c := doctor.Callback{Source: "crm", BaseURL: answer(404, `{"message":"Not Found"}`) + "/base", Prefix: prefix, PlatformURL: "http://127.0.0.1:1/", Running: true}
		if f := c.Look(t.Context())[0]; !strings.HasPrefix(f.Change, want) {
			t.Errorf("with the prefix %q: change %q, want %q", prefix, f.Change, want)
		}
	}
	for _, f := range look(answer(301, ""), true) {
		if strings.Contains(f.What+f.Why+f.Change, "secret") {
			t.Errorf("%+v tells the query of a redirect", f)
		}
	}
}

const setting = "sources.crm.callback_base_url"

// serve serves until the end of the test; without a handler no server runs.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	if h == nil {
		s.Close()
		return s.URL
	}
	t.Cleanup(s.Close)
	return s.URL
}

func TestCallbackOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"message":"ok"}`) }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	// The test's certificate is for example.com, and of no known authority.
	knowing := func(at time.Time) http.RoundTripper {
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		return &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, Time: func() time.Time { return at }},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, fmt.Sprint("127.0.0.1:", port))
			},
		}
	}
	look := func(base string, transport http.RoundTripper) []doctor.Finding {
		return doctor.Callback{Source: "crm", BaseURL: base, PlatformURL: remote, Running: true, Transport: transport}.Look(t.Context())
	}
	now := time.Now()
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	hold(t, []row{
		{"valid", look("https://example.com", knowing(now)), doctor.OK, "a receiver answers", ""},
		{"another name", look("https://other.test", knowing(now)), doctor.Error, "is not valid: x509: certificate is valid for", ""},
		{"expired", look("https://example.com", knowing(now.AddDate(200, 0, 0))), doctor.Error, "expired", ""},
		{"nobody's authority", doctor.Callback{
			Source: "crm", BaseURL: s.URL, PlatformURL: "http://127.0.0.1", Running: true,
		}.Look(t.Context()), doctor.Error, "unknown authority", ""},
		{"no TLS", doctor.Callback{
			Source: "crm", BaseURL: strings.Replace(plain, "http:", "https:", 1), PlatformURL: "http://127.0.0.1", Running: true,
		}.Look(t.Context()), doctor.Error, "does not speak TLS", setting},
	})
	for name, want := range map[string]string{"https://other.test": "for this name", "https://example.com": "renew"} {
		if f := look(name, knowing(now.AddDate(map[bool]int{true: 200}[name == "https://example.com"], 0, 0)))[0]; !strings.Contains(f.Change, want) {
			t.Errorf("%s is to be mended by %q, want %q in it", name, f.Change, want)
		}
	}
}

func TestPlatform(t *testing.T) {
	wrong := errors.New("401")
	look := func(secrets bool, err error) []doctor.Finding {
		return doctor.Platform{
			Source: "crm", BaseURL: remote, Secrets: secrets, Objects: func(context.Context) (int, error) { return 7, err },
			Refused: func(err error) bool { return errors.Is(err, wrong) },
		}.Look(t.Context())
	}
	hold(t, []row{
		{"known", look(true, nil), doctor.OK, "lists 7 objects", ""},
		{"refused", look(true, wrong), doctor.Error, "refuses the secrets", "sources.crm.element_token"},
		{"away", look(true, errors.New("no route")), doctor.Error, "does not answer: no route", "sources.crm.base_url"},
		{"not believed", look(true, fmt.Errorf("asking: %w", x509.UnknownAuthorityError{})), doctor.Error, "is not trusted: asking: x509: ", "sources.crm.tls.ca_file"},
		{"receiving only", look(false, nil), doctor.Note, "has no element_token", "sources.crm.element_token"},
	})
}

func TestKeys(t *testing.T) {
	key := func(source, name, same string, bytes int) doctor.Key {
		return doctor.Key{Source: source, Name: name, Fingerprint: "sha256:00", Setting: "at." + name, Bytes: bytes, Same: same}
	}
	spaced := key("crm", "a", "1", 20)
	spaced.Spaced = true
	hold(t, []row{
		{"good", doctor.Keys([]doctor.Key{key("crm", "a", "1", 16), key("crm", "b", "2", 128)}), doctor.OK, "signature keys: 2", ""},
		{"too long", doctor.Keys([]doctor.Key{key("crm", "a", "1", 129)}), doctor.Warning, "has 129 bytes", "at.a"},
		{"too short", doctor.Keys([]doctor.Key{key("crm", "a", "1", 15)}), doctor.Warning, "has only 15 bytes", "at.a"},
		{"white space", doctor.Keys([]doctor.Key{spaced}), doctor.Warning, "has white space", "at.a"},
		{"of two sources", doctor.Keys([]doctor.Key{key("crm", "a", "1", 20), key("erp", "b", "1", 20)}), doctor.Warning, "key b of source erp (sha256:00) is also that of source crm", "at.b"},
		{"twice in one", doctor.Keys([]doctor.Key{key("crm", "a", "1", 20), key("crm", "b", "1", 20)}), doctor.Warning, "is the same as a", "at.b"},
	})
}

func TestWindows(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	key := func(name string, from, to time.Time) doctor.Key {
		return doctor.Key{Source: "crm", Name: name, Same: name, Setting: "at." + name, NotBefore: from, NotAfter: to}
	}
	never := time.Time{}
	windows := func(keys ...doctor.Key) []doctor.Finding { return doctor.Windows(keys, now) }
	hold(t, []row{
		{"no windows", windows(key("a", never, never)), doctor.OK, "", ""},
		{"far ends", windows(key("a", day(-1), day(15))), doctor.OK, "", ""},
		{"ends soon", windows(key("a", never, day(13))), doctor.Warning, "expires in 13 days", "at.a"},
		{"ends soon, and another goes on", windows(key("a", never, day(13)), key("b", day(13), never)), doctor.OK, "", ""},
		{"ends soon, and another begins later", windows(key("a", never, day(13)), key("b", day(14), never)), doctor.Warning, "expires in 13 days", "at.a"},
		{"ends soon, and another with it", windows(key("a", never, day(13)), key("b", never, day(13))), doctor.Warning, "no other key", "at.a"},
		{"ended", windows(key("a", never, day(-1)), key("b", never, never)), doctor.Warning, "expired at 2025-12-31", "at.a"},
		{"not begun", windows(key("a", day(1), never)), doctor.Warning, "no key that is valid now", "sources.crm.signature_keys"},
		{"one begun", windows(key("a", day(1), never), key("b", never, never)), doctor.OK, "", ""},
	})
}

func TestListeners(t *testing.T) {
	listeners := func(change func(*doctor.Listeners)) []doctor.Finding {
		d := doctor.Listeners{Public: "127.0.0.1:8080", Private: "127.0.0.1:8081", Proxies: 1, Callbacks: []string{"https://hooks.example.com"}}
		change(&d)
		return d.Findings()
	}
	hold(t, []row{
		{"as shipped, behind a proxy", listeners(func(*doctor.Listeners) {}), doctor.OK, "on loopback", ""},
		{"by name", listeners(func(d *doctor.Listeners) { d.Private = "localhost:8081" }), doctor.OK, "on loopback", ""},
		{"without a token", listeners(func(*doctor.Listeners) {}), doctor.OK, "only requests for localhost and loopback addresses", ""},
		{"open", listeners(func(d *doctor.Listeners) { d.Private, d.Token = ":8081", 32 }), doctor.Warning, "without TLS: :8081", "private.address"},
		{"any address", listeners(func(d *doctor.Listeners) { d.Private, d.Token = "0.0.0.0:8081", 32 }), doctor.Warning, "other machines can reach", "private.address"},
		{"a proxy nobody trusts", listeners(func(d *doctor.Listeners) { d.Proxies = 0 }), doctor.Note, "a proxy on this machine", "public.trusted_proxies"},
		{"no proxy", listeners(func(d *doctor.Listeners) { d.Proxies, d.Public = 0, ":443" }), doctor.OK, "on loopback", ""},
		{"a trial", listeners(func(d *doctor.Listeners) { d.Proxies, d.Callbacks = 0, []string{"http://127.0.0.1:8080"} }), doctor.OK, "on loopback", ""},
	})
	if got := listeners(func(d *doctor.Listeners) { d.Token = 32 }); len(got) != 1 || strings.Contains(got[0].What, "only") {
		t.Errorf("on loopback with a token: found %+v, want nothing but that", got)
	}
	if got := listeners(func(d *doctor.Listeners) { d.Private, d.Token = ":8081", 15 }); len(got) != 2 || got[1].Setting != "private.token" {
		t.Errorf("an open listener with a short token: found %+v, want that too", got)
	}
}

func TestAnchor(t *testing.T) {
	anchor := func(change func(*doctor.Anchor)) []doctor.Finding {
		a := doctor.Anchor{Where: "KEPT", Setting: "audit.anchors[0].nats", Known: true}
		change(&a)
		return a.Findings()
	}
	hold(t, []row{
		{"all is well", anchor(func(*doctor.Anchor) {}), doctor.OK, "is append-only", ""},
		{"no answer", anchor(func(a *doctor.Anchor) { a.Err = errors.New("no servers") }), doctor.Error, "does not answer: no servers", "audit.anchors[0].nats"},
		{"our account", anchor(func(a *doctor.Anchor) { a.Ours = true }), doctor.Error, "account of the streams themselves", "audit.anchors[0].nats"},
		{"not append-only", anchor(func(a *doctor.Anchor) { a.Weak = []string{"deny_purge must be true"} }), doctor.Error, "deny_purge must be true", "audit.anchors[0].nats"},
		{"something was removed", anchor(func(a *doctor.Anchor) { a.Removed = 2 }), doctor.Error, "has lost 2 messages", "audit.anchors[0].nats"},
		{"wide credentials", anchor(func(a *doctor.Anchor) { a.MayRewrite = true }), doctor.Warning, "may be removed", "audit.anchors[0].nats"},
		{"unknown credentials", anchor(func(a *doctor.Anchor) { a.Known = false }), doctor.Note, "does not report the permissions", "audit.anchors[0].nats"},
	})
}

func TestSealing(t *testing.T) {
	hold(t, []row{
		{"no key", doctor.Sealing(false, 1, nil, nil), doctor.Warning, "not sealed", "audit.key"},
		{"no anchor", doctor.Sealing(true, 0, nil, nil), doctor.Warning, "no anchor gets the checkpoints", "audit.anchors"},
		{"both", doctor.Sealing(true, 2, nil, nil), doctor.OK, "2 anchors", ""},
		{"an anchor here and one elsewhere", doctor.Sealing(true, 2, []string{"/etc/receiver/anchor"}, nil), doctor.OK, "2 anchors", ""},
		{"an anchor here alone", doctor.Sealing(true, 1, []string{"/etc/receiver/anchor"}, nil), doctor.Note, "beside the configuration: /etc/receiver/anchor", "audit.anchors"},
		{"a fork", doctor.Sealing(true, 2, nil, []string{"a.fork-1"})[:1], doctor.Error, "a.fork-1 has the proof", ""},
	})
}
