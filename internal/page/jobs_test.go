package page_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/page"
	"receiver/internal/poll"
	"receiver/internal/submit"
)

// ledger stands for the operations on jobs. It answers for any job, and notes what it was asked.
type ledger struct {
	listed   []api.ListedJob
	next     string
	job      func(source, id string) (api.Job, *api.Problem)
	attempts api.JobAttempts
	rows     []poll.Row
	result   http.HandlerFunc
	refuse   *api.Problem // of changes
	asked    []string     // method, path and query, unescaped by part
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, known := tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	parts := strings.Split(r.URL.EscapedPath(), "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	switch {
	case !known:
		problem(w, api.Unauthorized.Problem("a bearer token is required"))
		return
	case r.URL.Path == "/v1/token":
		give(token)(w, r)
		return
	}
	note := r.Method + " " + strings.Join(parts[2:], "|")
	q := r.URL.Query()
	for name, values := range q {
		if strings.Join(values, "") == "" || values[0] == "false" || values[0] == "0" {
			delete(q, name)
		}
	}
	if len(q) > 0 {
		note += "?" + q.Encode()
	}
	if note != "GET status" { // which every view asks for
		l.asked = append(l.asked, note)
	}
	switch {
	case r.URL.Path == "/v1/jobs":
		l.list(w, r)
	case r.URL.Path == "/v1/jobs/counts":
		give(api.JobCounts{Complete: true, Counts: []joblist.Tally{{Source: "crm", State: "running", Jobs: 3}, {Source: "erp", State: "finished", Result: "partial", Jobs: 7}}})(w, r)
	case len(parts) < 6 || parts[2] != "sources" || parts[4] != "jobs":
		problem(w, api.NoSuchPath.Problem("there is nothing at %s", r.URL.Path))
	default:
		l.one(w, r, parts)
	}
}

func (l *ledger) list(w http.ResponseWriter, r *http.Request) {
	page := api.JobPage{Jobs: []api.ListedJob{}, Next: l.next, Complete: true}
	for _, j := range l.listed {
		if slices.Contains(r.URL.Query()["state"], string(j.State)) {
			page.Jobs = append(page.Jobs, j)
		}
	}
	give(page)(w, r)
}

func (l *ledger) one(w http.ResponseWriter, r *http.Request, parts []string) {
	what := strings.Join(parts[6:], "/")
	switch {
	case r.Method == http.MethodPost && l.refuse != nil:
		problem(w, l.refuse)
	case r.Method == http.MethodPost:
		give(struct{}{})(w, r)
	case what == "attempts":
		give(l.attempts)(w, r)
	case what == "errors":
		rows := append([]poll.Row{{Text: "row 3: <no> email"}, {Raw: []byte(`{"n":4}`)}}, l.rows...)
		give(api.RowErrors{From: "event", Errors: rows, Truncated: true})(w, r)
	case what == "status":
		give(submit.Status{ID: parts[5], Status: "STILL GOING"})(w, r)
	case what == "result":
		l.result(w, r)
	default:
		j, p := l.job(parts[3], parts[5])
		if p != nil {
			problem(w, p)
			return
		}
		give(j)(w, r)
	}
}

// running is a job that runs, submitted a minute ago.
func running(source, id string) (api.Job, *api.Problem) {
	now := time.Now()
	at := now.Add(-time.Minute)
	return api.Job{
		Source: source, View: job.View{ID: id, Object: "contact", Status: "RUNNING"}, State: "running", Expected: true, SubmittedAt: at,
		Due:     &api.Due{Expected: at.Add(10 * time.Minute), Overdue: at.Add(6 * time.Hour), Lost: at.Add(78 * time.Hour)},
		Watch:   &job.Watch{Next: now.Add(5 * time.Minute), Looks: 2},
		History: []joblist.Entry{{Sequence: 1, Kind: "submitted", Time: at, Evidence: "receiver", Status: "CREATED"}},
	}, nil
}

