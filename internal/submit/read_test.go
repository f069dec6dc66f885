package submit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"receiver/internal/submit"
)

func TestObjects(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"Hydrogen", `["activities","contact"]`, `[{"name":"activities"},{"name":"contact"}]`},
		{"Helium", `[{"name":"contact","vendorName":"C_Contact","type":"vdr"}]`, `[{"name":"contact","vendor_name":"C_Contact","type":"vdr"}]`},
		{"both", `["a",{"name":"b"}]`, `[{"name":"a"},{"name":"b"}]`},
		{"none", `[]`, `[]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked http.Request
			c, _ := serve(t, answering(200, tc.body, &asked))
			got, err := c.Objects(t.Context())
			if err != nil || asJSON(t, got) != tc.want {
				t.Errorf("Objects() = %s, %v, want %s", asJSON(t, got), err, tc.want)
			}
			if asked.Header.Get("Elements-Version") != "Helium" || asked.RequestURI != "/elements/api-v2/hubs/marketing/objects" {
				t.Errorf("asked for %s, version %q", asked.RequestURI, asked.Header.Get("Elements-Version"))
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	const body = `{"fields":[{"type":"string","vendorPath":"mail","vendorRequired":true,"mask":7,"method":[{"name":"POST","request":true}],"new":1},{"type":"date","vendorPath":"d","custom":false}]}`
	c, _ := serve(t, answering(200, body, nil))
	got, err := c.Metadata(t.Context(), "contact")
	if err != nil {
		t.Fatalf("Metadata() = %v", err)
	}
	want := `{"fields":[{"type":"string","vendor_path":"mail","vendor_required":true,"methods":[{"name":"POST","request":true,"response":false}]},{"type":"date","vendor_path":"d","custom":false}]}`
	if asJSON(t, got) != want {
		t.Errorf("Metadata() = %s\nwant %s", asJSON(t, got), want)
	}
	if string(got.Raw) != body {
		t.Errorf("Raw = %s, want the answer as it came", got.Raw)
	}
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct{ name, body, want string }{
		{"the vendor's example", `{"id":"77","status":"COMPLETE"}`, `{"id":"77","status":"COMPLETE","result":"succeeded"}`},
		{
			"first generation",
			`{"id":77,"status":" CREATEd","recordsCount":2,"recordsFailedCount":0,"instanceId":425904,"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv","vendorJobId":"v","bulk_start_time":"2018-05-28T10:00:00+02:00","bulk_finish_time":1527494401000,"error":"e","infoMessage":"i"}`,
			`{"id":"77","status":" CREATEd","instance_id":"425904","object":"contact","direction":"UPLOAD","records":2,"failed":0,"error":"e","message":"i","file_format":"csv","vendor_job_id":"v","started":"2018-05-28T08:00:00Z","finished":"2018-05-28T08:00:01Z"}`,
		},
		{
			"third generation",
			`{"id":77.0,"jobStatus":"CANCELED","statusMessage":"m","recordCount":3,"errorCount":1,"objectName":"o","jobDirection":"DOWNLOAD","createdDate":1542829826619,"completionTime":1542829827804}`,
			`{"id":"77","status":"CANCELED","result":"cancelled","object":"o","direction":"DOWNLOAD","records":3,"failed":1,"message":"m","created":"2018-11-21T19:50:26.619Z","finished":"2018-11-21T19:50:27.804Z"}`,
		},
		{"counts as text", `{"id":"77","status":"X","recordsCount":"12","recordsFailedCount":""}`, `{"id":"77","status":"X","records":12}`},
		{"what makes no sense is left out", `{"id":null,"status":"X","recordsCount":-1,"recordsFailedCount":1.5,"createdDate":"soon","completionTime":1e17,"fileFormat":null}`, `{"id":"77","status":"X"}`},
		{"no id", `{"batchId":3,"status":"RUNNING","numOfLeadsProcessed":4,"numOfRowsFailed":1}`, `{"id":"77","status":"RUNNING","records":4,"failed":1}`},
		{
			"what callbacks are read by", `{"id":"77","STATUS":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":"3.0","error_count":1,"numOfRowsWithWarning":2}`,
			`{"id":"77","status":"COMPLETED","result":"partial","records":10,"failed":3,"warned":2}`,
		},
		{"a count that cannot be read", `{"status":"COMPLETED","errorCount":"some"}`, `{"id":"77","status":"COMPLETED","result":"unknown"}`},
		{"statuses that disagree", `{"status":"COMPLETED","jobStatus":"ABORTED"}`, `{"id":"77","status":"COMPLETED/ABORTED","result":"unknown"}`},
		{"an error", `{"status":"COMPLETED","error":"gone"}`, `{"id":"77","status":"COMPLETED","result":"partial","error":"gone"}`},
		{"a byte order mark", "\ufeff" + `{"status":"COMPLETED"}`, `{"id":"77","status":"COMPLETED","result":"succeeded"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, answering(200, tc.body, nil))
			got, err := c.Status(t.Context(), "77")
			if err != nil || asJSON(t, got) != tc.want {
				t.Errorf("Status() = %s, %v\nwant %s", asJSON(t, got), err, tc.want)
			}
			if string(got.Raw) != tc.body {
				t.Errorf("Raw = %s, want the answer as it came", got.Raw)
			}
		})
	}
}

// A byte order mark before an answer is no part of its JSON, whatever was asked.
func TestAnswersWithAByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	first := func(seq func(func(string, error) bool)) (got string, err error) {
		seq(func(s string, e error) bool { got, err = s, e; return false })
		return got, err
	}
	for _, tc := range []struct {
		name, body, want string
		ask              func(c *submit.Client) (string, error)
	}{
		{"objects", `["contact"]`, "contact", func(c *submit.Client) (string, error) {
			o, err := c.Objects(t.Context())
			if err != nil {
				return "", err
			}
			return o[0].Name, nil
		}},
		{"metadata", `{"fields":[{"type":"string"}]}`, "string", func(c *submit.Client) (string, error) {
			m, err := c.Metadata(t.Context(), "contact")
			if err != nil {
				return "", err
			}
			return m.Fields[0].Type, nil
		}},
		{"an upload", `{"id":"7","status":"CREATED"}`, "7", func(c *submit.Client) (string, error) {
			made, err := c.Upload(t.Context(), submit.Upload{Object: "contact", FileName: "a.csv", File: strings.NewReader("a\n"), Size: 2})
			return made.ID, err
		}},
		{"a list of jobs", `[{"job_id":"7","bulk_status":"RUNNING"}]`, "7", func(c *submit.Client) (string, error) {
			return first(func(yield func(string, error) bool) {
				c.Jobs(t.Context(), "")(func(s submit.Status, err error) bool { return yield(s.ID, err) })
			})
		}},
		{"one job as a list", `{"job_id":"7"}`, "7", func(c *submit.Client) (string, error) {
			return first(func(yield func(string, error) bool) {
				c.Jobs(t.Context(), "")(func(s submit.Status, err error) bool { return yield(s.ID, err) })
			})
		}},
		{"errors of rows", `[{"status":"bad"}]`, "bad", func(c *submit.Client) (string, error) {
			return first(func(yield func(string, error) bool) {
				c.Errors(t.Context(), "7", 0)(func(r submit.RowError, err error) bool { return yield(r.Text, err) })
			})
		}},
		{"a queue", `[{"id":"9","body":"\ufeff{\"id\":7}"}]`, "7", func(c *submit.Client) (string, error) {
			return first(func(yield func(string, error) bool) {
				c.Deliveries(t.Context(), "", 0)(func(d submit.Delivery, err error) bool { return yield(d.JobID, err) })
			})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, answering(200, mark+tc.body, nil))
			if got, err := tc.ask(c); err != nil || got != tc.want {
				t.Errorf("an answer with a mark gives %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	c, _ := serve(t, answering(400, mark+`{"message":"no such thing"}`, nil))
	var refused *submit.Error
	if _, err := c.Status(t.Context(), "7"); !errors.As(err, &refused) || refused.Message != "no such thing" {
		t.Errorf("a refusal with a mark says %v, want its message", err)
	}
	c, _ = serve(t, answering(200, mark+mark+`{"status":"COMPLETED"}`, nil))
	if s, err := c.Status(t.Context(), "7"); err == nil {
		t.Errorf("two marks give %+v, want an error", s)
	}
}

func TestCancel(t *testing.T) {
	for _, tc := range []struct{ name, answer, want string }{
		{"status in the answer", `{"id":"5","status":"CANCELLATION_PENDING"}`, "CANCELLATION_PENDING"},
		{"nothing in the answer", ``, "CANCELLED"},
		{"words in the answer", `cancelled!`, "CANCELLED"},
		{"no status in the answer", `{"id":"5"}`, "CANCELLED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.URL.Path)
				if r.Method == http.MethodPut {
					_, _ = io.WriteString(w, tc.answer)
					return
				}
				_, _ = io.WriteString(w, `{"status":"CANCELLED"}`)
			})
			got, err := c.Cancel(t.Context(), "5")
			if err != nil || got.ID != "5" || got.Status != tc.want {
				t.Errorf("Cancel() = %+v, %v, want %s", got, err, tc.want)
			}
			if asked[0] != "PUT /elements/api-v2/hubs/marketing/bulk/5/cancel" {
				t.Errorf("asked %s", asked[0])
			}
		})
	}
}

// paged serves one body per page, with the next page in the cursor.
func paged(t *testing.T, path string, bodies ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/elements/api-v2"+path || r.URL.Query().Get("pageSize") != "200" {
			t.Errorf("asked for %s", r.RequestURI)
		}
		n := 0
		if at := r.URL.Query().Get("nextPage"); at != "" {
			_, _ = fmt.Sscanf(at, "p&%d", &n)
		}
		if n+1 < len(bodies) {
			w.Header().Set("elements-next-page-token", fmt.Sprintf("p&%d", n+1))
		}
		_, _ = io.WriteString(w, bodies[n])
	}
}

func TestErrors(t *testing.T) {
	const path = "/hubs/marketing/bulk/5/errors"
	for _, tc := range []struct {
		name  string
		limit int
		pages []string
		want  string
		fails bool
	}{
		{"text and objects over pages", 0, []string{`["a",{"status":"Conflicts Found"}]`, `[]`, `[{"message":"m"},{"x":[1, 2]},null,7]`}, "a|Conflicts Found|m|{\"x\":[1,2]}||7|", false},
		{"limit within a page", 1, []string{`["a","b"]`}, "a|", false},
		{"limit over pages", 3, []string{`["a","b"]`, `["c","d"]`, `broken`}, "a|b|c|", false},
		{"limit at the end of a page", 2, []string{`["a","b"]`, `broken`}, "a|b|", false},
		{"none", 0, []string{`[]`}, "", false},
		{"nothing", 0, []string{``}, "", true},
		{"no list", 0, []string{`["a"]`, `{"message":"no"}`}, "a|", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := serve(t, paged(t, path, tc.pages...))
			var got strings.Builder
			var failed error
			for row, err := range c.Errors(t.Context(), "5", tc.limit) {
				if failed = err; err == nil {
					got.WriteString(row.Text + "|")
				}
			}
			if got.String() != tc.want || (failed != nil) != tc.fails {
				t.Errorf("Errors() = %q, %v, want %q, fails %v", got.String(), failed, tc.want, tc.fails)
			}
		})
	}
}

func TestPagesWithoutEnd(t *testing.T) {
	asked := 0
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Elements-Next-Page-Token", fmt.Sprint(asked%3))
		_, _ = io.WriteString(w, `["a"]`)
	})
	var failed error
	for _, err := range c.Errors(t.Context(), "5", 0) {
		failed = err
	}
	if failed == nil || !strings.Contains(failed.Error(), "does not end") || asked > 5 {
		t.Errorf("Errors() = %v after %d pages, want an error soon", failed, asked)
	}
}

func TestJobs(t *testing.T) {
	c, _ := serve(t, paged(t, "/bulk/jobs",
		`[{"id":1722,"status":"COMPLETED","notification_url":"`+callback+`","record_count":41,"error_count":0},{"job_id":"x","job_status":"RUNNING"}]`,
		`[{"id":"y","bulk_status":"ERROR","notificationUrl":"u"},{"id":3}]`,
	))
	for range 2 { // ranging again starts again
		var got strings.Builder
		for job, err := range c.Jobs(t.Context(), "") {
			if err != nil {
				t.Fatalf("Jobs() = %v", err)
			}
			fmt.Fprintf(&got, "%s %s %s\n", job.ID, job.Status, job.NotificationURL)
		}
		if want := "1722 COMPLETED " + callback + "\nx RUNNING \ny ERROR u\n3  \n"; got.String() != want {
			t.Errorf("Jobs() =\n%swant\n%s", got.String(), want)
		}
	}
}

func TestRequestsOfJobs(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{` {"id":1,"status":"A"}`, "1"},
		{`[{"id":1},{"status":"A"}]`, "error"},
		{`[{"id":1},7]`, "error"},
		{`[]`, ""},
		{``, "error"},
		{`null`, "error"},
	} {
		var asked http.Request
		c, _ := serve(t, answering(200, tc.body, &asked))
		got := ""
		for job, err := range c.Jobs(t.Context(), "job_status='RUNNING'") {
			if got = job.ID; err != nil {
				got = "error"
			}
		}
		if got != tc.want || asked.URL.Query().Get("where") != "job_status='RUNNING'" {
			t.Errorf("Jobs() of %s = %q, want %q; asked %s", tc.body, got, tc.want, asked.RequestURI)
		}
	}
}

func TestListingsCanBeLeft(t *testing.T) {
	c, _ := serve(t, paged(t, "/bulk/jobs", `[{"id":1},{"id":2}]`, `broken`))
	for job, err := range c.Jobs(t.Context(), "") {
		if err != nil {
			t.Fatalf("Jobs() = %v", err)
		}
		if job.ID == "2" {
			break
		}
	}
	for _, err := range c.Errors(t.Context(), "..", 0) {
		if err == nil {
			t.Error("Errors() of a name that climbs = nil, want an error")
		}
	}
}

func TestResult(t *testing.T) {
	var asked http.Request
	c, _ := serve(t, answering(200, csv, &asked))
	var got bytes.Buffer
	n, err := c.Result(t.Context(), "5", "contact", "text/csv", &got)
	if err != nil || n != int64(len(csv)) || got.String() != csv {
		t.Errorf("Result() = %d, %v, wrote %q, want %q", n, err, got.String(), csv)
	}
	if asked.Header.Get("Accept") != "text/csv" || asked.RequestURI != "/elements/api-v2/hubs/marketing/bulk/5/contact" {
		t.Errorf("asked for %s as %q", asked.RequestURI, asked.Header.Get("Accept"))
	}
	if _, err := c.Result(t.Context(), "5", "contact", "", &got); err == nil {
		t.Error("Result() without a format = nil, want an error")
	}
}

func TestResultThatBreaks(t *testing.T) {
	asked := 0
	c, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusBadGateway) // before the first row it is safe to ask again
			return
		}
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, csv)
	})
	var got bytes.Buffer
	n, err := c.Result(t.Context(), "5", "contact", "text/csv", &got)
	if !errors.Is(err, io.ErrUnexpectedEOF) || n != int64(len(csv)) || asked != 2 {
		t.Errorf("Result() = %d, %v after %d requests, want %d and an unexpected end after 2", n, err, asked, len(csv))
	}
}

func TestResultIsStreamed(t *testing.T) {
	first, more := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "two\n")
	}))
	defer srv.Close()
	rows, err := newClient(t, options(srv.URL)).OpenResult(t.Context(), "5", "contact", "text/csv")
	if err != nil {
		t.Fatalf("OpenResult() = %v", err)
	}
	defer rows.Close()
	go func() { <-first; close(more) }()
	line := make([]byte, 4)
	if _, err := io.ReadFull(rows, line); err != nil || string(line) != "one\n" {
		t.Fatalf("first row = %q, %v", line, err)
	}
	close(first)
	if rest, err := io.ReadAll(rows); err != nil || string(rest) != "two\n" {
		t.Errorf("rest = %q, %v", rest, err)
	}
}
