package page_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/preflight"
	"receiver/internal/submit"
)

// platform stands for the API with the sources crm and erp, whose platform knows contact.
func platform() operations {
	yes := true
	return operations{
		"GET /v1/sources":             give(api.Sources{Sources: []api.SourceStatus{{Name: "crm"}, {Name: "erp"}}}),
		"GET /v1/sources/crm/objects": give(api.Objects{Objects: []submit.Object{{Name: "contact"}, {Name: "lead"}, {Name: "bad\u202ename"}}}),
		"GET /v1/sources/crm/objects/contact": give(submit.Metadata{Fields: []submit.Field{
			{VendorPath: "title", Type: "string"}, {VendorPath: "email", Type: "string", VendorRequired: &yes}, {VendorPath: "id", Type: "number", VendorReadOnly: &yes},
		}}),
		"GET /v1/sources/erp/objects": func(w http.ResponseWriter, _ *http.Request) {
			problem(w, api.PlatformFailed.Problem("the platform is <b>away</b>"))
		},
	}
}

var keyField = regexp.MustCompile(`name="key" value="([^"]+)"`)

// The form grows step by step, by plain links: source, object, file.
func TestTheFormForAFile(t *testing.T) {
	t.Parallel()
	p := newPage(platform())
	for _, tt := range []struct {
		address    string
		has, lacks []string
	}{
		{"/submit", []string{"<option>crm</option>", "<option>erp</option>"}, []string{`name="object"`, `type="file"`}},
		{"/submit?source=crm", []string{"<option selected>crm</option>", `<option value="contact">`, `<option value="lead">`, `name="source" value="crm"`}, []string{`type="file"`, "\u202e"}},
		{"/submit?source=erp", []string{"The platform lists none: the platform is &lt;b&gt;away&lt;/b&gt;", `name="object"`}, []string{"<b>", "<datalist"}},
		{
			"/submit?source=crm&object=contact",
			[]string{"3 fields", "<code>email</code> string <span class=\"tag mixed\">required</span>", "<code>id</code> number <span class=\"tag\">read only</span>", `type="file"`, `enctype="multipart/form-data"`},
			nil,
		},
		{"/submit?source=crm&object=lead", []string{"lead: there is nothing at", `type="file"`}, nil},
	} {
		w := ask(t, p, http.MethodGet, tt.address, "rcv_all", nil)
		body := w.Body.String()
		for _, text := range tt.has {
			if !strings.Contains(body, text) {
				t.Errorf("%s lacks %s: %d %s", tt.address, text, w.Code, body)
			}
		}
		for _, text := range tt.lacks {
			if strings.Contains(body, text) {
				t.Errorf("%s has %s", tt.address, text)
			}
		}
	}
	first := keyField.FindStringSubmatch(ask(t, p, http.MethodGet, "/submit?source=crm&object=contact", "rcv_all", nil).Body.String())
	again := keyField.FindStringSubmatch(ask(t, p, http.MethodGet, "/submit?source=crm&object=contact", "rcv_all", nil).Body.String())
	if first == nil || again == nil || first[1] == again[1] || len(first[1]) < 20 {
		t.Errorf("the keys of two forms are %q and %q", first, again)
	}
	for address, status := range map[string]int{"/submit?source=cmr": 404, "/submit?source=crm&object=%E2%80%AE": 400} {
		if w := ask(t, p, http.MethodGet, address, "rcv_all", nil); w.Code != status {
			t.Errorf("%s = %d, want %d", address, w.Code, status)
		}
	}
	if w := ask(t, p, http.MethodGet, "/submit", "rcv_read", nil); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "the scope submit") {
		t.Errorf("without the scope submit = %d", w.Code)
	}
	one := platform()
	one["GET /v1/sources"] = give(api.Sources{Sources: []api.SourceStatus{{Name: "crm"}}})
	if body := ask(t, newPage(one), http.MethodGet, "/submit", "rcv_all", nil).Body.String(); !strings.Contains(body, `<option value="contact">`) {
		t.Errorf("the only source is not chosen: %s", body)
	}
}

// The form stays small for a platform with thousands of names; the others can be typed.
func TestTheFormStaysSmall(t *testing.T) {
	t.Parallel()
	o := platform()
	var objects api.Objects
	var fields submit.Metadata
	for i := range 3000 {
		objects.Objects = append(objects.Objects, submit.Object{Name: fmt.Sprint("object_with_a_long_name_", i)})
		fields.Fields = append(fields.Fields, submit.Field{VendorPath: fmt.Sprint("field_with_a_long_name_", i), Type: "string"})
	}
	o["GET /v1/sources/crm/objects"], o["GET /v1/sources/crm/objects/contact"] = give(objects), give(fields)
	body := ask(t, newPage(o), http.MethodGet, "/submit?source=crm&object=contact", "rcv_all", nil).Body.String()
	inOrder(t, body, "500 are suggested; 2500 more can be typed", "200 fields", "2800 more")
	if len(body) > 100<<10 {
		t.Errorf("the page has %d bytes", len(body))
	}
}