// finished is a job that ended three minutes after its submission.
func finished(source, id string) (api.Job, *api.Problem) {
	j, _ := running(source, id)
	end, records, failed := j.SubmittedAt.Add(3*time.Minute), int64(1200), int64(12)
	j.State, j.Due, j.Watch, j.FinishedAt, j.FilesUntil = "finished", nil, nil, end, end.Add(72*time.Hour)
	j.View.Result, j.View.Records, j.View.Failed, j.Errors = "partial", &records, &failed, &joblist.ErrorsEvent{Sequence: 9, Count: 12}
	j.History = append(j.History,
		joblist.Entry{Sequence: 8, Kind: "finished", Time: end, Evidence: "callback", Result: "partial", Status: "COMPLETED", Key: "2026", Remote: "192.0.2.7"},
		joblist.Entry{Sequence: 9, Kind: "errors", Time: end.Add(time.Second), Evidence: "poll"})
	return j, nil
}

// text is a page without its markup, with single blanks.
func text(markup string) string {
	return strings.Join(strings.Fields(html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(markup, " "))), " ")
}

// Each of the filters reaches both lists, those without an end from the oldest on, and the link to
// the next page keeps them.
func TestFiltersOfJobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query string
		want  []string // of the API, but for the counts
		links []string
	}{
		{"", []string{
			"GET jobs?limit=15&reverse=true&state=submitted&state=running&state=overdue&state=lost", "GET jobs?limit=25&state=finished&state=conflict",
		}, []string{"/jobs?open=more", "/jobs?done=more", "/jobs?state=running", "/jobs?result=partial"}},
		{"?source=crm&text=a%26b&since=24h&object=contact", []string{
			"GET jobs?limit=15&object=contact&reverse=true&since=24h&source=crm&state=submitted&state=running&state=overdue&state=lost&text=a%26b",
			"GET jobs?limit=25&object=contact&since=24h&source=crm&state=finished&state=conflict&text=a%26b",
		}, []string{"/jobs?object=contact&open=more&since=24h&source=crm&text=a%26b", "/jobs?object=contact&since=24h&source=crm&state=running&text=a%26b"}},
		{"?state=overdue", []string{"GET jobs?limit=15&reverse=true&state=overdue"}, []string{"/jobs?open=more&state=overdue"}},
		{"?state=conflict", []string{"GET jobs?limit=25&state=conflict"}, []string{"/jobs?done=more&state=conflict"}},
		{"?result=failed", []string{"GET jobs?limit=25&result=failed&state=finished&state=conflict"}, []string{"/jobs?done=more&result=failed"}},
		{"?open=o&done=d", []string{
			"GET jobs?cursor=o&limit=15&reverse=true&state=submitted&state=running&state=overdue&state=lost", "GET jobs?cursor=d&limit=25&state=finished&state=conflict",
		}, []string{"/jobs?done=d&open=more", "/jobs?done=more&open=o", "/jobs?done=d", "/jobs?open=o"}},
	} {
		l := &ledger{next: "more"}
		p := newPage(nil)
		p.API = l
		w := ask(t, p, http.MethodGet, "/jobs"+tt.query, "rcv_read", nil)
		if got := l.asked[1:]; w.Code != http.StatusOK || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %d, asked %q, want %q", tt.query, w.Code, got, tt.want)
		}
		for _, link := range tt.links {
			if !strings.Contains(w.Body.String(), `href="`+html.EscapeString(link)+`"`) {
				t.Errorf("%q: no link to %s in %s", tt.query, link, w.Body)
			}
		}
	}
}

