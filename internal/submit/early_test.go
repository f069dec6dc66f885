package submit_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/submit"
)

// A platform that refuses an upload need not read it to the end. Its answer counts, although the
// rest of the file can no longer be sent.
func TestAnAnswerBeforeTheBodyIsRead(t *testing.T) {
	const large = 32 << 20 // more than the system keeps for a reader that does not read
	answer := func(status, body string) string {
		return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
	for _, tc := range []struct {
		name, answer string
		holds        func(submit.Created, error) bool
	}{
		{"refused as too large", answer("413 Content Too Large", `{"message":"at most 1 MB"}`), func(_ submit.Created, err error) bool {
			var refused *submit.Error
			return errors.As(err, &refused) && refused.Message == "at most 1 MB"
		}},
		{"refused as unknown", answer("401 Unauthorized", `{"message":"who are you"}`), func(_ submit.Created, err error) bool {
			var refused *submit.Error
			return errors.As(err, &refused) && refused.Message == "who are you"
		}},
		{"accepted", answer("200 OK", `{"id":"7","status":"CREATED"}`), func(made submit.Created, err error) bool {
			return err == nil && made.ID == "7"
		}},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Le", func(_ submit.Created, err error) bool {
			return errors.Is(err, submit.ErrMayExist)
		}},
		{"no answer", "", func(_ submit.Created, err error) bool {
			return errors.Is(err, submit.ErrMayExist)
		}},
	} {
		for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
			srv := start(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Errorf("Hijack() = %v", err)
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
				_, _ = io.ReadFull(conn, make([]byte, 1<<10))
				_, _ = io.WriteString(conn, tc.answer)
				_ = conn.Close()
			}))
			t.Run(tc.name+" "+srv.URL[:5], func(t *testing.T) {
				defer srv.Close()
				o := options(srv.URL)
				if srv.TLS != nil {
					o.Authorities = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
				}
				made, err := newClient(t, o).Upload(t.Context(), submit.Upload{
					Object: "contact", FileName: "a.csv", File: io.LimitReader(zeros{}, large), Size: large,
				})
				if !tc.holds(made, err) {
					t.Errorf("Upload() = %+v, %v", made, err)
				}
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, strings.Repeat("0", len(p))), nil }
