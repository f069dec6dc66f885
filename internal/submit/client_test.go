package submit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/submit"
)

func TestNewRefuses(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*submit.Options)
		want   []string
	}{
		{"no element", func(o *submit.Options) { o.Element = "" }, []string{"element secret is missing"}},
		{"no user", func(o *submit.Options) { o.User = "" }, []string{"user secret is missing"}},
		{"everything at once", func(o *submit.Options) { *o = submit.Options{} }, []string{"base URL", "element", "user"}},
		{"line break in a secret", func(o *submit.Options) { o.Element += "\r\nX: y" }, []string{"element secret contains"}},
		{"second pair in a secret", func(o *submit.Options) { o.User += ",Element" }, []string{"user secret contains"}},
		{"control character", func(o *submit.Options) { o.Organization = "abc\x00" }, []string{"organization secret contains"}},
		{"clear text to the internet", func(o *submit.Options) { o.BaseURL = "http://api.example/x" }, []string{"https"}},
		{"host that only begins like loopback", func(o *submit.Options) { o.BaseURL = "http://127.0.0.1.example" }, []string{"https"}},
		{"another scheme", func(o *submit.Options) { o.BaseURL = "ftp://localhost/" }, []string{"https"}},
		{"no host", func(o *submit.Options) { o.BaseURL = "https:///elements" }, []string{"no host"}},
		{"password in the URL", func(o *submit.Options) { o.BaseURL = "https://u:" + token + "@api.example" }, []string{"must not contain a user"}},
		{"not a URL", func(o *submit.Options) { o.BaseURL = "https://u:" + token + "@%zz" }, []string{"not a URL"}},
		{"query", func(o *submit.Options) { o.BaseURL = "https://api.example/?" }, []string{"must not contain"}},
		{"hub that climbs", func(o *submit.Options) { o.Hub = ".." }, []string{"hub"}},
		{"negative timeout", func(o *submit.Options) { o.Timeout = -1 }, []string{"timeouts"}},
		{"user agent with a line break", func(o *submit.Options) { o.UserAgent = "a\nb" }, []string{"user agent"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options("https://api.example")
			tc.change(&o)
			_, err := submit.New(o)
			if err == nil {
				t.Fatal("New() = nil, want an error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("New() = %q, want it to say %q", err, want)
				}
			}
			mustHide(t, "New's error", err.Error())
		})
	}
}

func TestNewAccepts(t *testing.T) {
	for _, base := range []string{
		"https://api.openconnectors.us2.ext.hana.ondemand.com", "http://localhost:1", "http://127.9.9.9:1", "http://[::1]:1", "HTTPS://API.example:8443",
	} {
		if _, err := submit.New(options(base)); err != nil {
			t.Errorf("New(base %s) = %v, want nil", base, err)
		}
	}
}

func TestPrintingShowsNoSecret(t *testing.T) {
	o := options("https://api.example")
	c := newClient(t, o)
	for _, v := range []any{o, &o, c, *c} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			mustHide(t, format, fmt.Sprintf(format, v))
		}
	}
}

func TestRequestsCarryTheSecrets(t *testing.T) {
	var got http.Request
	srv := httptest.NewServer(answering(200, `["contact"]`, &got))
	defer srv.Close()

	o := options(srv.URL)
	if _, err := newClient(t, o).Objects(t.Context()); err != nil {
		t.Fatalf("Objects() = %v", err)
	}
	if want := "Element " + element + ", User " + user; got.Header.Get("Authorization") != want {
		t.Errorf("Authorization = %q, want %q", got.Header.Get("Authorization"), want)
	}
	if got.UserAgent() != "receiver" {
		t.Errorf("User-Agent = %q, want receiver", got.UserAgent())
	}

	o.Organization, o.UserAgent = "org==", "me/1"
	if _, err := newClient(t, o).Objects(t.Context()); err != nil {
		t.Fatalf("Objects() = %v", err)
	}
	if want := "Element " + element + ", User " + user + ", Organization org=="; got.Header.Get("Authorization") != want {
		t.Errorf("Authorization = %q, want %q", got.Header.Get("Authorization"), want)
	}
	if got.UserAgent() != "me/1" {
		t.Errorf("User-Agent = %q, want me/1", got.UserAgent())
	}
}