// The age of a job is compared with when it should end.
func TestAgesOfJobs(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(minutes float64) time.Time { return now.Add(time.Duration(minutes * float64(time.Minute))) }
	due := func(expected, overdue, lost float64) *api.Due {
		return &api.Due{Expected: at(expected), Overdue: at(overdue), Lost: at(lost), NextPoll: at(4.5)}
	}
	for _, tt := range []struct {
		name string
		job  api.ListedJob
		want string
		part string
	}{
		{"young", api.ListedJob{State: "running", At: at(-4.01), Due: due(5.99, 355.9, 4675)}, "4 min of 10 min, overdue in 5 h", `width="20"`},
		{"longer than such jobs take", api.ListedJob{State: "submitted", At: at(-185), Due: due(-175, 175, 4495)}, "3 h, expected 10 min, overdue in 2 h", `width="75"`},
		{"overdue", api.ListedJob{State: "overdue", At: at(-600), Due: due(-590, -240, 4080)}, "10 h, overdue 4 h ago, given up in 2 days", `width="100"`},
		{"overdue with the next poll", api.ListedJob{State: "running", At: at(-361), Due: due(-351, -1, 4319)}, "6 h, overdue 60 s ago", `width="100"`},
		{"lost", api.ListedJob{State: "lost", At: at(-6000), ChangedAt: at(-1500)}, "lost 25 h ago, after 3 days", `width="100"`},
		{"not waited for", api.ListedJob{State: "running", At: at(-4.01)}, "4 min; not submitted here", ""},
		{"a clock that was ahead", api.ListedJob{State: "submitted", At: at(30), Due: due(40, 390, 4710)}, "0 s of", `width="0"`},
	} {
		tt.job.Source, tt.job.ID = "crm", "7"
		p := newPage(nil)
		p.API = &ledger{listed: []api.ListedJob{tt.job}}
		body := ask(t, p, http.MethodGet, "/jobs", "rcv_read", nil).Body.String()
		if !strings.Contains(text(body), tt.want) || !strings.Contains(body, tt.part) || (tt.part == "") == strings.Contains(body, "<svg") {
			t.Errorf("%s: %s, want %q and %s", tt.name, text(body), tt.want, tt.part)
		}
		if tt.job.Due != nil && !strings.Contains(text(body), "in 4 min") {
			t.Errorf("%s: no next poll in %s", tt.name, text(body))
		}
	}
}

func TestEndedJobsShowTheirRows(t *testing.T) {
	t.Parallel()
	n := func(n int64) *int64 { return &n }
	now := time.Now()
	for _, tt := range []struct {
		result          api.Result
		records, failed *int64
		want, part      string
	}{
		{"partial", n(1_200_000), n(300_000), "partial 300,000 of 1,200,000", `width="25"`},
		{"partial", n(1_200_000), n(1), "1 of 1,200,000", `width="2"`},
		{"succeeded", n(10), n(0), "succeeded none of 10", `width="0"`},
		{"failed", nil, n(3), "failed 3 failed", ""},
		{"failed", n(2), n(3), "3 of 2", `width="100"`},
		{"succeeded", n(999), nil, "999 rows", ""},
		{"unknown", nil, nil, "unknown", ""},
	} {
		p := newPage(nil)
		p.API = &ledger{listed: []api.ListedJob{{
			Source: "crm", ID: "7", State: "finished", Result: tt.result, Records: tt.records, Failed: tt.failed, Evidence: "poll", Expected: true,
			At: now.Add(-5 * time.Minute), FinishedAt: now.Add(-3 * time.Minute),
		}}}
		body := ask(t, p, http.MethodGet, "/jobs", "rcv_read", nil).Body.String()
		if !strings.Contains(text(body), tt.want) || !strings.Contains(body, tt.part) || (tt.part == "") == strings.Contains(body, "<svg") {
			t.Errorf("%s: %s, want %q and %s", tt.want, text(body), tt.want, tt.part)
		}
		if !strings.Contains(text(body), "3 min ago 2 min poll") {
			t.Errorf("%s: %s, want when it ended, after what, known by a poll", tt.want, text(body))
		}
	}
}

// hostileIDs are ids, and what a browser or a template might take them for.
var hostileIDs = []string{
	"7", "a/b", "/", "//evil.example/x", "a%2Fb", "100%", "%", "%2e%2e", ".", "..", "...", "....", "a.b", "../../signout", "-", "~", "a b", " ", "a?b=c", "a#b", "a&b=c;d",
	"a+b", `a\b`, `"><script>alert(1)</script>`, "'onmouseover=alert(1) x='", "javascript:alert(1)", "{{.}}", "poll", "result", "ä€😀", "\u202egnp.exe", "a\u200bb",
	strings.Repeat("9", 256), strings.Repeat("<", 256), strings.Repeat("\u202e", 85), strings.Repeat("x/", 128),
}

var jobLink = regexp.MustCompile(`<th scope="row"><a class="mono" href="([^"]*)"`)

