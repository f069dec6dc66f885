package simulator_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/simulator"
)

const (
	key      = "MySecretEventSignatureKey"
	goodRows = "C_EmailAddress,C_FirstName\na@example.com,A\nb@example.com,B\nc@example.com,C\n"
)

// rig is a platform on a loopback port and a receiver of its callbacks.
type rig struct {
	*simulator.Platform
	t    *testing.T
	url  string // of the API, with Base
	auth string
	hook *hook
}

// start fills in what most tests share: a thousandth of the time and the key.
func start(t *testing.T, o simulator.Options) *rig {
	t.Helper()
	if o.TimeScale == 0 {
		o.TimeScale = 0.001
	}
	if o.SignatureKey == "" {
		o.SignatureKey = key
	}
	p := simulator.New(o)
	server := httptest.NewServer(p)
	h := newHook(t)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		server.Close()
	})
	return &rig{p, t, server.URL + simulator.Base, p.Credentials().Authorization(), h}
}

type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(a.body, &o); err != nil {
		t.Fatalf("answer %d %q is no object: %v", a.code, a.body, err)
	}
	return o
}

// try sends a request; headers are "Name: value".
func (r *rig) try(method, path string, body io.Reader, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, body)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", r.auth)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	// On a kept connection net/http would repeat a dropped GET by itself.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, raw}, err
}

func (r *rig) call(method, path string, body io.Reader, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(method, path, body, headers...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (r *rig) get(path string, headers ...string) answer {
	r.t.Helper()
	return r.call(http.MethodGet, path, nil, headers...)
}

// form is a multipart body; parts are name, file name and content in threes.
func form(parts ...string) (io.Reader, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 3 {
		if parts[i+1] == "" {
			_ = w.WriteField(parts[i], parts[i+2])
			continue
		}
		part, _ := w.CreateFormFile(parts[i], parts[i+1])
		_, _ = io.WriteString(part, parts[i+2])
	}
	_ = w.Close()
	return &b, "Content-Type: " + w.FormDataContentType()
}

// post uploads rows with a job's own dials in the text form, to be called back at the hook.
func (r *rig) post(rows, dials string) (answer, error) {
	meta := fmt.Sprintf(`{"simulate":%q,"callback-payload":{"n":12345678901234567890}}`, dials)
	body, kind := form("metaData", "", meta, "file", "rows.csv", rows)
	return r.try(http.MethodPost, "/hubs/marketing/bulk/contact?path=/rows.csv", body, kind,
		"Elements-Async-Callback-Url: "+r.hook.url)
}

// submit posts good rows and returns the job's id.
func (r *rig) submit(dials string) string {
	r.t.Helper()
	return r.submitRows(goodRows, dials)
}

func (r *rig) submitRows(rows, dials string) string {
	r.t.Helper()
	a, err := r.post(rows, dials)
	if err != nil || a.code != http.StatusOK {
		r.t.Fatalf("posting with %q: %d %s %v", dials, a.code, a.body, err)
	}
	id := fmt.Sprint(number(r.t, a.body)["id"])
	if status := a.object(r.t)["status"]; status != "CREATED" {
		r.t.Fatalf("created job has status %v, want CREATED", status)
	}
	return id
}

// number reads an object without turning numbers into float64.
func number(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%q is no object: %v", raw, err)
	}
	return o
}

// until waits for a condition of the counts.
func (r *rig) until(what string, done func(simulator.Stats) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, done); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
}

// quiet waits until nothing is under way.
func (r *rig) quiet() {
	r.t.Helper()
	r.until("getting quiet", func(s simulator.Stats) bool { return s.Jobs > 0 && s.Finished == s.Jobs && s.Open == 0 })
}

func (r *rig) ended() {
	r.t.Helper()
	r.until("ending", func(s simulator.Stats) bool { return s.Jobs > 0 && s.Finished == s.Jobs })
}

// callback is one request as the hook got it.
type callback struct {
	body   []byte
	header http.Header
	length int64 // Content-Length, -1 when chunked
}

// hook is a receiver whose answers a test chooses.
type hook struct {
	url string

	mu     sync.Mutex
	got    []callback
	answer func(n int, c callback) int // n counts from 1
}

func newHook(t *testing.T) *hook {
	h := &hook{answer: func(int, callback) int { return http.StatusOK }}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.url = server.URL + "/callbacks/demo/token?x=1"
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	c := callback{raw, r.Header.Clone(), r.ContentLength}
	h.mu.Lock()
	h.got = append(h.got, c)
	n, answer := len(h.got), h.answer
	h.mu.Unlock()
	w.Header().Set("Location", "/elsewhere") // for those who follow redirects
	w.WriteHeader(answer(n, c))
}

func (h *hook) answers(f func(n int, c callback) int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

func (h *hook) all() []callback {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]callback(nil), h.got...)
}

// signedWith recomputes the signature over the bytes received, in lines of the test's own.
func (c callback) signedWith(key string) bool {
	h := hmac.New(sha256.New, []byte(key))
	h.Write(c.body)
	return c.header.Get("Elements-Webhook-Signature") == "sha256="+base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// status finds the status under its names.
func (c callback) status(t *testing.T) any {
	t.Helper()
	o := number(t, c.body)
	if s, ok := o["jobStatus"]; ok {
		return s
	}
	return o["status"]
}
