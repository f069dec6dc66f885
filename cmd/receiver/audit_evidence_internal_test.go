package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/auditlog/report"
)

// answered asks a receiver and reads the JSON of its answer.
func answered[T any](t *testing.T, method, url string) (answer T, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s %s = %d %.300s: %v", method, url, got.StatusCode, body, err)
	}
	return answer, string(body)
}

// uncovered are the kinds of all that is not covered of a log.
func uncovered(l api.Log) (all []string) {
	for _, n := range l.NotCovered {
		all = append(all, n.What)
	}
	return all
}

// A receiver says that a log is intact only where it was checked, and up to the size of the check.
func TestARunningReceiverSaysHowFarALogIsIntact(t *testing.T) {
	t.Parallel()
	in := runningOn(t, sealedFolder(t))
	base := in.PrivateURL() + "/v1/log"
	about, text := answered[api.Logs](t, "GET", base)
	if about.Verification.State != "never" || len(about.Logs) != 3 || strings.Contains(text, `"ok":true`) {
		t.Fatalf("before any check GET /v1/log says %s", text)
	}
	for _, l := range about.Logs {
		if !l.Check.Time.IsZero() || !slices.Contains(uncovered(l), "unchecked") || l.SealedAt.IsZero() || l.KeyId == "" || !strings.Contains(l.VerifierKey, "+"+l.KeyId+"+") {
			t.Errorf("before any check %s is %+v", l.Stream, l)
		}
	}
	checked, _ := answered[api.Verification](t, "POST", base+"/verify?wait=1m")
	if checked.State != "done" || checked.Ok == nil || !*checked.Ok || checked.Outside == nil || !*checked.Outside || len(checked.Places) != 3 {
		t.Fatalf("POST /v1/log/verify = %+v, want an intact store with an anchor", checked)
	}
	about, text = answered[api.Logs](t, "GET", base)
	jobs := about.Logs[0]
	if jobs.Check.Size != 5 || !jobs.Check.Ok || jobs.Check.Records != 5 || len(jobs.Check.SignedBy) != 1 || jobs.Check.SignedBy[0] != jobs.VerifierKey {
		t.Errorf("after the check JOBS is %s", text)
	}
	if len(jobs.Anchors) != 1 || jobs.Anchors[0].Kind != "folder" || jobs.Anchors[0].Size != 5 || len(uncovered(jobs)) != 0 {
		t.Errorf("the anchors of JOBS are %+v, and not covered is %v", jobs.Anchors, jobs.NotCovered)
	}
}

// The checkpoints of a log over time show each gap, fork and rollback where it is, newest first.
func TestBreaksAmongTheCheckpointsOfALog(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	another := func(size string) func(*testing.T, *intruder) {
		return func(t *testing.T, x *intruder) {
			t.Helper()
			good := x.newest("JOBS")
			change := otherRoot(t, good)
			x.checkpoint("JOBS", resign(t, x.key(), good, func(text string) string {
				return strings.Replace(change(text), "\n5\n", "\n"+size+"\n", 1)
			}))
			x.checkpoint("JOBS", good)
		}
	}
	for _, row := range []struct {
		name   string
		tamper func(t *testing.T, x *intruder)
		want   []string // kind at size
		ok     bool
	}{
		{"nothing", func(*testing.T, *intruder) {}, []string{"5", "3"}, true},
		{"a smaller one of another tree", another("4"), []string{"5", "rolled_back 4", "5", "3"}, false},
		{"a larger one", another("6"), []string{"rolled_back 5", "rolled_back 6", "5", "3"}, false},
		{"another root of one size", another("5"), []string{"fork 5", "fork 5", "5", "3"}, false},
		{"an old one again", func(_ *testing.T, x *intruder) {
			good := x.newest("JOBS")
			x.checkpoint("JOBS", x.get("CHECKPOINTS", 1).Data)
			x.checkpoint("JOBS", good)
		}, []string{"5", "rolled_back 3", "5", "3"}, true},
		{"one by a strange key", func(t *testing.T, x *intruder) {
			good := x.newest("JOBS")
			x.checkpoint("JOBS", resign(t, otherKey(t), good, nil))
			x.checkpoint("JOBS", good)
		}, []string{"5", "checkpoint 5", "5", "3"}, false},
		{"an older one is of another tree", func(t *testing.T, x *intruder) {
			t.Helper()
			x.rewrite("CHECKPOINTS", func(all []*jetstream.RawStreamMsg) []*jetstream.RawStreamMsg {
				all[0].Data = resign(t, x.key(), all[0].Data, otherRoot(t, all[0].Data))
				return all
			})
		}, []string{"5", "fork 3"}, false},
		{"one was removed", func(_ *testing.T, x *intruder) { x.delete("CHECKPOINTS", 2) }, []string{"missing 5", "3"}, false},
		{"the first was removed", func(_ *testing.T, x *intruder) { x.delete("CHECKPOINTS", 1) }, []string{"missing 5"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			row.tamper(t, x)
			x.leave()
			in := runningOn(t, x.dir)
			want := row.want
			for _, pages := range []string{"", "?limit=1"} {
				got := breaks(t, in.PrivateURL()+"/v1/log/JOBS/checkpoints"+pages)
				if !slices.Equal(got, want) {
					t.Errorf("in pages %q: %v, want %v", pages, got, want)
				}
			}
			checked, text := answered[api.Verification](t, "POST", in.PrivateURL()+"/v1/log/verify?wait=1m")
			if checked.Ok == nil || *checked.Ok != row.ok {
				t.Errorf("POST /v1/log/verify says %.600s, want ok %v", text, row.ok)
			}
		})
	}
}

