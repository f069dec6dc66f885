package simulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

func TestAuthorization(t *testing.T) {
	full := simulator.Options{Element: "el+/=", User: "us=", Organization: "org"}
	bare := simulator.Options{Element: "el", User: "us"}
	tests := []struct {
		o     simulator.Options
		value string
		want  int
	}{
		{bare, "Element el, User us", 200},
		{bare, "User us,Element el", 200},
		{bare, "Element el, User us, Organization whatever", 200},
		{full, "User us=, Organization org, Element el+/=", 200},
		{full, "Element el+/=, User us=", 401},
		{full, "Element el+/=, User us=, Organization other", 401},
		{bare, "", 401},
		{bare, "Element el", 401},
		{bare, "Element el, User other", 401},
		{bare, "Element: el, User us", 401},
		{bare, "Element el, User us, Element el", 401},
		{bare, "Bearer el", 401},
		{simulator.Options{}, "Element , User ", 401},
	}
	for _, tt := range tests {
		r := start(t, tt.o)
		r.auth = tt.value
		a := r.get("/objects")
		if a.code != tt.want {
			t.Errorf("Authorization %q: %d, want %d", tt.value, a.code, tt.want)
		}
		if a.code == 401 && a.object(t)["message"] == nil {
			t.Errorf("Authorization %q: %s, want the platform's error body", tt.value, a.body)
		}
	}
}

func TestCredentials(t *testing.T) {
	a, b := start(t, simulator.Options{}).Credentials(), start(t, simulator.Options{}).Credentials()
	if a.Element == "" || a.User == "" || a.Element == b.Element || a.Element == a.User {
		t.Error("made up credentials are empty or not random")
	}
	if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, a.Element) {
		t.Errorf("credentials print as %s", text)
	}
}

func TestObjects(t *testing.T) {
	r := start(t, simulator.Options{Hub: "crm", Objects: []string{"contact", "lead"}})
	var names []string
	for _, path := range []string{"/objects", "/hubs/crm/objects"} {
		if a := r.get(path); json.Unmarshal(a.body, &names) != nil || !slices.Equal(names, []string{"contact", "lead"}) {
			t.Errorf("GET %s: %d %s", path, a.code, a.body)
		}
	}
	var rows []struct{ Name, VendorName, Type string }
	a := r.get("/objects", "Elements-Version: Helium")
	if err := json.Unmarshal(a.body, &rows); err != nil || len(rows) != 2 || rows[1].Name != "lead" || rows[1].Type == "" {
		t.Errorf("Helium objects: %s (%v)", a.body, err)
	}
	var meta struct {
		Fields []struct{ Type, VendorPath string }
	}
	a = r.get("/objects/contact/metadata")
	if err := json.Unmarshal(a.body, &meta); err != nil || len(meta.Fields) == 0 || meta.Fields[0].VendorPath != "C_EmailAddress" {
		t.Errorf("metadata: %s (%v)", a.body, err)
	}
	if !strings.Contains(a.header.Get("Server"), "TEST") {
		t.Errorf("Server = %q, want it to say TEST", a.header.Get("Server"))
	}
}

func TestWrongWays(t *testing.T) {
	r := start(t, simulator.Options{})
	tests := []struct {
		method, path string
		want         int
	}{
		{"GET", "/nope", 404}, {"GET", "/hubs/other/objects", 404}, {"GET", "/hubs/marketing", 404}, {"GET", "/objects/nope/metadata", 404},
		{"GET", "/bulk/1/status", 404}, {"GET", "/bulk/1/errors", 404}, {"GET", "/bulk/1/contact", 404}, {"PUT", "/bulk/1/cancel", 404},
		{"DELETE", "/objects", 405}, {"POST", "/bulk/1/status", 405}, {"GET", "/bulk/1/cancel", 404},
		{"GET", "/bulk/jobs?pageSize=0", 400}, {"GET", "/bulk/jobs?nextPage=x", 400}, {"GET", "/bulk/jobs?where=x", 400},
	}
	for _, tt := range tests {
		a := r.call(tt.method, tt.path, nil)
		if a.code != tt.want || a.object(t)["requestId"] == nil {
			t.Errorf("%s %s: %d %s, want %d in the platform's shape", tt.method, tt.path, a.code, a.body, tt.want)
		}
		if a.code == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
	}
}