// The link to a job comes back to the same job, whatever its id is, and so do its forms.
func TestLinksComeBackToTheJob(t *testing.T) {
	t.Parallel()
	for _, id := range hostileIDs {
		l := &ledger{listed: []api.ListedJob{{Source: "crm", ID: id, State: "running", At: time.Now()}}, job: running}
		p := newPage(nil)
		p.API = l
		list := ask(t, p, http.MethodGet, "/jobs", "rcv_all", nil).Body.String()
		link := jobLink.FindStringSubmatch(list)
		if link == nil {
			t.Errorf("%q: no link in %s", id, list)
			continue
		}
		address := html.UnescapeString(link[1])
		for part := range strings.SplitSeq(strings.SplitN(address, "?", 2)[0], "/") {
			if plain := strings.ReplaceAll(strings.ToLower(part), "%2e", "."); plain == "." || plain == ".." || part == "" && part != strings.Split(address, "/")[0] {
				t.Errorf("%q: a browser takes a part of %s for a direction", id, address)
			}
		}
		l.asked = nil
		w := ask(t, p, http.MethodGet, address, "rcv_all", nil)
		if want := "GET sources|crm|jobs|" + id; w.Code != http.StatusOK || len(l.asked) == 0 || l.asked[0] != want {
			t.Errorf("%q: %s = %d, asked %q, want %q", id, address, w.Code, l.asked, want)
			continue
		}
		form := regexp.MustCompile(`action="([^"]*/poll[^"]*)"`).FindStringSubmatch(w.Body.String())
		csrf := csrfField.FindStringSubmatch(w.Body.String())
		if form == nil || csrf == nil {
			t.Errorf("%q: no form in %s", id, w.Body)
			continue
		}
		l.asked = nil
		w = ask(t, p, http.MethodPost, html.UnescapeString(form[1]), "rcv_all", url.Values{"csrf": {csrf[1]}})
		if want := "POST sources|crm|jobs|" + id + "|poll"; w.Code != http.StatusSeeOther || !slices.Equal(l.asked, []string{want}) {
			t.Errorf("%q: POST %s = %d, asked %q, want %q", id, form[1], w.Code, l.asked, want)
		}
		l.asked = nil
		if w := ask(t, p, http.MethodGet, w.Header().Get("Location"), "rcv_all", nil); w.Code != http.StatusOK || l.asked[0] != "GET sources|crm|jobs|"+id || !strings.Contains(w.Body.String(), "is polled for this job next") {
			t.Errorf("%q: %d, asked %q, after the redirect to the job", id, w.Code, l.asked)
		}
	}
}

// Text of the platform and of attackers is shown inert, and a page of it is not large.
func TestHostileTextOfJobs(t *testing.T) {
	t.Parallel()
	raw := regexp.MustCompile("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\x00-\x08\x0b\x1b\x7f]|<script>|[\"'] on\\w+=|href=\"javascript")
	for _, text := range []string{"7", `"><script>alert(1)</script>`, "' onmouseover=alert(1) x='", "{{.}}", "\u202egnp.exe", "\u2066", "\x1b[2J\x00\x7f", "<", "&#39;", "x/"} {
		long := text
		for len(long) < 256 {
			long += text + " "
		}
		long = strings.ToValidUTF8(long[:256], "")
		now := time.Now()
		l := &ledger{next: "more", job: func(source, _ string) (api.Job, *api.Problem) {
			j, _ := finished(source, long)
			v := &j.View
			v.Status, v.Object, v.Direction, v.Error, v.Message, v.VendorJob, v.Submission = long, long, long, strings.Repeat(long, 16), long, long, long
			for i := range 200 {
				j.History = append(j.History, joblist.Entry{Sequence: uint64(i), Kind: "progress", Time: now, Status: long, Key: text, Remote: text, Evidence: "callback"})
			}
			return j, nil
		}}
		for i := range 50 {
			state := []api.State{"running", "finished"}[i%2]
			l.listed = append(l.listed, api.ListedJob{Source: "crm", ID: long, Object: long, Status: long, State: state, At: now})
		}
		for range 48 {
			l.rows = append(l.rows, poll.Row{Text: long})
		}
		for range 20 {
			l.attempts.Attempts = append(l.attempts.Attempts, api.JobAttempt{By: "body", Callback: auditlog.Entry{ID: "ATTEMPTS/7", Verdict: "refused", Reason: text, Remote: text, Received: now}})
		}
		l.result = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(strings.Repeat(`"`+strings.ReplaceAll(long, `"`, `""`)+`",`, 20)+"\n", 40))
		}
		p := newPage(nil)
		p.API = l
		for _, address := range []string{"/jobs?text=" + url.QueryEscape("x"), "/jobs/crm/7", "/jobs/crm/7?show=result"} {
			w := ask(t, p, http.MethodGet, address, "rcv_all", nil)
			if found := raw.FindString(w.Body.String()); w.Code != http.StatusOK || found != "" {
				t.Errorf("%q: %s = %d, and has %q", text, address, w.Code, found)
			}
			if n := w.Body.Len(); n > 100<<10 {
				t.Errorf("%q: %s has %d bytes", text, address, n)
			}
		}
	}
}