// part is a field of a form; the file has the name file.
type part struct{ name, text string }

// post sends a form as a browser that has signed in with rcv_all, and a script if accept is given.
func post(t *testing.T, p http.Handler, address, accept string, parts ...part) *httptest.ResponseRecorder {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, part := range parts {
		open := func() (io.Writer, error) { return w.CreateFormField(part.name) }
		if part.name == "file" {
			open = func() (io.Writer, error) { return w.CreateFormFile("file", `C:\data\people.csv`) }
		}
		to, err := open()
		if err == nil {
			_, err = io.WriteString(to, part.text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, address, &form)
	r.Host = "localhost:8081"
	r.Header.Set("Content-Type", w.FormDataContentType())
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	r.AddCookie(&http.Cookie{Name: "receiver-8081", Value: "rcv_all"})
	got := httptest.NewRecorder()
	p.ServeHTTP(got, r)
	return got
}

// csrf is the token of the forms of rcv_all.
func csrf(t *testing.T, p http.Handler) string {
	t.Helper()
	return csrfField.FindStringSubmatch(ask(t, p, http.MethodGet, "/submit", "rcv_all", nil).Body.String())[1]
}

// A file goes on to the API with all that the form says, and the browser to what became of it.
func TestAFileIsSubmitted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, accept string
		made         job.Submission
		status       int
		where        string
	}{
		{"a form", "", job.Submission{Source: "crm", Name: "S", State: job.SubmissionSubmitted, Job: "a/b"}, 303, "/jobs/crm/a%2Fb"},
		{"a script", "application/json", job.Submission{Source: "crm", Name: "S", State: job.SubmissionSubmitted, Job: ".."}, 200, "/jobs/crm/-?id=.."},
		{"a lost answer", "", job.Submission{Source: "crm", Name: "S", State: job.SubmissionUnknown}, 303, "/submit/crm/S"},
		{"a lost answer to a script", "application/json", job.Submission{Source: "crm", Name: "S", State: job.SubmissionUnknown}, 200, "/submit/crm/S"},
	} {
		o := platform()
		var asked *http.Request
		var file []byte
		o["POST /v1/sources/crm/jobs"] = func(w http.ResponseWriter, r *http.Request) {
			asked = r
			file, _ = io.ReadAll(r.Body)
			give(tt.made)(w, r)
		}
		p := newPage(o)
		w := post(t, p, "/submit", tt.accept,
			part{"csrf", csrf(t, p)}, part{"key", "K-1"}, part{"source", "crm"}, part{"object", "contact"}, part{"metadata", ` {"a":1} `}, part{"callback_payload", ""}, part{"file", "email\nada@example.com\n"})
		got := w.Header().Get("Location")
		if tt.accept != "" {
			var answer map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
				t.Fatalf("%s: %v of %s", tt.name, err, w.Body)
			}
			got = answer["location"]
		}
		if w.Code != tt.status || got != tt.where {
			t.Errorf("%s: %d to %q, want %d to %q", tt.name, w.Code, got, tt.status, tt.where)
		}
		if asked == nil {
			t.Fatalf("%s: the API was not asked: %s", tt.name, w.Body)
		}
		q := asked.URL.Query()
		if q.Get("object") != "contact" || q.Get("file_name") != "people.csv" || q.Get("metadata") != `{"a":1}` || asked.Header.Get("Idempotency-Key") != "K-1" ||
			asked.Header.Get("Content-Type") != "text/csv" || asked.ContentLength != -1 || string(file) != "email\nada@example.com\n" {
			t.Errorf("%s: the API was asked %s %v with %d bytes announced: %q", tt.name, asked.URL, asked.Header, asked.ContentLength, file)
		}
	}
}

