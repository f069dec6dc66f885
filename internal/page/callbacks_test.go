package page_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/service/records"
)

var received = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// refused is a callback that was refused, with text of a stranger in it.
func refused(n int) api.Callback {
	return api.Callback{
		ID: fmt.Sprintf("ATTEMPTS/%d", n), Stream: "ATTEMPTS", Sequence: uint64(n), Received: received, Stored: received, Source: "crm", Verdict: "refused",
		Reason: "mismatch", Remote: "192.0.2.7", Size: 30, Body: strings.Repeat("ab", 32), Signature: "sha256=x",
	}
}

// trail answers GET /v1/callbacks with pages, by the parameter after, and notes what was asked.
func trail(asked *[]url.Values, pages map[string]api.CallbackPage) operations {
	return operations{"GET /v1/callbacks": func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for name, values := range q {
			if values[0] == "" || values[0] == "false" {
				delete(q, name) // as if it was not there
			}
		}
		*asked = append(*asked, q)
		give(pages[r.URL.Query().Get("after")])(w, r)
	}}
}

// hrefs are the addresses that a page links to.
func hrefs(body string) (all []string) {
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

func TestSearchOfCallbacks(t *testing.T) {
	t.Parallel()
	var asked []url.Values
	hostile := refused(3)
	hostile.Source, hostile.Claimed, hostile.Job, hostile.Remote = "_", "<script>\u202e", "a/../b", "\x1b[2J"
	accepted := refused(9)
	accepted.ID, accepted.Stream, accepted.Verdict, accepted.Reason, accepted.Job, accepted.Key = "JOBS/9", "JOBS", "accepted", "", "4/2 1", "first"
	p := newPage(trail(&asked, map[string]api.CallbackPage{
		"":          {Callbacks: []api.Callback{accepted}, Next: "JOBS-9.X", Reached: received},
		"JOBS-9.X":  {Callbacks: []api.Callback{}, Next: "JOBS-5.X", Reached: received}, // one that found nothing
		"JOBS-5.X":  {Callbacks: []api.Callback{hostile}},
		"JOBS-1.X":  {Callbacks: slices.Repeat([]api.Callback{refused(1)}, 50), Next: "JOBS-0.X", Reached: received},
		"JOBS-99.X": {Callbacks: []api.Callback{}, Older: api.OlderRecords{Records: 7, Since: received}},
	}))
	search := "since=2026-11-23T12%3A00%3A00Z&until=2026-11-23T12%3A01%3A00Z&source=crm&verdict=refused&verdict=duplicate&reason=+mismatch+&address=192.0.2.0%2F24&key=first&job=4%2F2+1&body=ab"
	w := ask(t, p, http.MethodGet, "/callbacks?"+search, "rcv_audit", nil)
	body := w.Body.String()
	if w.Code != http.StatusOK || len(asked) != 3 {
		t.Fatalf("= %d after %d requests, want 3: %s", w.Code, len(asked), body)
	}
	want := url.Values{
		"since": {"2026-11-23T12:00:00Z"}, "until": {"2026-11-23T12:01:00Z"}, "source": {"crm"}, "verdict": {"refused", "duplicate"}, "reason": {"mismatch"},
		"address": {"192.0.2.0/24"}, "key": {"first"}, "job": {"4/2 1"}, "body": {"ab"}, "reverse": {"true"}, "limit": {"50"},
	}
	if asked[0].Encode() != want.Encode() || asked[2].Get("limit") != "49" {
		t.Errorf("asked %v, then %v, want %v", asked[0], asked[2], want)
	}
	for _, text := range []string{
		`value="2026-11-23T12:00:00Z"`, `<option value="refused" selected>`, `<input type="hidden" name="verdict" value="duplicate">`, `value="4/2 1"`, // what was typed
		`<span class="tag good">accepted</span>`, `<span class="tag bad">refused</span>`, `<span class="why">mismatch</span>`, "unknown: &lt;script&gt;", "12:00:00 UTC",
	} {
		if !strings.Contains(body, text) {
			t.Errorf("the view lacks %s:\n%s", text, body)
		}
	}
	if strings.ContainsAny(body, "\u202e\x1b") || strings.Contains(body, "<script>") {
		t.Error("text from outside is not inert")
	}
	links := hrefs(body)
	for _, link := range []string{"/callbacks/JOBS/9", "/callbacks/ATTEMPTS/3", "/callbacks/export?address=192.0.2.0%2F24&body=ab&format=csv&"} {
		if !slices.ContainsFunc(links, func(l string) bool { return strings.HasPrefix(l, link) }) {
			t.Errorf("no link to %s among %q", link, links)
		}
	}
	if slices.ContainsFunc(links, func(l string) bool { return strings.HasPrefix(l, "/jobs/") }) {
		t.Error("an auditor is sent to a job, which needs the scope read")
	}
	if links := hrefs(ask(t, p, http.MethodGet, "/callbacks", "rcv_all", nil).Body.String()); !slices.Contains(links, "/jobs/crm/4%2F2%201") {
		t.Errorf("an operator has no link to the job: %q", links)
	}
	links = hrefs(ask(t, p, http.MethodGet, "/callbacks?after=JOBS-1.X&job=", "rcv_audit", nil).Body.String())
	if !slices.Contains(links, "/callbacks?after=JOBS-0.X") || !slices.Contains(links, "/callbacks") {
		t.Errorf("a full page links to %q, want the next one and the newest", links)
	}
	body = ask(t, p, http.MethodGet, "/callbacks?after=JOBS-99.X", "rcv_audit", nil).Body.String()
	if !strings.Contains(body, "Nothing found.") || !slices.Contains(hrefs(body), "/callbacks?since=all") || !strings.Contains(body, "7 records") {
		t.Errorf("an empty page: %s", body)
	}
}

// A refusal by the API stands beside the form, which keeps what was typed.
func TestASearchThatIsNone(t *testing.T) {
	t.Parallel()
	p := newPage(operations{"GET /v1/callbacks": func(w http.ResponseWriter, _ *http.Request) {
		problem(w, api.BadRequest.Problem(`reason "mis<b>" is unknown; known: missing`))
	}})
	for _, address := range []string{"/callbacks?reason=mis%3Cb%3E&job=7&verdict=none", "/actions?operator=7&action=none&since=mis%3Cb%3E"} {
		w := ask(t, p, http.MethodGet, address, "rcv_audit", nil)
		body := w.Body.String()
		if w.Code != http.StatusBadRequest || !strings.Contains(body, `role="alert">reason &#34;mis&lt;b&gt;&#34; is unknown`) {
			t.Errorf("%s = %d %s", address, w.Code, body)
		}
		for _, text := range []string{`value="mis&lt;b&gt;"`, `value="7"`, `<option value="none" selected>`} {
			if !strings.Contains(body, text) {
				t.Errorf("%s: the form lost %s", address, text)
			}
		}
	}
}

// The form offers the words that the API knows.
func TestWordsOfTheSearch(t *testing.T) {
	t.Parallel()
	var asked []url.Values
	body := ask(t, newPage(trail(&asked, nil)), http.MethodGet, "/callbacks", "rcv_audit", nil).Body.String()
	var got []string
	for _, m := range regexp.MustCompile(`<option value="([a-z_]+)"`).FindAllStringSubmatch(body, -1) {
		got = append(got, m[1])
	}
	if want := slices.Concat(records.Verdicts, records.Reasons); !slices.Equal(got, want) {
		t.Errorf("the form offers %v, want %v", got, want)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	var asked []url.Values
	formula := refused(2)
	formula.Source, formula.Claimed = "_", "=HYPERLINK(1)"
	p := newPage(trail(&asked, map[string]api.CallbackPage{
		"": {Callbacks: []api.Callback{refused(3)}, Next: "X-3"}, "X-3": {Callbacks: []api.Callback{formula}, Next: "X-2"}, "X-2": {Callbacks: []api.Callback{refused(1)}},
	}))
	w := ask(t, p, http.MethodGet, "/callbacks/export?format=csv&since=all&verdict=refused&after=X-2", "rcv_audit", nil)
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 4 || rows[2][4] != "'=HYPERLINK(1)" || rows[3][0] != "ATTEMPTS/1" || len(asked) != 3 {
		t.Errorf("CSV = %q, %v after %d requests", rows, err, len(asked))
	}
	if asked[0].Encode() != "limit=1000&reverse=true&since=all&verdict=refused" {
		t.Errorf("asked %v", asked[0])
	}
	if h := w.Header(); h.Get("Content-Type") != "text/csv; charset=utf-8" || h.Get("Content-Disposition") != `attachment; filename="callbacks.csv"` {
		t.Errorf("headers %v", h)
	}
	w = ask(t, p, http.MethodGet, "/callbacks/export?format=jsonl", "rcv_audit", nil)
	if lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[2], `{"id":"ATTEMPTS/1",`) {
		t.Errorf("JSON lines = %s", w.Body)
	}
	if w = ask(t, p, http.MethodGet, "/callbacks/export?format=exe", "rcv_audit", nil); w.Code != http.StatusBadRequest || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("another format = %d %v", w.Code, w.Header())
	}
}