// Refused callbacks stand at their time between the events, for those who may see them.
func TestTimelineOfAJob(t *testing.T) {
	t.Parallel()
	j, _ := finished("crm", "7")
	l := &ledger{job: finished, attempts: api.JobAttempts{Next: "400", Unread: 2, Attempts: []api.JobAttempt{
		{By: "digest", Callback: auditlog.Entry{ID: "ATTEMPTS/3", Verdict: "refused", Reason: "mismatch", Remote: "192.0.2.8", Received: j.SubmittedAt.Add(2 * time.Minute)}},
		{By: "event", Callback: auditlog.Entry{ID: "ATTEMPTS/5", Verdict: "duplicate", Key: "2026", Received: j.FinishedAt.Add(time.Minute)}},
		{By: "body", Callback: auditlog.Entry{ID: "ATTEMPTS/6", Verdict: "refused", Reason: "missing", Received: j.FinishedAt.Add(2 * time.Minute)}},
	}}}
	p := newPage(nil)
	p.API = l
	inOrder := func(token string, want ...string) string {
		t.Helper()
		body := ask(t, p, http.MethodGet, "/jobs/crm/7", token, nil).Body.String()
		rest := text(body[strings.Index(body, `id="timeline"`):])
		for _, w := range want {
			_, after, found := strings.Cut(rest, w)
			if !found {
				t.Fatalf("as %s: no %q in %q of %s", token, w, rest, text(body))
			}
			rest = after
		}
		return body
	}
	body := inOrder("rcv_all", "submitted", "CREATED", "refused: mismatch", "the same bytes as an event", "from 192.0.2.8", "finished: partial", "COMPLETED", "by callback",
		"key 2026", "errors fetched", "12, by polling", "duplicate", "repeats an event", "refused: missing", "its body names the job, which anybody can write", "files gone from the platform", "in 3 days",
		"Later refused", "2 more callbacks", "row 3: <no> email", `{"n":4}`, "There are more")
	for _, link := range []string{"/callbacks/JOBS/8", "/evidence/JOBS/8", "/callbacks/ATTEMPTS/3", "/evidence/ATTEMPTS/3", "/jobs/crm/7?after=400"} {
		if !strings.Contains(body, `href="`+link+`"`) {
			t.Errorf("no link to %s", link)
		}
	}
	if strings.Contains(body, `action="/jobs/crm/7/cancel"`) {
		t.Error("a job that has ended can be cancelled")
	}
	l.asked = nil
	body = inOrder("rcv_read", "submitted", "finished: partial", "A token with the scope audit also sees")
	if strings.Contains(body, "refused:") || strings.Contains(body, "/evidence/") || slices.ContainsFunc(l.asked, func(s string) bool { return strings.Contains(s, "attempts") }) {
		t.Errorf("a token without audit is shown attempts, or they were asked for: %q", l.asked)
	}
	l.job = running
	inOrder("rcv_read", "submitted", "next poll in 4 min", "expected to end in 8 min", "overdue in 5 h", "given up in 3 days")
}

