package simulator_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"receiver/internal/simulator"
)

func TestQuery(t *testing.T) {
	r := start(t, simulator.Options{})
	q := "/bulk/query?q=" + url.QueryEscape("select id, C_EmailAddress from contact where a='b' limit 7")
	meta, kind := form("metaData", "", `{"callback-payload":{"k":1},"simulate":{"id":"string"}}`)
	a := r.call(http.MethodPost, q, meta, kind, "Elements-Async-Callback-Url: "+r.hook.url)
	r.quiet()
	body := number(t, r.hook.all()[0].body)
	if a.code != 200 || fmt.Sprint(body["recordsCount"]) != "7" || body["job_direction"] != "DOWNLOAD" || body["object_name"] != "contact" {
		t.Fatalf("query: %d %s, callback %v", a.code, a.body, body)
	}
	if got := string(r.Jobs()[0].Payload); got != `{"k":1}` {
		t.Errorf("payload = %s", got)
	}
	id := fmt.Sprint(body["id"])
	result := string(r.get("/bulk/" + id + "/contact").body)
	if !strings.HasPrefix(result, "id,C_EmailAddress\nid 1,contact1@example.com\n") {
		t.Errorf("result = %q", result)
	}
	ways := []struct {
		path, body, kind string
		want             int
	}{
		{"/bulk/query", `{"query":"select * from contact"}`, "application/json", 200},
		{"/bulk/query", "metaData=" + url.QueryEscape(`{"format":"json"}`) + "&x=1", "application/x-www-form-urlencoded", 400},
		{"/bulk/query?continueFromJobId=" + id, "", "", 200},
		{"/bulk/query?continueFromJobId=1", "", "", 400},
		{"/bulk/query?q=nonsense", "", "", 400},
		{"/bulk/query?q=select+*+from+nope", "", "", 404},
		{"/bulk/query?q=select+*+from+contact", "metaData={}", "application/x-www-form-urlencoded", 200},
	}
	for _, w := range ways {
		if a := r.call(http.MethodPost, w.path, strings.NewReader(w.body), "Content-Type: "+w.kind); a.code != w.want {
			t.Errorf("POST %s %s: %d %s, want %d", w.path, w.body, a.code, a.body, w.want)
		}
	}
	if a := r.call(http.MethodPost, "/bulk/query?q=nonsense", nil); !strings.Contains(string(a.body), "Error parsing query") {
		t.Errorf("malformed query: %s", a.body)
	}
}

func TestDownload(t *testing.T) {
	r := start(t, simulator.Options{Faults: simulator.Faults{ID: "string"}})
	ask := fmt.Sprintf(`{"objectName":"contact","format":"application/jsonl","limit":3,"selectFields":"C_FirstName","notificationUrl":%q}`, r.hook.url)
	a := r.call(http.MethodPost, "/hubs/marketing/bulk/download", strings.NewReader(ask), "Content-Type: application/json")
	r.quiet()
	if a.code != 200 || len(r.hook.all()) != 1 {
		t.Fatalf("download: %d %s, %d callbacks", a.code, a.body, len(r.hook.all()))
	}
	path := fmt.Sprintf("/bulk/%s/contact", a.object(t)["id"])
	if got := r.get(path, "Accept: application/jsonl"); strings.Count(string(got.body), "\n") != 3 {
		t.Errorf("result = %d %s, want 3 lines", got.code, got.body)
	}
	for _, accept := range []string{"text/csv", "application/json"} {
		if got := r.get(path, "Accept: "+accept); got.code != 400 {
			t.Errorf("result of a JSONL job as %s: %d, want 400", accept, got.code)
		}
	}
	for ask, want := range map[string]int{`{"objectName":"contact"}`: 400, `{"format":"text/csv"}`: 400, `[`: 400,
		`{"objectName":"nope","format":"txt/csv"}`: 404, `{"objectName":"contact","format":"txt/csv","limit":-1}`: 400,
		`{"objectName":"contact","format":"txt/csv","notificationUrl":"ftp://x"}`: 400} {
		if a := r.call(http.MethodPost, "/bulk/download", strings.NewReader(ask)); a.code != want {
			t.Errorf("download %s: %d %s, want %d", ask, a.code, a.body, want)
		}
	}
}
