package submit_test

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"receiver/internal/submit"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestErrorBodies(t *testing.T) {
	for _, tc := range []struct {
		name string
		code int
		body string
		want submit.Error
		says string
	}{
		{
			"the platform's own", 400, `{"requestId":"r-1","message":"Error parsing query"}`,
			submit.Error{RequestID: "r-1", Message: "Error parsing query"},
			"GET /hubs/marketing/bulk/7/status: 400 Bad Request: Error parsing query (request id r-1)",
		},
		{
			"with the provider's message", 502, `{"message":"m","providerMessage":"p","requestId":"r"}`,
			submit.Error{RequestID: "r", Message: "m", ProviderMessage: "p"},
			"GET /hubs/marketing/bulk/7/status: 502 Bad Gateway: m: the provider says: p (request id r)",
		},
		{"as the prose spells it", 400, `{"ProviderMessage":"p"}`, submit.Error{ProviderMessage: "p"}, ""},
		{"a page", 404, "<html>\n  <h1>Not\tFound</h1>\n</html>", submit.Error{Body: "<html> <h1>Not Found</h1> </html>"}, "; the platform does not find this name"},
		{"nothing", 401, "", submit.Error{}, "GET /hubs/marketing/bulk/7/status: 401 Unauthorized; the platform refuses the secrets of this source; check element_token and user_secret"},
		{"message of another type", 400, `{"message":{"a":1},"requestId":"r"}`, submit.Error{RequestID: "r", Body: `{"message":{"a":1},"requestId":"r"}`}, ""},
		{"what a terminal obeys", 400, "\x1b[2J\u202e\xff", submit.Error{Body: `\u001b[2J\u202e` + "\ufffd"}, ""},
		{"line breaks in a message", 400, `{"message":"a\r\nb"}`, submit.Error{Message: "a b"}, ""},
		{"an array", 400, `[1]`, submit.Error{Body: "[1]"}, ""},
		{"size limit", 429, `{"message":"payload too large"}`, submit.Error{Message: "payload too large"}, "size or time limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, answering(tc.code, tc.body, nil))
			_, err := c.Status(t.Context(), "7")
			var got *submit.Error
			if !errors.As(err, &got) {
				t.Fatalf("Status() = %v, want a *submit.Error", err)
			}
			want := tc.want
			want.Method, want.Path, want.Code = "GET", "/hubs/marketing/bulk/7/status", tc.code
			if g, w := asJSON(t, got), asJSON(t, &want); g != w {
				t.Errorf("error = %s, want %s", g, w)
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error says %q, want %q in it", err, tc.says)
			}
		})
	}
}

func TestErrorIsBounded(t *testing.T) {
	c, _ := serve(t, answering(400, strings.Repeat("é", 1<<20), nil))
	_, err := c.Status(t.Context(), "7")
	if n := len(err.Error()); n > 2000 {
		t.Errorf("error is %d bytes long, want at most 2000", n)
	}
}

// The platform may quote what it was sent; we do not.
func TestErrorsHideWhatThePlatformEchoes(t *testing.T) {
	quoted, _ := json.Marshal(callback)
	for _, body := range []string{
		"bad callback " + callback,
		`{"message":"bad callback ` + callback + `"}`,
		`{"message":"x","providerMessage":"` + strings.ReplaceAll(callback, "/", `\/`) + `"}`,
		`<p>` + url.QueryEscape(callback) + `</p>` + strings.ReplaceAll(callback, "/", `\/`),
		"HTTPS://RECEIVER.example:443/callbacks/demo/" + token,
		string(quoted),
		"you sent Element " + element + ", User " + user,
		"you sent " + url.QueryEscape(element) + " and " + url.PathEscape(user),
		strings.Repeat("x", 1010) + callback,
	} {
		c, _ := serve(t, answering(400, body, nil))
		_, upload := c.Upload(t.Context(), submit.Upload{Object: "o", FileName: "f", File: strings.NewReader(""), CallbackURL: callback})
		_, query := c.Query(t.Context(), submit.Query{Q: "q", CallbackURL: callback})
		_, download := c.Download(t.Context(), submit.Download{Object: "o", Format: "f", CallbackURL: callback})
		for i, err := range []error{upload, query, download} {
			if err == nil {
				t.Fatalf("POST %d = nil, want an error", i)
			}
			mustHide(t, "error", err.Error())
			for _, part := range []string{token[:len(token)-2], url.QueryEscape(element), url.PathEscape(user)} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("error shows %q: %s", part, err)
				}
			}
		}
	}
}

