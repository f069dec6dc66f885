package submit_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"receiver/internal/cluster"
	"receiver/internal/submit"
)

// A 200 that says nothing, or something else than JSON, is an error of every call, and never an
// empty list. Of what starts a job the job may exist.
func TestAnAnswerThatSaysNothingIsAnError(t *testing.T) {
	ctx := context.Background()
	for name, do := range map[string]func(*submit.Client) error{
		"objects":    func(c *submit.Client) error { _, err := c.Objects(ctx); return err },
		"metadata":   func(c *submit.Client) error { _, err := c.Metadata(ctx, "contact"); return err },
		"status":     func(c *submit.Client) error { _, err := c.Status(ctx, "1"); return err },
		"cancel":     func(c *submit.Client) error { _, err := c.Cancel(ctx, "1"); return err },
		"errors":     func(c *submit.Client) error { return ended(c.Errors(ctx, "1", 0)) },
		"jobs":       func(c *submit.Client) error { return ended(c.Jobs(ctx, "")) },
		"deliveries": func(c *submit.Client) error { return ended(c.Deliveries(ctx, submit.Queued, 0)) },
		"query":      func(c *submit.Client) error { _, err := c.Query(ctx, submit.Query{Q: "select"}); return mayExist(err) },
		"upload": func(c *submit.Client) error {
			_, err := c.Upload(ctx, submit.Upload{Object: "contact", FileName: "x.csv", File: strings.NewReader("a\nb\n"), Size: 4})
			return mayExist(err)
		},
	} {
		for _, body := range []string{"", " \n", "null", "<html>Gateway</html>", `{"id":`, `[{"id":"1"`, `"ok"`} {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, body)
			})
			if err := do(c); err == nil || strings.HasPrefix(err.Error(), "lost:") {
				t.Errorf("%s answered 200 %q: %v, want an error", name, body, err)
			}
		}
	}
}

// ended returns the error that a listing ends with.
func ended[T any](rows iter.Seq2[T, error]) error {
	for _, err := range rows {
		if err != nil {
			return err
		}
	}
	return nil
}

// mayExist marks an error that does not say that the job may exist.
func mayExist(err error) error {
	if err != nil && !(errors.Is(err, submit.ErrMayExist) && strings.Contains(err.Error(), "receiver jobs find")) {
		return fmt.Errorf("lost: %w", err)
	}
	return err
}

// A certificate that is not believed says what to do about it.
func TestUntrustedCertificateSaysWhatToDo(t *testing.T) {
	srv := httptest.NewTLSServer(answering(200, `[]`, nil))
	defer srv.Close()
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	at := func(now time.Time) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, Time: func() time.Time { return now }, MinVersion: tls.VersionTLS12,
		}}}
	}
	_, other := ownAuthority(t)
	for _, tc := range []struct {
		name, base, want string
		client           *http.Client
		authorities      []byte
	}{
		{"unknown authority", srv.URL, "in sources.demo.tls.ca_file, or in the environment variable SSL_CERT_FILE", nil, nil},
		{"not of the authorities", srv.URL, "sources.demo.tls.ca_file replaces the system's authorities and does not contain this one", nil, other},
		{"another host", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), "another host", at(time.Now()), nil},
		{"expired", srv.URL, "check the clock of this machine", at(time.Now().AddDate(200, 0, 0)), nil},
		{"not valid yet", srv.URL, "check the clock of this machine", at(time.Time{}.AddDate(1, 0, 0)), nil},
	} {
		o := options(tc.base)
		o.Authorities = tc.authorities
		if tc.client != nil {
			o.Around = over(tc.client.Transport)
		}
		if _, err := newClient(t, o).Objects(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q in it", tc.name, err, tc.want)
		}
	}
}

// Authorities of the options are believed, in what is read and in what is sent.
func TestOwnAuthoritiesAreBelieved(t *testing.T) {
	certificate, authorities := ownAuthority(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := `["contact"]`
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
			body = `{"id":"7","status":"CREATED"}`
		}
		_, _ = io.WriteString(w, body)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	defer srv.Close()
	o := options(srv.URL)
	o.Authorities = authorities
	c := newClient(t, o)
	if objects, err := c.Objects(t.Context()); err != nil || len(objects) != 1 {
		t.Errorf("Objects() = %v, %v, want one", objects, err)
	}
	file := submit.Upload{Object: "contact", FileName: "x.csv", File: strings.NewReader("a\nb\n"), Size: 4}
	if job, err := c.Upload(t.Context(), file); err != nil || job.ID != "7" {
		t.Errorf("Upload() = %v, %v, want job 7", job, err)
	}
	o.Authorities = []byte("no certificate")
	if _, err := submit.New(o); err == nil || !strings.Contains(err.Error(), "authorities contain no certificate") {
		t.Errorf("New with authorities that are none = %v", err)
	}
}

// ownAuthority makes a certificate for this machine, and the authority it is from.
func ownAuthority(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	folder := t.TempDir()
	made, err := cluster.Make(cluster.Options{Folder: folder, Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(folder, "node.pem"), filepath.Join(folder, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	authorities, err := os.ReadFile(made.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, authorities
}
