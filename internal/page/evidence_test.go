package page_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/auditlog/report"
)

var at = time.Date(2026, 12, 1, 2, 0, 0, 0, time.UTC)

// readable is what a reader sees of a page, in one line.
func readable(page string) string {
	_, main, _ := strings.Cut(page, "<main")
	shown := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(main, " ")
	shown = strings.Join(strings.Fields(html.UnescapeString(shown)), " ")
	return strings.NewReplacer(" ,", ",", " .", ".").Replace(shown)
}

// The sentence about a log says intact only of what was checked, and by whose word.
func TestTheSentenceAboutALog(t *testing.T) {
	t.Parallel()
	intact := api.LogCheck{Time: at, Ok: true, Size: 28, Records: 28}
	faulty := api.LogCheck{Time: at, Size: 28, Faults: []api.LogFault{{Stream: "JOBS", Sequence: 7, Kind: "changed", Detail: hostile}}, Omitted: 2}
	two := []api.WitnessedSize{{Witness: "w1", Size: 28, Time: at}, {Witness: "w2", Size: 28, Time: at}}
	sealed := api.Checkpoint{Size: 30}
	const when = ", checked 2026-12-01 02:00:00 UTC by this receiver, "
	for _, row := range []struct {
		name, word, class, want string
		log                     api.Log
	}{
		{"cosigned by all", "intact", "good", "Intact up to record 28" + when + "cosigned by 2 witnesses.", api.Log{Checkpoint: sealed, Check: intact, Witnesses: two}},
		{"cosigned by some", "intact", "good", "cosigned by 1 of 2 witnesses.", api.Log{Checkpoint: sealed, Check: intact, Witnesses: []api.WitnessedSize{two[0], {Witness: "w2"}}}},
		{"cosigned in part", "intact", "good", "cosigned by 1 witness up to record 20.", api.Log{Checkpoint: sealed, Check: intact, Witnesses: []api.WitnessedSize{{Witness: "w1", Size: 20, Time: at}}}},
		{"cosigned by none", "intact", "good", "cosigned by 0 of 1 witnesses.", api.Log{Checkpoint: sealed, Check: intact, Witnesses: []api.WitnessedSize{{Witness: "w1"}}}},
		{"no witness", "intact", "good", "Intact up to record 28" + when + "no witness is configured.", api.Log{Checkpoint: sealed, Check: intact}},
		{"empty", "intact", "good", "Intact, and empty" + when, api.Log{Check: api.LogCheck{Time: at, Ok: true}}},
		{"faults", "not intact", "bad", "Not intact: 3 faults" + when, api.Log{Checkpoint: sealed, Check: faulty, Witnesses: two}},
		{"nothing proved", "not proved", "bad", "Nothing of it is proved" + when, api.Log{Checkpoint: sealed, Check: api.LogCheck{Time: at, Size: 28}}},
		{"a fork after the check", "fork", "bad", "It contradicts itself, and is sealed no more" + when, api.Log{Checkpoint: sealed, Check: intact, Fork: true}},
		{"a bad checkpoint", "damaged", "bad", "Its newest checkpoint cannot be believed: it is wrong", api.Log{Damage: "it is wrong"}},
		{"never checked", "not checked", "mixed", "Sealed up to record 30, not checked, cosigned by 2 witnesses up to record 28.", api.Log{Checkpoint: sealed, Witnesses: two}},
		{"nothing sealed", "not checked", "mixed", "Nothing is sealed, not checked", api.Log{}},
	} {
		row.log.Stream, row.log.VerifierKey = "JOBS", "receiver/eu/JOBS+b3caf33f+AQAB"
		row.log.NotCovered = []api.NotCovered{{What: "unsealed", Detail: "2 records are not sealed"}}
		o := operations{"GET /v1/log": give(api.Logs{Logs: []api.Log{row.log}, Verification: api.Verification{State: "done", Ended: at}})}
		body := ask(t, newPage(o), http.MethodGet, "/evidence", "rcv_audit", nil).Body.String()
		if got := readable(body); !strings.Contains(got, row.want) || !strings.Contains(got, "JOBS "+row.word+" ") || !strings.Contains(body, `class="card log `+row.class+`-edge"`) {
			t.Errorf("%s: want %s, %q: %s", row.name, row.class, row.want, got)
		}
		if strings.Contains(readable(body), "Intact up to") != (row.word == "intact" && row.name != "empty") {
			t.Errorf("%s: %s", row.name, readable(body))
		}
		inOrder(t, body, `<p class="says">`, "Not covered", `<ul class="says"><li>2 records are not sealed`, "receiver/eu/JOBS&#43;b3caf33f&#43;AQAB")
		if strings.Contains(body, "<script>alert") {
			t.Errorf("%s: text from outside is not inert", row.name)
		}
	}
}