// A file that does not have all says so: by its last line, or by an end that is none.
func TestAnExportIsWholeOrSaysSo(t *testing.T) {
	t.Parallel()
	var asked []url.Values
	endless := api.CallbackPage{Callbacks: slices.Repeat([]api.Callback{{ID: "A/1", Size: -1}}, 1000), Next: "X"}
	p := newPage(trail(&asked, map[string]api.CallbackPage{"": endless, "X": endless}))
	p.ExportAtMost(2500)
	w := ask(t, p, http.MethodGet, "/callbacks/export?format=csv", "rcv_audit", nil)
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 2502 || !strings.HasPrefix(rows[2501][0], "the file ends after 2500 records") {
		t.Errorf("%d rows, %v, the last %q", len(rows), err, rows[len(rows)-1])
	}
	broken := newPage(operations{"GET /v1/callbacks": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "" {
			problem(w, api.Unavailable.Problem("NATS is away"))
			return
		}
		give(api.CallbackPage{Callbacks: []api.Callback{refused(1)}, Next: "X"})(w, r)
	}})
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("an export that breaks off ends with %v, want that the connection is cut", err)
		}
	}()
	ask(t, broken, http.MethodGet, "/callbacks/export?format=csv", "rcv_audit", nil)
}

// A callback that comes to this listener by mistake is the API's, which counts it.
func TestAMisplacedCallbackIsNotOfThePage(t *testing.T) {
	t.Parallel()
	var got []string
	p := newPage(nil)
	p.API = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { got = append(got, r.Method+" "+r.URL.Path) })
	for _, path := range []string{"/callbacks/crm", "/callbacks/crm/token"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	if !slices.Equal(got, []string{"POST /callbacks/crm", "POST /callbacks/crm/token"}) {
		t.Errorf("the API got %q", got)
	}
}

