package simulator_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

func TestErrorsArePaged(t *testing.T) {
	shapes := map[string]bool{}
	r := start(t, simulator.Options{})
	for range 12 {
		id := r.submitRows("n\n"+strings.Repeat("1\n", 400)+strings.Repeat("1,2\n", 5), "failed=all")
		r.quiet()
		var sizes []string
		total := 0
		for next := ""; ; {
			a := r.get("/bulk/" + id + "/errors?nextPage=" + next)
			var rows []any
			if err := json.Unmarshal(a.body, &rows); err != nil || a.code != 200 {
				t.Fatalf("errors: %d %s", a.code, a.body)
			}
			for _, row := range rows {
				shapes[fmt.Sprintf("%T", row)] = true
			}
			sizes = append(sizes, a.header.Get("elements-returned-count"))
			total += len(rows)
			if next = a.header.Get("elements-next-page-token"); next == "" {
				break
			}
		}
		if !slices.Equal(sizes, []string{"200", "200", "5"}) || total != 405 {
			t.Fatalf("pages of %v, %d in all, want 200, 200, 5", sizes, total)
		}
	}
	if !shapes["string"] || !shapes["map[string]interface {}"] {
		t.Errorf("rows were %v, want texts and objects", shapes)
	}
}

func TestFailedRows(t *testing.T) {
	tests := []struct {
		dials           string
		failed, results int
	}{{"", 1, 3}, {"failed=1", 1, 3}, {"failed=2", 2, 2}, {"failed=99", 4, 0}, {"failed=all", 4, 0}}
	for _, tt := range tests {
		r := start(t, simulator.Options{})
		id := r.submitRows(goodRows+"bad\n", tt.dials)
		r.quiet()
		status := r.get("/bulk/" + id + "/status").object(t)
		if status["recordsCount"] != 4.0 || status["recordsFailedCount"] != float64(tt.failed) || status["status"] != "COMPLETED" {
			t.Errorf("%q: status %v, want 4 rows, %d failed, COMPLETED", tt.dials, status, tt.failed)
		}
		result := r.get("/bulk/"+id+"/contact", "Accept: application/jsonl")
		if got := strings.Count(string(result.body), "\n"); got != tt.results {
			t.Errorf("%q: result has %d rows, want %d", tt.dials, got, tt.results)
		}
		if rows := r.rows("/bulk/" + id + "/errors?pageSize=100"); len(rows) != tt.failed && len(rows) != 0 {
			t.Errorf("%q: %d errors, want %d", tt.dials, len(rows), tt.failed)
		}
	}
}

func TestResultForms(t *testing.T) {
	r := start(t, simulator.Options{})
	shapes := map[byte]bool{}
	for range 12 {
		id := r.submit("")
		r.quiet()
		path := "/bulk/" + id + "/contact"
		if got, err := csv.NewReader(strings.NewReader(string(r.get(path, "Accept: text/csv").body))).ReadAll(); err != nil ||
			len(got) != 4 || !slices.Equal(got[1], []string{"a@example.com", "A"}) {
			t.Fatalf("CSV result = %q, %v", got, err)
		}
		if a := r.get(path); !strings.HasPrefix(string(a.body), "C_EmailAddress,") {
			t.Fatalf("result without Accept = %q, want CSV as it was sent", a.body)
		}
		shapes[r.get(path, "Accept: application/json").body[0]] = true
		if a := r.get(path, "Accept: application/xml"); a.code != 400 {
			t.Fatalf("wrong Accept: %d, want 400", a.code)
		}
		if a := r.get("/bulk/" + id + "/campaign"); a.code != 404 {
			t.Fatalf("other object: %d, want 404", a.code)
		}
	}
	if !shapes['['] || !shapes['{'] {
		t.Errorf("JSON results began with %v, want arrays and lines", shapes)
	}
	id := r.submitRows("n\n1\n", "")
	r.quiet()
	if a := r.get("/bulk/"+id+"/contact", "Accept: application/json"); string(a.body) != `{"n":"1"}` {
		t.Errorf("single row = %s, want the bare object", a.body)
	}
}

func TestJSONRowsAsCSV(t *testing.T) {
	r := start(t, simulator.Options{})
	r.submitRows(`[{"b":"x,y","a":1},{"c":[1]}]`, "")
	r.quiet()
	// The file is named rows.csv: its name wins over what is in it, so this is a bad header row.
	if got := r.Jobs()[0]; got.Records != 1 || got.Failed != 1 {
		t.Errorf("JSON named .csv gave %d rows, %d failed, want 1 and 1", got.Records, got.Failed)
	}
	body, kind := form("file", "rows.json", "[{\"b\":\"x,y\",\"a\":1},\n{\"c\":[1]}]")
	id := fmt.Sprint(number(t, r.call(http.MethodPost, "/bulk/contact", body, kind).body)["id"])
	r.ended()
	if got, want := string(r.get("/bulk/"+id+"/contact", "Accept: text/csv").body), "a,b,c\n1,\"x,y\",\n,,[1]\n"; got != want {
		t.Errorf("CSV of JSON rows = %q, want %q", got, want)
	}
}

func TestNoResultYetOrAfterFailureOrForEver(t *testing.T) {
	r := start(t, simulator.Options{TimeScale: 1, JobDuration: time.Hour})
	if a := r.get("/bulk/" + r.submit("") + "/contact"); a.code != 400 {
		t.Errorf("result of a running job: %d, want 400", a.code)
	}
	if a := r.get("/bulk/" + r.submit("callback=early,status=ABORTED") + "/contact"); a.code != 400 {
		t.Errorf("result of a failed job: %d, want 400", a.code)
	}
	r = start(t, simulator.Options{TimeScale: 1e-12})
	if a := r.get("/bulk/" + r.submit("callback=early") + "/contact"); a.code != 404 {
		t.Errorf("result after three days: %d, want 404", a.code)
	}
}