// The view offers no change that the token does not open, and the API decides anyway.
func TestChangesOfAJob(t *testing.T) {
	t.Parallel()
	tokens := map[string][]access.Scope{"rcv_read": {access.Read}, "rcv_all": access.Scopes}
	for token, scopes := range tokens {
		l := &ledger{job: running, attempts: api.JobAttempts{Attempts: []api.JobAttempt{{By: "body", Callback: auditlog.Entry{ID: "ATTEMPTS/3", Verdict: "quarantined"}}}}}
		p := newPage(nil)
		p.API = l
		body := ask(t, p, http.MethodGet, "/jobs/crm/7", token, nil).Body.String()
		for action, scope := range map[string]access.Scope{"poll": access.Submit, "cancel": access.Submit, "replay": access.Admin, "release": access.Admin} {
			if offered := strings.Contains(body, `action="/jobs/crm/7/`+action+`"`); offered != slices.Contains(scopes, scope) {
				t.Errorf("%s as %s: offered %v", action, token, offered)
			}
		}
	}
	l := &ledger{job: running}
	p := newPage(nil)
	p.API = l
	csrf := csrfField.FindStringSubmatch(ask(t, p, http.MethodGet, "/jobs/crm/7", "rcv_all", nil).Body.String())[1]
	for action, want := range map[string]string{
		"poll": "reason=it+is+late", "cancel": "reason=it+is+late", "release": "reason=it+is+late", "replay": "kind=submitted&reason=it+is+late",
	} {
		form := url.Values{"csrf": {csrf}, "reason": {"it is late"}, "kind": {"submitted"}}
		l.asked, l.refuse = nil, nil
		w := ask(t, p, http.MethodPost, "/jobs/crm/7/"+action, "rcv_all", form)
		if !slices.Equal(l.asked, []string{"POST sources|crm|jobs|7|" + action + "?" + want}) || w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/jobs/crm/7?done="+action {
			t.Errorf("%s: asked %q, %d %s", action, l.asked, w.Code, w.Header().Get("Location"))
		}
		l.refuse = api.AlreadyEnded.Problem("job 7 ended <early>")
		if w := ask(t, p, http.MethodPost, "/jobs/crm/7/"+action, "rcv_all", form); w.Code != http.StatusConflict || !strings.Contains(text(w.Body.String()), "Job 7 job 7 ended <early>") {
			t.Errorf("%s of a job that has ended: %d %s", action, w.Code, text(w.Body.String()))
		}
		form.Set("csrf", "x")
		l.asked, l.refuse = nil, nil
		if w := ask(t, p, http.MethodPost, "/jobs/crm/7/"+action, "rcv_all", form); w.Code != http.StatusForbidden || len(l.asked) > 0 {
			t.Errorf("%s without the form's token: %d, asked %q", action, w.Code, l.asked)
		}
	}
	l.asked = nil
	if w := ask(t, p, http.MethodPost, "/jobs/crm/7/destroy", "rcv_all", url.Values{"csrf": {csrf}}); w.Code != http.StatusNotFound || slices.ContainsFunc(l.asked, func(s string) bool { return strings.HasPrefix(s, "POST") }) {
		t.Errorf("an action that there is not: %d, asked %q", w.Code, l.asked)
	}
	if body := ask(t, p, http.MethodGet, "/jobs/crm/7?done=pay+now", "rcv_all", nil).Body.String(); strings.Contains(body, "pay now") {
		t.Error("the page says what an address has it say")
	}
}