// A list is at most 100 KiB, whatever is in its records.
func TestListsAreSmall(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat(`"`, 256), strings.Repeat("\u202e", 85)} {
		job, nowhere := refused(1), refused(2)
		job.Verdict, job.Source, job.Job = "duplicate", "a-source-with-a-long-name", text
		nowhere.Source, nowhere.Claimed = "_", strings.Repeat(text, 4)
		details, err := json.Marshal(map[string]any{"text": strings.Repeat(text, 9), "list": slices.Repeat([]string{text}, 20), "job": text, "source": text, text: text})
		if err != nil {
			t.Fatal(err)
		}
		done := action("release", strings.Repeat(text, 4), strings.Repeat(text, 4), string(details))
		for address, r := range map[string]api.Callback{"/callbacks?job=1": job, "/callbacks?job=2": nowhere, "/actions": done} {
			var asked []url.Values
			p := newPage(trail(&asked, map[string]api.CallbackPage{"": {Callbacks: slices.Repeat([]api.Callback{r}, 50), Next: "X"}}))
			w := ask(t, p, http.MethodGet, address, "rcv_all", nil)
			if w.Code != http.StatusOK || w.Body.Len() > 100<<10 {
				t.Errorf("%s with %.8q: %d, %d bytes", address, text, w.Code, w.Body.Len())
			}
		}
	}
}