func TestPathsAreEscapedAndPrefixed(t *testing.T) {
	var got http.Request
	srv := httptest.NewServer(answering(200, `{"status":"CREATED","fields":[]}`, &got))
	defer srv.Close()
	with, without := options(srv.URL), options(srv.URL)
	with.BaseURL += "///"
	with.Hub, without.Hub = "a/b", ""
	for _, tc := range []struct {
		name string
		o    submit.Options
		do   func(*submit.Client) error
		want string
	}{
		{"hub", with, func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }, "/elements/api-v2/hubs/a%2Fb/bulk/1/status"},
		{"no hub", without, func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }, "/elements/api-v2/bulk/1/status"},
		{"id from outside", without, func(c *submit.Client) error { _, err := c.Cancel(t.Context(), "../x?y#z\n"); return err }, "/elements/api-v2/bulk/..%2Fx%3Fy%23z%0A/cancel"},
		{"object from outside", without, func(c *submit.Client) error { _, err := c.Metadata(t.Context(), "a/../b c"); return err }, "/elements/api-v2/objects/a%2F..%2Fb%20c/metadata"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.do(newClient(t, tc.o)); err != nil {
				t.Fatal(err)
			}
			if got.RequestURI != tc.want {
				t.Errorf("asked for %s, want %s", got.RequestURI, tc.want)
			}
		})
	}
}

func TestNamesThatClimbAreRefused(t *testing.T) {
	c, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for _, name := range []string{"", ".", ".."} {
		_, status := c.Status(t.Context(), name)
		_, metadata := c.Metadata(t.Context(), name)
		_, result := c.Result(t.Context(), "1", name, "text/csv", nil)
		_, upload := c.Upload(t.Context(), submit.Upload{Object: name, FileName: "a.csv", File: strings.NewReader("")})
		for i, err := range []error{status, metadata, result, upload} {
			if err == nil {
				t.Errorf("call %d with the name %q = nil, want an error", i, name)
			}
		}
	}
}

// A redirect must not take the secrets elsewhere, not even to another port of the
// same host, nor back home by way of a foreign one.
func TestRedirectedGet(t *testing.T) {
	var seen []string
	var home *httptest.Server
	note := func(r *http.Request) {
		seen = append(seen, r.URL.Path+" "+r.Header.Get("Authorization"))
		if from := r.Header.Get("Referer"); from != "" && r.URL.Path != "/same" {
			t.Errorf("%s was told where we came from: %s", r.URL.Path, from)
		}
	}
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		http.Redirect(w, r, home.URL+"/back", http.StatusFound)
	}))
	defer away.Close()
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, away.URL+"/away", http.StatusTemporaryRedirect)
		case "/back":
			_, _ = w.Write([]byte(`{"id":"1","status":"COMPLETED"}`))
		default:
			http.Redirect(w, r, "/same", http.StatusMovedPermanently)
		}
	}))
	defer home.Close()

	if _, err := newClient(t, options(home.URL)).Status(t.Context(), "1"); err != nil {
		t.Fatalf("Status() = %v", err)
	}
	if len(seen) != 4 {
		t.Fatalf("saw %d requests, want 4: %q", len(seen), seen)
	}
	for i, line := range seen {
		if got, want := strings.Contains(line, element), i < 2; got != want {
			t.Errorf("request %d (%s) carries the secrets: %v, want %v", i, line, got, want)
		}
	}
}

func TestRedirectsThatAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name, to, want string
		do             func(*submit.Client) error
	}{
		{"to clear text", "http://platform.example/x", "not https", func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }},
		{"for ever", "", "more than 5", func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }},
		{"a POST", "https://login.example/" + token, "redirected to https://login.example,", func(c *submit.Client) error {
			_, err := c.Query(t.Context(), submit.Query{Q: "select"})
			return err
		}},
		{"a PUT", "", "redirected to", func(c *submit.Client) error { _, err := c.Cancel(t.Context(), "1"); return err }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			c, slept := serve(t, func(w http.ResponseWriter, r *http.Request) {
				n++
				http.Redirect(w, r, tc.to, http.StatusTemporaryRedirect)
			})
			err := tc.do(c)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v after %d requests, want an error that says %q", err, n, tc.want)
			}
			if len(slept.taken) != 0 {
				t.Errorf("it was tried again, %d times", len(slept.taken))
			}
			mustHide(t, "the error", fmt.Sprint(err))
		})
	}
}

// A platform reached by https cannot send us to what listens in clear text on our machine,
// not even by way of another https server.
func TestAPlatformByHTTPSDoesNotLeadToClearText(t *testing.T) {
	to, reached := "", false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inside.Close()
	platform := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there":
			_, _ = w.Write([]byte(`{"id":"1","status":"COMPLETED"}`))
		case "/on":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		default:
			http.Redirect(w, r, to, http.StatusFound)
		}
	}))
	defer platform.Close()
	for _, tc := range []struct {
		name, to string
		refused  bool
	}{
		{"to https", platform.URL + "/there", false},
		{"to loopback", inside.URL, true},
		{"to loopback by a detour", platform.URL + "/on", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to = tc.to
			o := options(platform.URL)
			o.Around = over(platform.Client().Transport)
			_, err := newClient(t, o).Status(t.Context(), "1")
			if refused := err != nil && strings.Contains(err.Error(), "not https"); refused != tc.refused || !refused && err != nil {
				t.Errorf("Status() = %v, want it refused: %v", err, tc.refused)
			}
			if reached {
				t.Error("what listens in clear text was reached")
			}
		})
	}
}