// The check is begun by a form, and its state is said.
func TestCheckNow(t *testing.T) {
	t.Parallel()
	waited := ""
	yes := true
	o := operations{
		"POST /v1/log/verify": func(w http.ResponseWriter, r *http.Request) {
			waited = r.URL.Query().Get("wait")
			give(api.Verification{State: "running"})(w, r)
		},
	}
	p := newPage(o)
	for state, want := range map[string]string{
		"never": "not checked since this receiver started", "running": "verifying JOBS, 25 %", "failed": "The check failed: too many checkpoints", "done": "intact 2",
	} {
		o["GET /v1/log"] = give(api.Logs{Logs: []api.Log{{Stream: "JOBS"}}, Verification: api.Verification{
			State: state, Since: at, Began: at, Ended: time.Now().Add(-2*time.Minute - time.Second), Error: "too many checkpoints", Ok: &yes,
			Progress: api.VerificationProgress{Log: "verifying JOBS", Done: 1, Total: 4},
		}})
		body := ask(t, p, http.MethodGet, "/evidence", "rcv_audit", nil).Body.String()
		if !strings.Contains(readable(body), want) || strings.Contains(body, "<button id=\"check-now\"") == (state == "running") {
			t.Errorf("while %s the page says %s, want %q", state, readable(body), want)
		}
	}
	o["GET /v1/log"] = give(api.Logs{Logs: []api.Log{}, Verification: api.Verification{State: "never", Since: at}})
	if body := ask(t, p, http.MethodGet, "/evidence", "rcv_audit", nil).Body.String(); strings.Contains(body, "check-now") || !strings.Contains(readable(body), "Nothing is sealed without audit.key") {
		t.Errorf("without logs the page says %s", readable(body))
	}
	o["GET /v1/log"] = give(api.Logs{Logs: []api.Log{{Stream: "JOBS"}}, Verification: api.Verification{State: "never", Since: at}})
	body := ask(t, p, http.MethodGet, "/evidence", "rcv_audit", nil).Body.String()
	csrf := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(body)[1]
	if got := ask(t, p, http.MethodPost, "/evidence/check", "rcv_audit", url.Values{"csrf": {"x"}}); got.Code != http.StatusForbidden || waited != "" {
		t.Errorf("a form that is not of this page = %d, and the API was asked to wait %q", got.Code, waited)
	}
	got := ask(t, p, http.MethodPost, "/evidence/check", "rcv_audit", url.Values{"csrf": {csrf}})
	if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "/evidence" || waited != "5s" {
		t.Errorf("check now = %d to %q, wait %q", got.Code, got.Header().Get("Location"), waited)
	}
	for record, want := range map[string]string{"jobs/12": "/evidence/JOBS/12", "ATTEMPTS/7 ": "/evidence/ATTEMPTS/7", "//evil.example/1": "", "JOBS/../1": "", hostile: ""} {
		got := ask(t, p, http.MethodGet, "/evidence?record="+url.QueryEscape(record), "rcv_audit", nil)
		if to := got.Header().Get("Location"); to != want || want == "" && !strings.Contains(got.Body.String(), "is not the name of a record") {
			t.Errorf("the record %q leads to %q, want %q", record, to, want)
		}
	}
}

