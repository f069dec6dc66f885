package submit_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
func TestACertificateThatIsNotBelievedSaysWhatToDo(t *testing.T) {
	srv := httptest.NewTLSServer(answering(200, `[]`, nil))
	defer srv.Close()
	trusting := srv.Client().Transport.(*http.Transport)
	for _, tc := range []struct {
		name, base, want string
		client           *http.Client
	}{
		{"unknown authority", srv.URL, "SSL_CERT_FILE", nil},
		{"another host", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), "another host", &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusting.TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12},
		}}},
	} {
		o := options(tc.base)
		o.HTTP = tc.client
		if _, err := newClient(t, o).Objects(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q in it", tc.name, err, tc.want)
		}
	}
}