// Of a job that is not recorded here, what is known is shown: quarantined callbacks, and a way to
// release them.
func TestAJobThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	l := &ledger{
		job: func(_, id string) (api.Job, *api.Problem) {
			return api.Job{}, api.UnknownJob.Problem("job %q is not recorded here", id)
		},
		attempts: api.JobAttempts{Attempts: []api.JobAttempt{{By: "body", Callback: auditlog.Entry{ID: "ATTEMPTS/3", Verdict: "quarantined", Received: time.Now()}}}},
	}
	p := newPage(nil)
	p.API = l
	w := ask(t, p, http.MethodGet, "/jobs/crm/"+strings.Repeat("x", 1000), "rcv_all", nil)
	if body := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(text(body), "quarantined") || !strings.Contains(body, `/release"`) || strings.Contains(body, `/poll"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	l.job = func(string, string) (api.Job, *api.Problem) {
		return api.Job{}, api.Unavailable.Problem("NATS is away")
	}
	if w := ask(t, p, http.MethodGet, "/jobs/crm/7", "rcv_all", nil); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "NATS is away") {
		t.Errorf("without NATS: %d %s", w.Code, text(w.Body.String()))
	}
	if w := ask(t, p, http.MethodGet, "/jobs/%2E%2E/counts", "rcv_all", nil); w.Code != http.StatusNotFound {
		t.Errorf("a source of dots: %d", w.Code)
	}
}

// The platform is asked only on demand, and of a result only the beginning is read.
func TestWhatThePlatformHasOfAJob(t *testing.T) {
	t.Parallel()
	cut := make(chan error, 1)
	l := &ledger{job: running, result: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		_, _ = io.WriteString(w, "email,name\n")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "%d@example.com,\"a, b\"\n", i); err != nil {
				cut <- err
				return
			}
		}
	}}
	p := newPage(nil)
	p.API = l
	ask(t, p, http.MethodGet, "/jobs/crm/7", "rcv_all", nil)
	if slices.ContainsFunc(l.asked, func(s string) bool {
		return strings.HasSuffix(s, "|status") || strings.Contains(s, "|result") || strings.Contains(s, "|errors")
	}) {
		t.Errorf("the view asks the platform: %q", l.asked)
	}
	body := text(ask(t, p, http.MethodGet, "/jobs/crm/7?show=result", "rcv_all", nil).Body.String())
	if !strings.Contains(body, "email name 0@example.com a, b") || !strings.Contains(body, "19@example.com a, b 20 rows") {
		t.Errorf("preview: %s", body)
	}
	if err := <-cut; err == nil {
		t.Error("the result is read to its end")
	}
	l.result = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "a\n"+strings.Repeat("x", 70_000)+"\nlast")
	}
	if body := text(ask(t, p, http.MethodGet, "/jobs/crm/7?show=result", "rcv_all", nil).Body.String()); strings.Contains(body, "xxx") {
		t.Errorf("a part of a row is shown: %s", body)
	}
	if body := text(ask(t, p, http.MethodGet, "/jobs/crm/7?show=status", "rcv_all", nil).Body.String()); !strings.Contains(body, "STILL GOING by the platform just now") {
		t.Errorf("status: %s", body)
	}
	if body := text(ask(t, p, http.MethodGet, "/jobs/crm/7?show=errors", "rcv_all", nil).Body.String()); !strings.Contains(body, "row 3: <no> email") || !slices.Contains(l.asked, "GET sources|crm|jobs|7|errors?limit=50&platform=true") {
		t.Errorf("errors: %s, asked %q", body, l.asked)
	}
	l.result = func(w http.ResponseWriter, _ *http.Request) {
		problem(w, api.UnknownAtPlatform.Problem("it has no <job> 7"))
	}
	if w := ask(t, p, http.MethodGet, "/jobs/crm/7?show=result", "rcv_all", nil); w.Code != http.StatusOK || !strings.Contains(text(w.Body.String()), "it has no <job> 7") {
		t.Errorf("no result: %d %s", w.Code, text(w.Body.String()))
	}
}

// A result is passed on as it comes, as a file; one that breaks off is cut.
func TestTheResultAsAFile(t *testing.T) {
	t.Parallel()
	with := func(result http.HandlerFunc) (*ledger, *page.Page) {
		l := &ledger{job: running, result: result}
		p := newPage(nil)
		p.API = l
		return l, p
	}
	l, p := with(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[1,2]") })
	w := ask(t, p, http.MethodGet, "/jobs/crm/a%2F%22b/result?format=json&object=contact", "rcv_read", nil)
	if w.Body.String() != "[1,2]" || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Disposition") != `attachment; filename=crm-a__b.json` {
		t.Errorf("%s %v", w.Body, w.Header())
	}
	if !slices.Contains(l.asked, `GET sources|crm|jobs|a/"b|result?format=json&object=contact`) {
		t.Errorf("asked %q", l.asked)
	}
	_, p = with(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "[1,2]")
		panic(http.ErrAbortHandler)
	})
	server := httptest.NewServer(p)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/jobs/crm/7/result", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(server.URL)
	r.AddCookie(&http.Cookie{Name: "receiver-" + u.Port(), Value: "rcv_read"})
	got, err := server.Client().Do(r)
	if err == nil {
		_, err = io.ReadAll(got.Body)
		_ = got.Body.Close()
	}
	if err == nil {
		t.Error("the beginning of a result looks like the whole")
	}
	_, p = with(func(w http.ResponseWriter, _ *http.Request) { problem(w, api.BadRequest.Problem("name its object")) })
	if w := ask(t, p, http.MethodGet, "/jobs/crm/7/result", "rcv_read", nil); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "name its object") || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("no result: %d %s", w.Code, text(w.Body.String()))
	}
}