func TestLifecycle(t *testing.T) {
	r := start(t, simulator.Options{TimeScale: 1, JobDuration: 200 * time.Millisecond})
	id := r.submit("")
	var seen []string
	for !slices.Contains(seen, "COMPLETED") {
		status := fmt.Sprint(r.get("/hubs/marketing/bulk/" + id + "/status").object(t)["status"])
		if len(seen) == 0 || seen[len(seen)-1] != status {
			seen = append(seen, status)
		}
	}
	if want := []string{"CREATED", "STARTED", "RUNNING", "COMPLETED"}; !slices.Equal(seen, want) {
		t.Errorf("statuses = %v, want %v", seen, want)
	}
	job := r.Jobs()[0]
	if took := job.Finished.Sub(job.Created); took < 200*time.Millisecond || !job.Done {
		t.Errorf("job took %v, want 200ms at least: %+v", took, job)
	}
}

func TestCancel(t *testing.T) {
	r := start(t, simulator.Options{TimeScale: 1, JobDuration: time.Second})
	id := r.submit("")
	if got := r.call(http.MethodPut, "/bulk/"+id+"/cancel", nil).object(t)["status"]; got != "CANCELLATION_PENDING" {
		t.Errorf("cancel says %v, want CANCELLATION_PENDING", got)
	}
	r.quiet()
	if got := r.get("/bulk/" + id + "/status").object(t)["status"]; got != "CANCELLED" {
		t.Errorf("status is %v, want CANCELLED", got)
	}
	if got := r.hook.all()[0].status(t); got != "CANCELLED" {
		t.Errorf("callback says %v, want CANCELLED", got)
	}
	if got := r.call(http.MethodPut, "/bulk/"+id+"/cancel", nil).object(t)["status"]; got != "CANCELLED" {
		t.Errorf("second cancel says %v, want CANCELLED", got)
	}
}

func TestJobsList(t *testing.T) {
	r := start(t, simulator.Options{})
	var ids []string
	for range 9 {
		ids = append(ids, r.submit(""))
	}
	r.submit("status=ABORTED")
	r.quiet()
	idNames, found := map[string]bool{}, []string{}
	for next := ""; ; {
		a := r.get("/bulk/jobs?pageSize=4&nextPage=" + next + "&where=" + url.QueryEscape("job_status='COMPLETED' and record_count=3"))
		var rows []map[string]json.RawMessage
		if err := json.Unmarshal(a.body, &rows); err != nil {
			t.Fatalf("jobs: %d %s", a.code, a.body)
		}
		for _, row := range rows {
			for _, name := range []string{"id", "job_id"} {
				if id, ok := row[name]; ok {
					idNames[name] = true
					found = append(found, strings.Trim(string(id), `"`))
				}
			}
			if want := fmt.Sprintf("%q", r.hook.url); string(row["notification_url"]) != want {
				t.Errorf("notification_url = %s, want %s", row["notification_url"], want)
			}
		}
		if next = a.header.Get("elements-next-page-token"); next == "" {
			break
		}
	}
	slices.Reverse(ids)
	if !slices.Equal(found, ids) || len(idNames) != 2 {
		t.Errorf("found %v under %v, want %v, newest first, under id and job_id", found, idNames, ids)
	}
}

// Errors vary in the order of their keys, as the platform's own samples do.
func TestErrorKeysVary(t *testing.T) {
	r := start(t, simulator.Options{})
	first := map[bool]bool{}
	for range 40 {
		body := string(r.get("/bulk/0/status").body)
		first[strings.Index(body, `"requestId"`) < strings.Index(body, `"message"`)] = true
	}
	if len(first) != 2 {
		t.Error("requestId and message always came in one order")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	r := start(t, simulator.Options{TimeScale: 1, JobDuration: time.Hour})
	r.hook.answers(func(int, callback) int { return 500 })
	r.submit("")
	r.submit("callback=early")          // now waiting 8 s for its retry
	r.submit("callback=late:24h")       // not yet ended
	r.submit("callback=early,slow=1ms") // nothing left of it
	if err := r.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	before := len(r.Deliveries())
	if a := r.get("/objects"); a.code != http.StatusServiceUnavailable {
		t.Errorf("after Close: %d, want 503", a.code)
	}
	if err := r.Close(); err != nil || len(r.Deliveries()) != before {
		t.Errorf("second Close() = %v, deliveries %d, want %d", err, len(r.Deliveries()), before)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	r := start(t, simulator.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := r.Wait(ctx, func(s simulator.Stats) bool { return s.Jobs == 1 }); err == nil || !strings.Contains(err.Error(), "Jobs:0") {
		t.Errorf("Wait = %v, want an error with the counts", err)
	}
}
