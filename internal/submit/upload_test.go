package submit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"receiver/internal/submit"
)

const csv = "name,mail\nNorm,norm@acme.com\n"

// sent is what the platform sees of an upload.
type sent struct {
	uri, callback, expect string
	length                int64
	parts                 []string // name, file name and content of each
}

// recording answers uploads and keeps what it saw of the last.
func recording(t *testing.T, got *sent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*got = sent{uri: r.Method + " " + r.RequestURI, callback: r.Header.Get("Elements-Async-Callback-Url"), expect: r.Header.Get("Expect"), length: r.ContentLength}
		parts, err := r.MultipartReader()
		if err != nil {
			t.Errorf("MultipartReader() = %v", err)
			return
		}
		for p, err := parts.NextPart(); err != io.EOF; p, err = parts.NextPart() {
			if err != nil {
				t.Errorf("NextPart() = %v", err)
				return
			}
			content, _ := io.ReadAll(p)
			got.parts = append(got.parts, p.FormName()+"|"+p.FileName()+"|"+string(content))
		}
		_, _ = io.WriteString(w, `{"instanceId":425904,"id":42114492,"status":"CREATED"}`)
	}
}

func TestUploadOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		name  string
		u     submit.Upload
		uri   string
		parts []string
	}{
		{
			"the vendor's example", submit.Upload{Object: "contact", FileName: "sample.csv", Path: "/sample.csv"},
			"POST /elements/api-v2/hubs/marketing/bulk/contact?path=%2Fsample.csv", []string{"file|sample.csv|" + csv},
		},
		{
			"metadata as it is", submit.Upload{Object: "c d", FileName: "/tmp/secret/x.csv", Metadata: json.RawMessage(`{"format": "csv"}`)},
			"POST /elements/api-v2/hubs/marketing/bulk/c%20d", []string{"file|x.csv|" + csv, `metaData||{"format": "csv"}`},
		},
		{
			"payload alone", submit.Upload{Object: "c", FileName: `C:\x.csv`, CallbackPayload: json.RawMessage(`[1,"a"]`)},
			"POST /elements/api-v2/hubs/marketing/bulk/c", []string{"file|x.csv|" + csv, `metaData||{"callback-payload":[1,"a"]}`},
		},
		{
			"payload merged, numbers exact", submit.Upload{
				Object: "c", FileName: "quo\"te\r\n.csv", CallbackURL: callback,
				Metadata: json.RawMessage(`{"n":12345678901234567890}`), CallbackPayload: json.RawMessage(`{"k":0.10}`),
			},
			"POST /elements/api-v2/hubs/marketing/bulk/c", []string{"file|quo\"te%0D%0A.csv|" + csv, `metaData||{"callback-payload":{"k":0.10},"n":12345678901234567890}`},
		},
	} {
		for _, size := range []int64{int64(len(csv)), -1} {
			t.Run(tc.name, func(t *testing.T) {
				var got sent
				c, _ := serve(t, recording(t, &got))
				tc.u.File, tc.u.Size = iotest.OneByteReader(strings.NewReader(csv)), size
				var progress []int64
				tc.u.Progress = func(n int64) { progress = append(progress, n) }
				made, err := c.Upload(t.Context(), tc.u)
				if err != nil {
					t.Fatalf("Upload() = %v", err)
				}
				if want := (submit.Created{ID: "42114492", Status: "CREATED", InstanceID: "425904"}); asJSON(t, made) != asJSON(t, want) {
					t.Errorf("Upload() = %s, want %s", asJSON(t, made), asJSON(t, want))
				}
				if got.uri != tc.uri || got.callback != tc.u.CallbackURL || !slices.Equal(got.parts, tc.parts) {
					t.Errorf("sent %+v\nwant %s %q", got, tc.uri, tc.parts)
				}
				if known := got.length > 0; known != (size >= 0) {
					t.Errorf("Content-Length = %d for a file of size %d", got.length, size)
				}
				if asks := got.expect != ""; asks != (size < 0) {
					t.Errorf("Expect = %q for a file of size %d: only what may be big asks first", got.expect, size)
				}
				if len(progress) != len(csv) || progress[len(csv)-1] != int64(len(csv)) || !slices.IsSorted(progress) {
					t.Errorf("progress = %v, want every byte up to %d", progress, len(csv))
				}
			})
		}
	}
}

