package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/auditlog/report"
)

// inBundle is a bundle in a page, and the command that checks it.
var (
	inBundle = regexp.MustCompile(`download="([A-Z]+\.bundle\.json)" href="data:application/json;base64,([^"]+)"`)
	inOffer  = regexp.MustCompile(`receiver (audit check [A-Z]+\.bundle\.json) (--log-key) '([^']+)'`)
)

// A report has its evidence in it: what a reader saves from the page, byte for byte, passes
// `audit check` by the command that the page prints, offline.
func TestWhatAReportSaysIsCheckedOffline(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	page := filepath.Join(dir, "report.html")
	if code, out := auditReport(t, dir, "--since", "all", "--actions", "--html", page); code != exitDone {
		t.Fatalf("audit report = exit %d: %s", code, out)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	saved := map[string][]byte{}
	for _, m := range inBundle.FindAllSubmatch(text, -1) {
		if saved[string(m[1])], err = base64.StdEncoding.DecodeString(string(m[2])); err != nil {
			t.Fatal(err)
		}
	}
	offers := inOffer.FindAllStringSubmatch(html.UnescapeString(string(text)), -1)
	if len(saved) != 3 || len(offers) != 3 {
		t.Fatalf("the page has %d bundles and %d commands, want 3 each", len(saved), len(offers))
	}
	for _, m := range offers {
		args := strings.Fields(m[1])
		bundle := saved[args[2]]
		for want, data := range map[int][]byte{exitDone: bundle, exitFailed: bytes.Replace(bundle, []byte(`"data": "`), []byte(`"data": "AAAA`), 1)} {
			path := filepath.Join(t.TempDir(), args[2])
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if code := run(t.Context(), []string{"audit", "check", path, m[2], m[3]}, strings.NewReader(""), &out, &out); code != want {
				t.Errorf("%s = exit %d, want %d: %s", m[0], code, want, &out)
			}
		}
	}
}

// Each form, of the store and of an archive, has the same facts.
func TestTheFormsOfAReport(t *testing.T) {
	t.Parallel()
	dir, archive := exportedArchive(t)
	var store report.Report
	for _, where := range [][]string{nil, {"--export", archive}} {
		code, out := auditReport(t, dir, append([]string{"--job", "2", "-o", "json"}, where...)...)
		var r report.Report
		if err := json.Unmarshal([]byte(out), &r); code != exitDone || err != nil {
			t.Fatalf("audit report -o json %v = exit %d, %v: %.300s", where, code, err, out)
		}
		if len(r.Records) != 1 || r.Records[0].Job != "2" || r.Records[0].Check.State != report.Confirmed || len(r.Jobs) != 1 || r.Jobs[0].Result != "succeeded" {
			t.Errorf("audit report %v has %+v and %+v", where, r.Records, r.Jobs)
		}
		if where == nil {
			store = r
		} else if !bytes.Equal(r.Bundles[0].Data, store.Bundles[0].Data) {
			t.Error("the bundle from the archive is another one than that from the store")
		}
		code, out = auditReport(t, dir, append([]string{"--job", "2"}, where...)...)
		for _, want := range []string{store.Records[0].Leaf, store.Bundles[0].Root, store.Bundles[0].LogKey, store.Records[0].Check.Text, store.NotProved[0]} {
			if code != exitDone || !strings.Contains(out, want) {
				t.Errorf("audit report %v = exit %d, and does not say %q:\n%s", where, code, want, out)
			}
		}
	}
	code, out := auditReport(t, dir, "--since", "all", "--verdict", "refused", "-o", "json")
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone || len(r.Records) != 4 || len(r.Bundles) != 1 || r.Bundles[0].Stream != "ATTEMPTS" {
		t.Errorf("the refused ones: exit %d, %v, %d records", code, err, len(r.Records))
	}
}

func TestAuditReportRefuses(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	page := filepath.Join(dir, "report.html")
	for _, row := range []struct {
		args string
		code int
		want string
	}{
		{"", exitUsage, "--job"},
		{"JOBS/1 --job 2", exitUsage, "either name records or give filters"},
		{"JOBS/1 --verdict refused", exitUsage, "either name records or give filters"},
		{"JOBS/1 -o json --html " + page, exitUsage, "leave one out"},
		{"NOTHING/1", exitUsage, "not the name of a record"},
		{strings.Repeat("JOBS/1 ", report.MaxRecords+1), exitUsage, "at most 1000 records"},
		{"--job nobody", exitFailed, "no record is as asked for"},
		{"JOBS/99 --html " + page, exitFailed, "JOBS/99"},
	} {
		code, out := auditReport(t, dir, strings.Fields(row.args)...)
		if code != row.code || !strings.Contains(out, row.want) {
			t.Errorf("audit report %.60s = exit %d, want %d and %q: %.300s", row.args, code, row.code, row.want, out)
		}
	}
	if _, err := os.Stat(page); err == nil {
		t.Error("a report that was not made has left a page")
	}
}

// auditReport runs audit report on a folder, and returns what it printed.
func auditReport(t *testing.T, dir string, args ...string) (code int, printed string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(t.Context(), append([]string{"--config", filepath.Join(dir, "config.yaml"), "audit", "report"}, args...), strings.NewReader(""), &out, &talk)
	if code != exitDone {
		return code, talk.String()
	}
	return code, out.String()
}
