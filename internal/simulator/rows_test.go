package simulator_test

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"receiver/internal/simulator"
)

func TestRowsAreCounted(t *testing.T) {
	sample, err := os.ReadFile("../../examples/sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file, meta, content string
		records, failed           int
		errors                    string // of the first error
	}{
		{"sample", "sample.csv", "", string(sample), 10, 0, ""},
		{"sample without a name", "file", "", string(sample), 10, 0, ""},
		{"empty", "a.csv", "", "", 0, 0, ""},
		{"header only", "a.csv", "", "C_EmailAddress\n", 0, 0, ""},
		{"byte order mark", "a.csv", "", "\ufeffemailAddress,b\r\na@b.cd,1\r\nnope,1\r\n", 2, 1, "row 2: 74234"},
		{"columns", "a.csv", "", "a,b\n1\n1,2\n1,2,3\n", 3, 2, "row 1: has 1 fields, the header row has 2"},
		{"quotes", "a.csv", "", "a,b\n\"1\n,\",2\n1,\"2\"3\n1,2\n", 3, 1, "row 2: "},
		{"open quote", "a.csv", "", "a,b\n1,2\n1,\"2\n1,2\n", 2, 1, "row 2: "},
		{"e-mail", "a.csv", "", "C_EmailAddress,n\n,1\nx,1\n@b.cd,1\na@b,1\na@b.,1\na@@b.cd,1\na b@c.de,1\na@b.cd,1\n", 8, 7, "row 1: C_EmailAddress is empty"},
		{"too long a row", "a.csv", "", "a\n1\n\"" + strings.Repeat("x", 2<<20) + "\"\n3\n", 2, 1, "row 2: the row is longer"},
		{"array", "a.json", "", `[{"EmailAddress":"a@b.cd"},{"EmailAddress":null},{"a":1},7,{"EmailAddress":3}]`, 5, 3, "row 2: EmailAddress is empty"},
		{"array in one line less", "a", "", " \n[\n{\"a\":1},\n{\"a\":{\"b\":[2]}}\n]\n", 2, 0, ""},
		{"broken array", "a.json", "", `[{"a":1},{"a":2},{"a"]`, 3, 1, "row 3: the rest was not read"},
		{"open array", "a.json", "", `[{"a":1},{"a":2}`, 3, 1, "row 3: the rest was not read"},
		{"more after the array", "a.json", "", `[{"a":1}] [2]`, 2, 1, "row 2: the rest was not read"},
		{"long row in an array", "a.json", "", `[{"a":1},{"a":"` + strings.Repeat("x", 3<<20) + `"},{"a":1}]`, 2, 1, "row 2: the rest was not read"},
		{"lines", "a.jsonl", "", "{\"a\":1}\n\n{\"a\":2}\r\n{\"a\"\nnull\n{\"workEmailAddress\":\"x\"}", 5, 3, "row 3: is not a JSON object"},
		{"too long a line", "a", "", "{\"a\":1}\n{\"a\":\"" + strings.Repeat("x", 2<<20) + "\"}\n{\"a\":1}\n", 2, 1, "row 2: the row is longer"},
		{"format by metaData", "a.csv", `{"format":"JSON"}`, "{\"a\":1}\n{\"a\":2}\n", 2, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, simulator.Options{})
			parts := []string{"file", tt.file, tt.content}
			if tt.meta != "" {
				parts = append([]string{"metaData", "", tt.meta}, parts...)
			}
			body, kind := form(parts...)
			if a := r.call(http.MethodPost, "/bulk/contact", body, kind); a.code != 200 {
				t.Fatalf("POST: %d %s", a.code, a.body)
			}
			r.ended()
			job := r.Jobs()[0]
			if job.Records != tt.records || job.Failed != tt.failed {
				t.Errorf("%d rows, %d failed, want %d and %d", job.Records, job.Failed, tt.records, tt.failed)
			}
			a := r.get("/bulk/" + job.ID + "/errors")
			if want := strings.Trim(tt.errors, " "); !strings.Contains(string(a.body), want) || (want == "") != (string(a.body) == "[]") {
				t.Errorf("errors = %s, want %q first", a.body, want)
			}
		})
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	r := start(t, simulator.Options{})
	tests := []struct {
		name, path, url string
		parts           []string
		kind            string
		want            int
	}{
		{"no file", "/bulk/contact", "", []string{"metaData", "", "{}"}, "", 400},
		{"metaData no JSON", "/bulk/contact", "", []string{"metaData", "", "{", "file", "a.csv", "a\n1\n"}, "", 400},
		{"metaData no object", "/bulk/contact", "", []string{"metaData", "", "[]", "file", "a.csv", "a\n1\n"}, "", 400},
		{"metaData too large", "/bulk/contact", "", []string{"metaData", "", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`}, "", 400},
		{"unknown format", "/bulk/contact", "", []string{"metaData", "", `{"format":"xls"}`, "file", "a.csv", "a\n1\n"}, "", 400},
		{"unknown dial", "/bulk/contact", "", []string{"metaData", "", `{"simulate":"nope=1"}`, "file", "a.csv", "a\n1\n"}, "", 400},
		{"mix in a job", "/bulk/contact", "", []string{"metaData", "", `{"simulate":"mix"}`, "file", "a.csv", "a\n1\n"}, "", 400},
		{"unknown object", "/bulk/nope", "", []string{"file", "a.csv", "a\n1\n"}, "", 404},
		{"callback to a file", "/bulk/contact", "file:///etc/passwd", []string{"file", "a.csv", "a\n1\n"}, "", 400},
		{"not multipart", "/bulk/contact", "", []string{"file", "a.csv", "a\n1\n"}, "text/csv", 415},
		{"no boundary", "/bulk/contact", "", []string{"file", "a.csv", "a\n1\n"}, "multipart/form-data", 400},
	}
	for _, tt := range tests {
		body, kind := form(tt.parts...)
		if tt.kind != "" {
			kind = "Content-Type: " + tt.kind
		}
		a := r.call(http.MethodPost, tt.path, body, kind, "Elements-Async-Callback-Url: "+tt.url)
		if o := a.object(t); a.code != tt.want || o["message"] == nil || o["requestId"] == nil {
			t.Errorf("%s: %d %s, want %d with message and requestId", tt.name, a.code, a.body, tt.want)
		}
	}
	if got := r.Jobs(); len(got) != 0 {
		t.Errorf("refused uploads made jobs: %+v", got)
	}
}

func TestUploadThatBreaksOffMakesNoJob(t *testing.T) {
	for _, file := range []string{"a.csv", "a.jsonl", "a.json"} {
		p := simulator.New(simulator.Options{})
		body, kind := form("file", file, "[{\"a\":\"1\"},\n"+strings.Repeat("{\"a\":\"1\"},\n", 20_000))
		whole, _ := io.ReadAll(body)
		r := httptest.NewRequest(http.MethodPost, simulator.Base+"/bulk/contact",
			io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), broken{}))
		r.Header.Set("Content-Type", strings.TrimPrefix(kind, "Content-Type: "))
		r.Header.Set("Authorization", p.Credentials().Authorization())
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != 400 || len(p.Jobs()) != 0 {
			t.Errorf("%s: %d %s and jobs %v, want 400 and none", file, w.Code, w.Body, p.Jobs())
		}
		_ = p.Close()
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("connection reset") }

func TestRelativeCallbackIsAcceptedAndNotCalled(t *testing.T) {
	r := start(t, simulator.Options{})
	body, kind := form("file", "a.csv", goodRows)
	a := r.call(http.MethodPost, "/bulk/contact", body, kind, "Elements-Async-Callback-Url: /formulas/instances/1/executions")
	r.quiet()
	if a.code != 200 || len(r.Deliveries()) != 0 {
		t.Errorf("%d and %d deliveries, want 200 and none", a.code, len(r.Deliveries()))
	}
}

// endless gives the start of a multipart body, then rows up to a size, then its end; on its way it
// measures what is alive on the heap.
type endless struct {
	block []byte
	left  int
	every int
	next  int
	peak  *uint64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	if e.next -= len(b); e.next < 0 {
		e.next = e.every
		*e.peak = max(*e.peak, alive())
	}
	at := e.left % len(e.block)
	n := copy(b[:min(len(b), e.left)], e.block[len(e.block)-cmp.Or(at, len(e.block)):])
	e.left -= n
	return n, nil
}

func alive() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 128 MiB go through and a few MiB stay.
func TestLargeUploadKeepsMemoryBounded(t *testing.T) {
	text := strings.Repeat("v", 1000)
	tests := []struct {
		name, head, row string
		size            int
	}{
		{"csv", "C_EmailAddress,n,text\n", "a@example.com,1," + text + "\n", 128 << 20},
		{"jsonl", "", `{"a":"` + text + `"}` + "\n", 16 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := simulator.New(simulator.Options{Element: "e", User: "u"})
			defer p.Close()
			block := []byte(strings.Repeat(tt.row, 64))
			before := alive()
			peak := before
			rows := &endless{block: block, left: tt.size / len(block) * len(block), every: tt.size / 4, peak: &peak}
			body := io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a."+tt.name+"\"\r\n\r\n"+tt.head),
				rows, strings.NewReader("\r\n--b--\r\n"))
			r := httptest.NewRequest(http.MethodPost, simulator.Base+"/bulk/contact", body)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			r.Header.Set("Authorization", "Element e, User u")
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			peak = max(peak, alive())
			want := tt.size / len(block) * 64
			if w.Code != 200 || p.Jobs()[0].Records != want || p.Jobs()[0].Failed != 0 {
				t.Fatalf("%d %s, jobs %+v, want %d good rows", w.Code, w.Body, p.Jobs(), want)
			}
			if grown := int64(peak) - int64(before); grown > 12<<20 {
				t.Errorf("heap grew by %d MiB, want 12 at most", grown>>20)
			}
		})
	}
}

// FuzzRows uploads anything at all: it is counted the same way as by its name's own decoder, and
// never upsets the platform.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{"", "a,b\n1,2\n", "C_EmailAddress\na@b.cd\nx\n", "\ufeffa\n\"1\n", `[{"a":1},{"b":2}]`, "[1,", "{\"a\":1}\n{\n", "\"", "[]x"} {
		f.Add([]byte(seed), byte(0))
		f.Add([]byte(seed), byte(1))
	}
	names := []string{"a.csv", "a.json", "a"}
	f.Fuzz(func(t *testing.T, content []byte, kind byte) {
		p := simulator.New(simulator.Options{Element: "e", User: "u", JobDuration: 1})
		defer p.Close()
		name := names[int(kind)%len(names)]
		body, contentType := form("file", name, string(content))
		serve(t, p, http.MethodPost, "/bulk/contact", body, strings.TrimPrefix(contentType, "Content-Type: "))
		if err := p.Wait(t.Context(), func(s simulator.Stats) bool { return s.Finished == 1 }); err != nil {
			t.Fatal(err)
		}
		job := p.Jobs()[0]
		if job.Failed > job.Records || job.Failed < 0 || job.Records > len(content)+1 {
			t.Fatalf("%d of %d rows failed, of %d bytes", job.Failed, job.Records, len(content))
		}
		if rows, ok := csvRows(content); ok && name == "a.csv" && job.Records != rows {
			t.Errorf("%d rows, want %d", job.Records, rows)
		}
		for _, path := range []string{"/status", "/errors"} {
			if raw := serve(t, p, http.MethodGet, "/bulk/"+job.ID+path, nil, ""); !json.Valid(raw) {
				t.Errorf("%s is no JSON: %q", path, raw)
			}
		}
		serve(t, p, http.MethodGet, "/bulk/"+job.ID+"/contact", nil, "")
	})
}

func serve(t *testing.T, p *simulator.Platform, method, path string, body io.Reader, contentType string) []byte {
	t.Helper()
	r := httptest.NewRequest(method, simulator.Base+path, body)
	r.Header.Set("Authorization", "Element e, User u")
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// csvRows counts the rows of a file that encoding/csv reads without complaint.
func csvRows(content []byte) (int, bool) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	return int(math.Max(0, float64(len(rows)-1))), err == nil
}