func TestUploadRefuses(t *testing.T) {
	c, _ := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	for _, tc := range []struct {
		name string
		u    submit.Upload
		want string
	}{
		{"no file name", submit.Upload{Object: "c"}, "needs a file and its name"},
		{"metadata that is no object", submit.Upload{Object: "c", FileName: "f", Metadata: json.RawMessage(`[]`)}, "metadata must be a JSON object"},
		{"metadata that is no JSON", submit.Upload{Object: "c", FileName: "f", Metadata: json.RawMessage(`{`)}, "metadata must be a JSON object"},
		{"payload that is no JSON", submit.Upload{Object: "c", FileName: "f", CallbackPayload: json.RawMessage(`{`)}, "payload is not JSON"},
		{"two payloads", submit.Upload{Object: "c", FileName: "f", Metadata: json.RawMessage(`{"callback-payload":1}`), CallbackPayload: json.RawMessage(`2`)}, "give one of them"},
		{"callback that ends the header", submit.Upload{Object: "c", FileName: "f", CallbackURL: callback + "\r\nX: y"}, "callback URL contains"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.u.File = strings.NewReader("")
			_, err := c.Upload(t.Context(), tc.u)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Upload() = %v, want an error that says %q", err, tc.want)
			}
			mustHide(t, "Upload's error", err.Error())
		})
	}
	if _, err := c.Upload(t.Context(), submit.Upload{Object: "c", FileName: "f"}); err == nil {
		t.Error("Upload() without a file = nil, want an error")
	}
}

// No half of a row may be taken for the last: what does not fit the announced size
// never gets its closing boundary.
func TestUploadOfAFileThatChanges(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		name string
		file io.Reader
		size int64
		want error
		says string
	}{
		{"shorter than announced", strings.NewReader(csv), int64(len(csv)) + 1, io.ErrUnexpectedEOF, "ended after"},
		{"longer than announced", strings.NewReader(csv), int64(len(csv)) - 1, nil, "changed during the upload"},
		{"unreadable", io.MultiReader(strings.NewReader(csv), iotest.ErrReader(broken)), 1 << 16, broken, "reading the file"},
		{"unreadable, size unknown", io.MultiReader(strings.NewReader(csv), iotest.ErrReader(broken)), -1, broken, "reading the file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			whole := make(chan bool, 1)
			c, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				whole <- err == nil
			})
			_, err := c.Upload(t.Context(), submit.Upload{Object: "c", FileName: "f.csv", File: tc.file, Size: tc.size})
			if !errors.Is(err, submit.ErrMayExist) || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("Upload() = %v, want ErrMayExist and %v and %q", err, tc.want, tc.says)
			}
			if <-whole {
				t.Error("the platform was sent a whole request")
			}
		})
	}
}

// A big file is not sent to a platform that refuses it from its header.
func TestRefusedUploadSendsNothing(t *testing.T) {
	c, _ := serve(t, answering(http.StatusUnauthorized, `{"message":"no"}`, nil))
	var read atomic.Int64
	_, err := c.Upload(t.Context(), submit.Upload{
		Object: "c", FileName: "f.csv", Size: 1 << 30, File: &endless{left: 1 << 30, read: &read},
	})
	if !errors.Is(err, submit.ErrUnauthorized) || errors.Is(err, submit.ErrMayExist) {
		t.Errorf("Upload() = %v, want ErrUnauthorized", err)
	}
	if read.Load() != 0 {
		t.Errorf("%d bytes of the file were read, want none", read.Load())
	}
}

// An answer may come before the end of the file. Once Upload has returned, no new
// Read of the file begins, and one still under way is not reported.
func TestUploadLetsGo(t *testing.T) {
	began, release, rest := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	file := &endless{left: 1 << 20, read: new(atomic.Int64)}
	blocking := readFunc(func(p []byte) (int, error) {
		close(began) // a second Read would panic
		<-release
		return file.Read(p[:1])
	})
	o := options("http://localhost")
	o.Around = over(roundTrip(func(r *http.Request) (*http.Response, error) {
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			rest <- err
		}()
		<-began
		return &http.Response{StatusCode: 413, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}))
	_, err := newClient(t, o).Upload(t.Context(), submit.Upload{
		Object: "c", FileName: "f.csv", Size: 1 << 20, File: blocking,
		Progress: func(n int64) { t.Errorf("Progress(%d) was called after Upload had returned", n) },
	})
	var refused *submit.Error
	if !errors.As(err, &refused) || refused.Code != 413 {
		t.Errorf("Upload() = %v, want the 413", err)
	}
	close(release)
	if err := <-rest; err == nil || file.read.Load() != 1 {
		t.Errorf("the body ended with %v after %d bytes of the file, want an error after 1", err, file.read.Load())
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// endless gives left bytes without holding any.
type endless struct {
	left int64
	read *atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	if e.read != nil {
		e.read.Add(n)
	}
	return int(n), nil
}

func TestUploadMemoryIsConstant(t *testing.T) {
	const size, limit = 256 << 20, 4 << 20
	for _, tc := range []struct {
		name string
		size int64
	}{{"size known", size}, {"size unknown", -1}} {
		t.Run(tc.name, func(t *testing.T) {
			buffer := make([]byte, 64<<10)
			var got int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for {
					n, err := r.Body.Read(buffer)
					got += int64(n)
					if err != nil {
						break
					}
				}
				_, _ = io.WriteString(w, `{"id":"1"}`)
			}))
			defer srv.Close()
			c := newClient(t, options(srv.URL))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Upload(t.Context(), submit.Upload{Object: "c", FileName: "f.csv", Size: tc.size, File: &endless{left: size}})
			runtime.ReadMemStats(&after)
			if err != nil || got < size {
				t.Fatalf("Upload() = %v after %d bytes, want %d", err, got, size)
			}
			// All that was ever allocated, so that no collection can hide a buffer.
			if grown := after.TotalAlloc - before.TotalAlloc; grown > limit {
				t.Errorf("uploading %d MiB allocated %d KiB, want at most %d", size>>20, grown>>10, limit>>10)
			}
		})
	}
}