// A form that is not of this page is refused before its file is read, and so is one that lacks
// something. The API is not asked.
func TestFormsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newPage(platform())
	own := part{"csrf", csrf(t, p)}
	file := part{"file", "email\na\n"}
	whole := []part{own, {"key", "K"}, {"source", "crm"}, {"object", "contact"}, file}
	without := func(name string) []part {
		return slices.DeleteFunc(slices.Clone(whole), func(p part) bool { return p.name == name })
	}
	for _, tt := range []struct {
		name   string
		parts  []part
		status int
		says   string
	}{
		{"no token of a form", without("csrf"), 403, "not one of this page"},
		{"another", append([]part{{"csrf", "x"}}, without("csrf")...), 403, "not one of this page"},
		{"the token behind the file", append(without("csrf"), own), 403, "not one of this page"},
		{"the token behind another field", append([]part{{"key", "K"}, own}, without("csrf")[1:]...), 403, "not one of this page"},
		{"no key", without("key"), 400, "no key"},
		{"no source", without("source"), 400, "no source"},
		{"no object", without("object"), 400, "no object"},
		{"no file", without("file"), 400, "did not arrive"},
		{"many fields", append([]part{own}, slices.Repeat([]part{{"a", "b"}}, 20)...), 400, "more than 8 fields"},
		{"a long field", []part{own, {"metadata", strings.Repeat("x", 65<<10)}, file}, 413, "longer than 64 KiB"},
		{"all fields long", append([]part{own}, slices.Repeat([]part{{"a", strings.Repeat("x", 60<<10)}}, 7)...), 413, "before its file"},
	} {
		for _, address := range []string{"/submit", "/submit/check"} {
			if tt.name == "no key" && address == "/submit/check" {
				continue // it needs none
			}
			if w := post(t, p, address, "", tt.parts...); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%s to %s: %d %s, want %d with %q", tt.name, address, w.Code, w.Body, tt.status, tt.says)
			}
		}
	}
	if w := ask(t, p, http.MethodPost, "/submit", "rcv_all", map[string][]string{"csrf": {own.text}}); w.Code != http.StatusBadRequest {
		t.Errorf("a form without a file = %d", w.Code)
	}
}

// endless is a file without an end, of which is counted what is read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
}

// Nothing of a file is read for a form that is not of this page, and of one that is refused only so
// much that the browser sees the answer.
func TestRefusedFilesAreNotRead(t *testing.T) {
	t.Parallel()
	o := platform()
	o["POST /v1/sources/crm/jobs"] = func(w http.ResponseWriter, _ *http.Request) { problem(w, api.PlatformRefused.Problem("no <i>")) }
	p := newPage(o)
	for _, tt := range []struct {
		csrf        string
		status      int
		least, most int
	}{
		{"x", 403, 0, 64 << 10},
		{csrf(t, p), 502, 64 << 20, 65 << 20},
	} {
		head := "--B\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n" + tt.csrf + "\r\n"
		for _, f := range []part{{"key", "K"}, {"source", "crm"}, {"object", "contact"}} {
			head += fmt.Sprintf("--B\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", f.name, f.text)
		}
		head += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"
		file := new(endless)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/submit", io.MultiReader(strings.NewReader(head), file))
		r.Host = "localhost:8081"
		r.Header.Set("Content-Type", "multipart/form-data; boundary=B")
		r.AddCookie(&http.Cookie{Name: "receiver-8081", Value: "rcv_all"})
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != tt.status || file.read < tt.least || file.read > tt.most {
			t.Errorf("with the token %.4s: %d, and %d bytes of the file were read; want %d, and %d to %d", tt.csrf, w.Code, file.read, tt.status, tt.least, tt.most)
		}
	}
}

// After a refusal the form is there again. Its key stays where the file may have been submitted.
func TestKeyAfterARefusal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind  api.ProblemKind
		stays bool
	}{
		{api.BadRequest, false}, {api.PlatformRefused, false}, {api.KeyReused, false}, {api.NotConfigured, false}, {api.UnknownSource, false},
		{api.Busy, true}, {api.PlatformFailed, true}, {api.Unavailable, true}, {api.TooManyRequests, true},
	} {
		o := platform()
		o["POST /v1/sources/crm/jobs"] = func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			problem(w, tt.kind.Problem("because of <b>"))
		}
		p := newPage(o)
		parts := []part{{"csrf", csrf(t, p)}, {"key", "K-1"}, {"source", "crm"}, {"object", "contact"}, {"metadata", "{}"}, {"file", "email\na\n"}}
		w := post(t, p, "/submit", "", parts...)
		key := keyField.FindStringSubmatch(w.Body.String())
		if w.Code != tt.kind.Status() || key == nil || (key[1] == "K-1") != tt.stays || !strings.Contains(w.Body.String(), "because of &lt;b&gt;") || !strings.Contains(w.Body.String(), ">{}</textarea>") {
			t.Errorf("%s: %d with the key %q: %s", tt.kind.Name(), w.Code, key, w.Body)
		}
		w = post(t, p, "/submit", "application/json", parts...)
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != tt.kind.Status() || (answer["key"] == "K-1") != tt.stays || answer["key"] == "" || answer["detail"] != "because of <b>" {
			t.Errorf("%s to a script: %d %s", tt.kind.Name(), w.Code, w.Body)
		}
	}
}