// otherRoot changes the text of a checkpoint to that of another tree.
func otherRoot(t *testing.T, checkpoint []byte) func(text string) string {
	t.Helper()
	cp, err := audit.ReadCheckpoint(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	was := cp.Tree.Hash.String()
	cp.Tree.Hash[0] ^= 1
	return func(text string) string { return strings.Replace(text, was, cp.Tree.Hash.String(), 1) }
}

// breaks reads all checkpoints of a log: kind of break and size, newest first.
func breaks(t *testing.T, url string) (all []string) {
	t.Helper()
	next := ""
	for range 20 {
		address := url
		if next != "" {
			address += map[bool]string{true: "&", false: "?"}[strings.Contains(url, "?")] + "after=" + next
		}
		page, _ := answered[api.CheckpointPage](t, "GET", address)
		for _, c := range page.Checkpoints {
			all = append(all, strings.TrimSpace(c.Break.Kind+" "+fmt.Sprint(c.Size)))
		}
		if next = page.Next; next == "" {
			return all
		}
	}
	t.Errorf("%s has no last page", url)
	return all
}

// madeAt are the dates of a report that are of the making.
var madeAt = regexp.MustCompile(`(Evidence report, |made )\d{4}-\d\d-\d\d [0-9:.]+|"made": ?"[^"]*"`)

// A report over HTTP is what audit report writes, byte for byte, but for when it was made.
func TestAReportOverHTTP(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	in := runningOn(t, dir)
	page := filepath.Join(t.TempDir(), "report.html")
	for _, record := range []string{"JOBS/2", "ATTEMPTS/1", "ACTIONS/1"} {
		url := in.PrivateURL() + "/v1/callbacks/" + record + "/report"
		if code, out := auditReport(t, dir, record, "--html", page); code != exitDone {
			t.Fatalf("audit report = exit %d: %s", code, out)
		}
		written, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		code, out := auditReport(t, dir, record, "-o", "json")
		if code != exitDone {
			t.Fatalf("audit report -o json = exit %d: %s", code, out)
		}
		for form, want := range map[string][]byte{"": written, "?form=json": []byte(out)} {
			got := []byte(get(t, url+form))
			if a, b := madeAt.ReplaceAll(got, nil), madeAt.ReplaceAll(want, nil); !bytes.Equal(a, b) {
				t.Errorf("%s%s is not what audit report writes:\n%.2000s\nwant\n%.2000s", record, form, a, b)
			}
		}
	}
	for path, want := range map[string]string{
		"JOBS/99/report": "unknown-record", "JOBS/0/report": "unknown-record", "JOBS/0/bundle": "unknown-record", "JOBS/0": "unknown-record", "NOTHING/1/report": "unknown-record", "JOBS/1/report?form=pdf": "neither html nor json",
	} {
		if got := get(t, in.PrivateURL()+"/v1/callbacks/"+path); !strings.Contains(got, want) {
			t.Errorf("%s = %s, want %s", path, got, want)
		}
	}
	r, err := http.Head(in.PrivateURL() + "/v1/callbacks/JOBS/2/report")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	policy := r.Header.Get("Content-Security-Policy")
	if m, _ := regexp.MatchString(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-downloads$`, policy); !m {
		t.Errorf("the policy of the page is %q", policy)
	}
}

// The certificate of the page has every statement of audit report, and its bundle passes the
// command that is printed on it.
func TestTheCertificateOfThePage(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	in := runningOn(t, dir)
	for _, record := range []string{"JOBS/2", "ATTEMPTS/1", "ACTIONS/1"} {
		code, out := auditReport(t, dir, record, "-o", "json")
		var r report.Report
		if err := json.Unmarshal([]byte(out), &r); code != exitDone || err != nil {
			t.Fatalf("audit report = exit %d, %v: %s", code, err, out)
		}
		one, bundle := r.Records[0], r.Bundles[0]
		want := append([]string{one.ID, one.Remote, one.Leaf, one.Check.Text, one.Content.Text, one.Subject, one.Fingerprint, bundle.Root, bundle.LogKey, bundle.Command, bundle.Checkpoint}, r.NotProved...)
		for _, d := range r.Dates {
			want = append(want, d.Name, d.Clock, d.Says)
		}
		for _, s := range one.Path {
			want = append(want, s.Sibling)
		}
		page := html.UnescapeString(get(t, in.PrivateURL()+"/evidence/"+record))
		for _, w := range want {
			if !strings.Contains(page, strings.TrimSpace(w)) {
				t.Errorf("the certificate of %s does not say %q", record, w)
			}
		}
		whole, byAPI := get(t, in.PrivateURL()+"/evidence/"+record+"/report"), get(t, in.PrivateURL()+"/v1/callbacks/"+record+"/report")
		if madeAt.ReplaceAllString(whole, "") != madeAt.ReplaceAllString(byAPI, "") {
			t.Errorf("the report of %s by the page is not that of the API", record)
		}
		file := filepath.Join(t.TempDir(), bundle.File)
		if err := os.WriteFile(file, []byte(get(t, in.PrivateURL()+"/evidence/"+record+"/bundle")), 0o600); err != nil {
			t.Fatal(err)
		}
		var printed bytes.Buffer
		if code := run(t.Context(), []string{"audit", "check", file, "--log-key", bundle.LogKey}, strings.NewReader(""), &printed, &printed); code != exitDone {
			t.Errorf("audit check of the bundle of %s = exit %d: %s", record, code, &printed)
		}
	}
}