// Breaks among checkpoints cut the line, each with its word; a full page stays small.
func TestCheckpointsOverTime(t *testing.T) {
	t.Parallel()
	cp := func(seq uint64, size int64, kind string) api.SealedCheckpoint {
		c := api.SealedCheckpoint{Sequence: seq, Time: at.Add(time.Duration(seq) * time.Minute), Size: size, Root: "root", Cosignatures: []api.Cosignature{}}
		if kind != "" {
			c.Break = api.CheckpointBreak{Kind: kind, Detail: "because " + hostile}
		}
		return c
	}
	o := operations{"GET /v1/log/JOBS/checkpoints": give(api.CheckpointPage{
		Stream: "JOBS", Next: "3", Checkpoints: []api.SealedCheckpoint{cp(9, 9, "fork"), cp(8, 9, ""), cp(7, 4, "rolled_back"), cp(6, 6, "missing"), cp(4, 5, "")},
		Anchors: []api.AnchorReceipt{{Kind: "folder", Where: "/mnt/once", Size: 5, Root: "root", Time: at, Break: api.CheckpointBreak{Kind: "fork", Detail: "another"}}},
	})}
	body := ask(t, newPage(o), http.MethodGet, "/evidence/JOBS", "rcv_audit", nil).Body.String()
	inOrder(t, body, "4 breaks", "<svg", "with 4 breaks", `class="cut"`, ">gap</text>", ">rollback</text>", ">fork</text>", `class="size"`,
		"<table", ">fork</span>", ">rollback</span>", ">gap</span>", "What anchors took", "/mnt/once", ">fork</span>", `href="/evidence/JOBS?after=3"`)
	pieces := regexp.MustCompile(`class="size" d="(M\d+ \d+)((?:H\d+V\d+)*)"`).FindAllStringSubmatch(body, -1)
	if len(pieces) != 4 || pieces[0][2] != "" || pieces[1][2] != "" || strings.Count(pieces[2][2], "H") != 1 || pieces[3][2] != "" {
		t.Errorf("the line has the pieces %q, want one that ends before each break", pieces)
	}
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "style=") {
		t.Error("text from outside is not inert, or there is an inline style")
	}

	full := api.CheckpointPage{Stream: "JOBS"}
	for i := range uint64(50) {
		c := cp(100-i, 1, "fork")
		c.Root = tlog.Hash{}.String()
		for w := range 3 {
			c.Cosignatures = append(c.Cosignatures, api.Cosignature{Witness: fmt.Sprint("witness.example.com/", w), Time: at})
		}
		full.Checkpoints = append(full.Checkpoints, c)
	}
	o["GET /v1/log/JOBS/checkpoints"] = give(full)
	if body := ask(t, newPage(o), http.MethodGet, "/evidence/JOBS", "rcv_audit", nil).Body.String(); len(body) > 100<<10 {
		t.Errorf("a full page has %d bytes, want 100 KiB at most", len(body))
	}
	for _, one := range []api.CheckpointPage{{Stream: "JOBS"}, {Stream: "JOBS", Checkpoints: []api.SealedCheckpoint{cp(1, 0, "")}}} {
		o["GET /v1/log/JOBS/checkpoints"] = give(one)
		if body := ask(t, newPage(o), http.MethodGet, "/evidence/JOBS", "rcv_audit", nil).Body.String(); strings.Contains(body, "<svg") || !strings.Contains(body, "Checkpoints of JOBS") {
			t.Errorf("of %d checkpoints the page is %s", len(one.Checkpoints), readable(body))
		}
	}
}

// certified is a report about one record with a path of so many steps, all of whose texts are
// hostile.
func certified(steps int) report.Report {
	r := report.Report{
		Format: "receiver-report/v1", Made: at, Program: "v1", Asked: []report.Fact{}, Jobs: []report.Job{}, Unsealed: []string{},
		Dates: []report.Date{{Name: "received", Clock: "this receiver's", Says: "when " + hostile}}, NotProved: []string{"That the clocks were right. " + hostile},
		Bundles: []report.Bundle{{
			Stream: "JOBS", Origin: "receiver/eu/JOBS", Size: 9, Root: "root=", Records: 1, Checkpoint: "receiver/eu/JOBS\n9\nroot=\n\n— " + hostile + "\n",
			Signatures: []report.Signature{{Name: "w", KeyID: "01", By: report.ByUnknown}}, LogKey: "receiver/eu/JOBS+b3+AQAB", File: "JOBS.bundle.json",
			Command: "receiver audit check JOBS.bundle.json --log-key 'receiver/eu/JOBS+b3+AQAB'", Data: []byte(`{"a bundle": "` + base64.StdEncoding.EncodeToString(make([]byte, 99)) + `"}`),
		}},
	}
	record := report.Record{
		Entry: auditlog.Entry{ID: "JOBS/2", Stream: "JOBS", Sequence: 2, Stored: at, Verdict: auditlog.Accepted, Job: hostile, Source: "crm", Remote: hostile},
		Check: report.Check{State: report.NotChecked, Text: "not checked: the body is encrypted, and no identity was given"}, Subject: hostile,
		Content: report.Content{State: report.Encrypted, Text: "9 bytes, encrypted: the bundle proves it", Shown: hostile}, Headers: map[string][]string{hostile: {hostile}}, Index: 1, Leaf: "leaf=",
	}
	for i := range steps {
		record.Path = append(record.Path, report.Step{Side: []string{"left", "right"}[i%2], Sibling: fmt.Sprint("sibling", i), Node: fmt.Sprint("node", i)})
	}
	r.Records = []report.Record{record}
	return r
}