// The view of a checked file: each column with a word, the encoding, the first rows.
func TestCheckOfAFile(t *testing.T) {
	t.Parallel()
	fields := []preflight.Field{{Name: "email", Required: true}, {Name: "title"}, {Name: "id", ReadOnly: true}, {Name: "name"}}
	long := strings.Repeat("x", 100)
	for _, tt := range []struct {
		name, file string
		has, lacks []string
	}{
		{"good", "email,title\nada@example.com,Dr\n", []string{"no errors in 1 row", `<code>email</code> <span class="tag good">known</span>`, "UTF-8", "<td>ada@example.com</td>"}, []string{"tag bad", "tag mixed"}},
		{
			"columns", "emial,Title,id,colour\n1,2,3,4\n",
			[]string{
				`<code>email</code> <span class="tag bad">required, missing</span>`, `<code>emial</code> <span class="tag bad">unknown: nearest email</span>`,
				`<code>colour</code> <span class="tag bad">unknown</span>`, `<code>Title</code> <span class="tag mixed">differs in case: nearest title</span>`, `<code>id</code> <span class="tag mixed">read only</span>`,
			}, nil,
		},
		{"no name", "email,\na,b\n", []string{`<code>column 2</code> <span class="tag bad">no name</span>`}, nil},
		{"cells", "email,title\na\n", []string{"line 2 has 1 cell", "<td>a</td><td></td>"}, nil},
		{"byte order mark", "\ufeffemail\na\n", []string{"UTF-8 with a byte order mark"}, []string{"\ufeff"}},
		{"Latin-1", "email\n\xe9\n", []string{"not UTF-8"}, nil},
		{"hostile", "email," + "\"<script>alert(1)</script>\u202e\x1b\"" + "\n<script>alert(1)</script>\u202e\x1b,b\n", []string{"&lt;script&gt;"}, []string{"<script>alert", "\u202e", "\x1b"}},
		{"long cells", "email,title\n" + long + ",b\n", []string{long[:60] + "…"}, []string{long[:61]}},
		{"many columns", strings.Repeat("name,", 999) + "name\na\n", []string{"850 columns more", "more", "<th scope=\"col\">…</th>"}, nil},
		{"longer than is checked", "email\n" + strings.Repeat("ada@example.com\n", 5000), []string{"in the first 4095 rows"}, nil},
	} {
		o := platform()
		o["POST /v1/sources/crm/objects/contact/preflight"] = func(w http.ResponseWriter, r *http.Request) {
			head, whole, _, err := preflight.Peek(r.Body)
			if err != nil || r.URL.Query().Get("file_name") != "people.csv" {
				t.Errorf("%s: %v, %s", tt.name, err, r.URL)
			}
			give(preflight.Check(preflight.File{Head: head, Whole: whole}, preflight.Target{Object: "contact", Fields: fields}))(w, r)
		}
		p := newPage(o)
		parts := []part{{"csrf", csrf(t, p)}, {"key", "K-1"}, {"source", "crm"}, {"object", "contact"}, {"file", tt.file}}
		w := post(t, p, "/submit/check", "", parts...)
		body := w.Body.String()
		for _, text := range tt.has {
			if w.Code != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %d lacks %s: %s", tt.name, w.Code, text, body)
			}
		}
		_, check, _ := strings.Cut(body, `<div id="check">`)
		for _, text := range tt.lacks {
			if strings.Contains(check, text) {
				t.Errorf("%s has %s", tt.name, text)
			}
		}
		if len(body) > 100<<10 || !strings.Contains(body, `name="key" value="K-1"`) {
			t.Errorf("%s: %d bytes", tt.name, len(body))
		}
	}
}

// A submission without a job yet says what to do; one with a job leads there.
func TestWhatBecameOfASubmission(t *testing.T) {
	t.Parallel()
	for state, says := range map[job.SubmissionState]string{
		job.SubmissionPending: "Do not send it again", job.SubmissionUnknown: "Do not send the file again", job.SubmissionFailed: "/submit?source=crm&amp;object=contact",
		job.SubmissionSubmitted: `href="/jobs/crm/a%2Fb"`,
	} {
		s := job.Submission{Source: "crm", Name: "S", Object: "contact", State: state, Error: hostile}
		if state == job.SubmissionSubmitted {
			s.Job = "a/b"
		}
		o := platform()
		o["GET /v1/sources/crm/submissions/S"] = give(s)
		w := ask(t, newPage(o), http.MethodGet, "/submit/crm/S", "rcv_read", nil)
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, says) || strings.Contains(body, "<script>alert") || strings.Contains(body, "\u202e") {
			t.Errorf("%s: %d %s, want %s", state, w.Code, body, says)
		}
	}
}