// The platform may quote the callback address in any answer. A secret that was not part of the
// request is recognised by its form.
func TestErrorsHideTheTokenOfACallbackAddress(t *testing.T) {
	inJSON := strings.ReplaceAll(callback, "/", `\u002f`)
	for _, tc := range []struct {
		name string
		code int
		body string
	}{
		{"in the message", 400, `{"message":"calling ` + callback + ` failed"}`},
		{"of the provider", 502, `{"message":"m","providerMessage":"` + strings.ReplaceAll(callback, "/", `\/`) + `"}`},
		{"as the request's id", 400, `{"message":"m","requestId":"` + callback + `"}`},
		{"in a page", 404, "<p>" + url.QueryEscape(callback) + "</p>"},
		{"in JSON of another form", 400, `{"error":{"notificationUrl":"` + inJSON + `"}}`},
		{"where the text is cut", 400, strings.Repeat("x", 1010) + callback},
		{"at the beginning of no JSON", 200, "/callbacks/demo/" + token},
		{"of somebody else", 400, `{"error":{"notificationUrl":"https://h.example/` + token + `"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, answering(tc.code, tc.body, nil))
			_, status := c.Status(t.Context(), "7")
			_, objects := c.Objects(t.Context())
			_, cancel := c.Cancel(t.Context(), "7")
			failed := []error{status, objects, cancel}
			for _, err := range c.Errors(t.Context(), "7", 1) {
				failed = append(failed, err)
			}
			for i, err := range failed {
				if err == nil {
					t.Fatalf("question %d = nil, want an error", i)
				}
				if mustHide(t, "error", err.Error()); strings.Contains(err.Error(), token[:12]) {
					t.Errorf("error shows a part of the token: %s", err)
				}
			}
		})
	}
}

func TestTransportErrorsShowNoQuery(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { hangUp(t, w) })
	for _, err := range c.Jobs(t.Context(), "object_name='"+token+"'") {
		if err == nil || !strings.HasPrefix(err.Error(), "GET /bulk/jobs: ") {
			t.Errorf("Jobs() = %v, want an error of GET /bulk/jobs", err)
		}
		mustHide(t, "Jobs' error", err.Error())
	}
}

func TestAnswersThatCannotBeUsed(t *testing.T) {
	status := func(c *submit.Client) error { _, err := c.Status(t.Context(), "1"); return err }
	objects := func(c *submit.Client) error { _, err := c.Objects(t.Context()); return err }
	metadata := func(c *submit.Client) error { _, err := c.Metadata(t.Context(), "o"); return err }
	for _, tc := range []struct {
		name, body, want string
		do               func(*submit.Client) error
	}{
		{"page for a status", "<html>", `begins with "<html>"`, status},
		{"array for a status", `[1]`, "it is JSON, but not a JSON object", status},
		{"nothing for a status", ``, "it is empty", status},
		{"cut status", `{"id":"1"`, "not a valid JSON object", status},
		{"status and then more", done + `{}`, "not a valid JSON object", status},
		{"no status", `{"id":"1","message":"m"}`, "has no status", status},
		{"a status that is no text", `{"id":"1","status":{"a":1}}`, "has no status", status},
		{"a key twice", `{"id":"1","status":"RUNNING","status":"COMPLETED"}`, "duplicate_key", status},
		{"two byte order marks", "\ufeff\ufeff" + done, "not a valid JSON object", status},
		{"too long", strings.Repeat(" ", 8<<20+1), "longer than 8 MiB", status},
		{"object for objects", `{"message":"` + token + `"}`, "JSON, but not a JSON array", objects},
		{"object without a name", `["a",{"type":"vdr"}]`, "object 2 has no name", objects},
		{"metadata without fields", `{}`, "no list of fields", metadata},
		{"page for metadata", `<html>`, "invalid character", metadata},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, slept := serve(t, answering(200, tc.body, nil))
			err := tc.do(c)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "not in a documented form") {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
			if len(slept.taken) != 0 {
				t.Errorf("it was asked again %d times, want never", len(slept.taken))
			}
			mustHide(t, "the error", err.Error())
		})
	}
}

// An endless answer is not read endlessly.
func TestAnswersAreNotReadWithoutEnd(t *testing.T) {
	for _, code := range []int{200, 400} {
		body := &endless{left: 64 << 20, read: new(atomic.Int64)}
		o := options("http://localhost")
		o.Around = over(roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(body), Request: r}, nil
		}))
		_, err := newClient(t, o).Status(t.Context(), "1")
		if n := body.read.Load(); err == nil || n > 9<<20 {
			t.Errorf("Status() answered %d = %v after reading %d bytes, want an error after 9 MiB at most", code, err, n)
		}
	}
}