// A certificate has the sentences of the report, and no other of its own.
func TestACertificateIsTheReport(t *testing.T) {
	t.Parallel()
	r := certified(5)
	o := operations{"GET /v1/callbacks/JOBS/2/report": give(r)}
	p := newPage(o)
	body := ask(t, p, http.MethodGet, "/evidence/JOBS/2", "rcv_audit", nil).Body.String()
	inOrder(t, body, "<h1>Certificate of JOBS/2</h1>", "Made", "2026-12-01 02:00:00 UTC", "/evidence/JOBS/2/bundle", "/evidence/JOBS/2/report", `href="/check"`, "Proved.", "encrypted: the bundle proves it",
		"leaf 1", "leaf=", "left sibling", "sibling0", "right sibling", "sibling4", "root, as signed", "node4", "receiver audit check JOBS.bundle.json", "Not proved", "The dates")
	whole, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	said := readable(strings.Replace(string(whole), "<main", "<main ", 1))
	_, proof, _ := strings.Cut(body, "The record, and its proof</h2>")
	proof, _, _ = strings.Cut(proof, "</main>")
	sentences := 0
	for _, m := range regexp.MustCompile(`>([^<]+)<`).FindAllStringSubmatch(proof, -1) {
		s := readable("<main" + ">" + m[1])
		s = strings.TrimSpace(strings.TrimPrefix(s, ">"))
		if s == "" {
			continue
		}
		if sentences++; !strings.Contains(said, s) {
			t.Errorf("the certificate says %q, and the report does not", s)
		}
	}
	if sentences < 40 {
		t.Errorf("only %d texts were compared", sentences)
	}
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "\u202e") || strings.Contains(body, "style=") {
		t.Error("text from outside is not inert, or there is an inline style")
	}
	got := ask(t, p, http.MethodGet, "/evidence/JOBS/2/bundle", "rcv_audit", nil)
	if !bytes.Equal(got.Body.Bytes(), r.Bundles[0].Data) || got.Header().Get("Content-Disposition") != "attachment; filename=JOBS.bundle.json" {
		t.Errorf("the bundle is %q, as %q", got.Body, got.Header().Get("Content-Disposition"))
	}
}

// A record that no checkpoint covers has no certificate yet, and the page says when it will have.
func TestACertificateOfWhatIsNotSealed(t *testing.T) {
	t.Parallel()
	o := operations{
		"GET /v1/callbacks/ATTEMPTS/7/report": func(w http.ResponseWriter, _ *http.Request) { problem(w, api.NotSealed.Problem("not sealed")) },
		"GET /v1/callbacks/JOBS/9/report": func(w http.ResponseWriter, _ *http.Request) {
			problem(w, api.UnknownRecord.Problem("there is no record JOBS/9"))
		},
	}
	p := newPage(o)
	got := ask(t, p, http.MethodGet, "/evidence/ATTEMPTS/7", "rcv_audit", nil)
	if got.Code != http.StatusOK || !strings.Contains(readable(got.Body.String()), "No checkpoint covers ATTEMPTS/7. The next one does: within a second, or a minute") {
		t.Errorf("of an unsealed record = %d %s", got.Code, readable(got.Body.String()))
	}
	for path, code := range map[string]int{"/evidence/JOBS/9": 404, "/evidence/JOBS/x": 404, "/evidence/JOBS/9/bundle": 404, "/evidence/ATTEMPTS/7/bundle": 409} {
		if got := ask(t, p, http.MethodGet, path, "rcv_audit", nil); got.Code != code {
			t.Errorf("%s = %d, want %d", path, got.Code, code)
		}
	}
}