// Every write of a few KiB is a wait for the other side; curl has 64 KiB in each.
func TestUploadSendsMuchAtOnce(t *testing.T) {
	const size, most = 64 << 20, 300
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"1"}`)
	})
	var reads atomic.Int64
	file := &endless{left: size}
	_, err := c.Upload(t.Context(), submit.Upload{Object: "c", FileName: "f.csv", Size: size, File: readFunc(func(p []byte) (int, error) {
		reads.Add(1)
		return file.Read(p)
	})})
	if got := reads.Load(); err != nil || got > most {
		t.Errorf("Upload() = %v after %d reads of %d MiB, want at most %d reads", err, got, size>>20, most)
	}
}

func TestQueryOnTheWire(t *testing.T) {
	var got http.Request
	var body []byte
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = *r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"id":"a-1","status":"CREATED","instance_id":7}`)
	})
	made, err := c.Query(t.Context(), submit.Query{Q: "select * from contact where a='&'", From: "f", To: "t", LastRunDate: "l", ContinueFromJobID: "9", CallbackURL: callback})
	if err != nil || made.ID != "a-1" || made.InstanceID != "7" {
		t.Fatalf("Query() = %+v, %v, want job a-1 of instance 7", made, err)
	}
	if want := "POST /elements/api-v2/hubs/marketing/bulk/query?continueFromJobId=9&from=f&lastRunDate=l&q=select+%2A+from+contact+where+a%3D%27%26%27&to=t"; got.Method+" "+got.RequestURI != want {
		t.Errorf("asked %s %s\nwant %s", got.Method, got.RequestURI, want)
	}
	if len(body) != 0 || got.Header.Get("Elements-Async-Callback-Url") != callback {
		t.Errorf("body = %q, callback = %q", body, got.Header.Get("Elements-Async-Callback-Url"))
	}

	if _, err := c.Query(t.Context(), submit.Query{ContinueFromJobID: "9", CallbackPayload: json.RawMessage(`{"a":1}`)}); err != nil {
		t.Fatalf("Query() = %v", err)
	}
	_, boundary, _ := strings.Cut(got.Header.Get("Content-Type"), "boundary=")
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(1 << 20)
	if err != nil || form.Value["metaData"][0] != `{"callback-payload":{"a":1}}` || len(form.File) != 0 {
		t.Errorf("form = %+v, %v, want metaData with the payload", form, err)
	}

	if _, err := c.Query(t.Context(), submit.Query{}); err == nil {
		t.Error("Query() of nothing = nil, want an error")
	}
}

func TestDownloadOnTheWire(t *testing.T) {
	var uri, body string
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		uri, body = r.Method+" "+r.RequestURI+" "+r.Header.Get("Content-Type"), string(b)
		_, _ = io.WriteString(w, `{"id":4.2114492E7,"jobStatus":"CREATED"}`)
	})
	made, err := c.Download(t.Context(), submit.Download{
		Object: "accounts", Format: "application/jsonl", SelectFields: "a,b", Limit: 107, CallbackURL: "https://r.example/cb",
	})
	if err != nil || made.ID != "42114492" || made.Status != "CREATED" {
		t.Fatalf("Download() = %+v, %v, want job 42114492", made, err)
	}
	if want := "POST /elements/api-v2/bulk/download application/json"; uri != want {
		t.Errorf("asked %s, want %s", uri, want)
	}
	if want := `{"objectName":"accounts","format":"application/jsonl","selectFields":"a,b","limit":107,"notificationUrl":"https://r.example/cb"}`; body != want {
		t.Errorf("sent %s\nwant %s", body, want)
	}
	if _, err := c.Download(t.Context(), submit.Download{Object: "accounts"}); err == nil {
		t.Error("Download() without a format = nil, want an error")
	}
}
