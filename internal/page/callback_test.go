package page_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/diagnose"
	"receiver/internal/verify"
)

// detailOf is a refused callback with a body, as the API gives it.
func detailOf(body []byte, text bool) api.CallbackDetail {
	d := api.CallbackDetail{Entry: refused(7), Subject: "attempts.crm.mismatch", BodyKept: true, LeafHash: "leaf", Same: []string{}}
	d.Request = json.RawMessage(`{"User-Agent":["<i>\u202ecurl"],"X-Twice":["one","two"]}`)
	d.Headers = map[string][]string{"receiver-remote": {"192.0.2.7"}}
	d.Seal.State, d.Seal.Size, d.Seal.Origin = "sealed", 9, "receiver/test/ATTEMPTS"
	if d.Size = int64(len(body)); text {
		d.Text = string(body)
	} else {
		d.Base64 = body
	}
	return d
}

func oneRecord(d api.CallbackDetail) operations {
	return operations{"GET /v1/callbacks/ATTEMPTS/7": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "same_body=false" {
			problem(w, api.Unavailable.Problem("the view reads whole streams"))
			return
		}
		give(d)(w, r)
	}}
}

func TestOneCallback(t *testing.T) {
	t.Parallel()
	encrypted, gone, empty := detailOf(nil, true), detailOf(nil, true), detailOf(nil, true)
	encrypted.Encrypted, gone.BodyKept = "the body is encrypted to others", false
	action := detailOf([]byte(`{"what":"release"}`), true)
	action.Entry = api.Callback{ID: "ACTIONS/7", Stream: "ACTIONS", Sequence: 7, Stored: received, Verdict: "action", What: "release", Operator: "anna"}
	nowhere, own := detailOf(nil, true), detailOf(nil, true)
	nowhere.Source, nowhere.Claimed = "_", "nobody"
	own.Entry = api.Callback{ID: "JOBS/7", Stream: "JOBS", Sequence: 7, Stored: received}
	const again = "Verify again"
	for _, tt := range []struct {
		name  string
		d     api.CallbackDetail
		has   []string
		lacks string
	}{
		{"text", detailOf([]byte("{\"a\": \"<b>\u202e\"}\n"), true), []string{
			"Callback ATTEMPTS/7", again, ">refused</span>", "mismatch", "401 Unauthorized", "&lt;b&gt;", "ends with LF", "&lt;i&gt;", "X-Twice", ">two<",
			`<span class="tag good">sealed</span>`, `href="/evidence/ATTEMPTS/7"`, `href="/callbacks/ATTEMPTS/7/body"`, `href="/callbacks?body=abab`,
			`href="/callbacks?since=2026-11-23T12%3A00%3A00Z&amp;until=2026-11-23T12%3A01%3A00Z"`,
		}, "<b>"},
		{"bytes", detailOf([]byte("\xff\x00PNG"), false), []string{"no UTF-8 text", "00000000  ff 00 50 4e 47"}, "\xff"},
		{"without a line end", detailOf([]byte("{}"), true), []string{"no line end"}, "ends with"},
		{"with two signs at its end", detailOf([]byte("{}\r\n"), true), []string{"ends with CR LF"}, "no line end"},
		{"empty", empty, []string{"The body is empty."}, "/body\""},
		{"encrypted", encrypted, []string{"the body is encrypted to others"}, "/body\""},
		{"not kept", gone, []string{"was not kept"}, "/body\""},
		{"at no source", nowhere, []string{"nobody"}, again},
		{"an action", action, []string{"Action ACTIONS/7", "quarantined callback released", "anna", "{&#34;what&#34;"}, again},
		{"an event of its own", own, []string{"Event JOBS/7"}, again},
	} {
		w := ask(t, newPage(oneRecord(tt.d)), http.MethodGet, "/callbacks/ATTEMPTS/7", "rcv_audit", nil)
		body := w.Body.String()
		if w.Code != http.StatusOK || strings.Contains(body, tt.lacks) || strings.Contains(body, "\u202e") {
			t.Errorf("%s: %d with %q: %s", tt.name, w.Code, tt.lacks, body)
		}
		for _, text := range tt.has {
			if !strings.Contains(body, text) {
				t.Errorf("%s: the view lacks %s:\n%s", tt.name, text, body)
			}
		}
	}
	for _, address := range []string{"/callbacks/ATTEMPTS/8", "/callbacks/ATTEMPTS/x", "/callbacks/ATTEMPTS/-1", "/callbacks/ATTEMPTS/x/body"} {
		if w := ask(t, newPage(nil), http.MethodGet, address, "rcv_audit", nil); w.Code != http.StatusNotFound {
			t.Errorf("%s = %d", address, w.Code)
		}
	}
}

// A page is at most 100 KiB, whatever a stranger sent, and what it leaves out is in the download.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, body := range map[string][]byte{
		"text": bytes.Repeat([]byte("text\n"), size/5), "quotes": bytes.Repeat([]byte(`"`), size), "control characters": bytes.Repeat([]byte("\x01"), size),
		"invisible characters": bytes.Repeat([]byte("\u202e"), size/3), "long characters": bytes.Repeat([]byte("😀"), size/4), "bytes": bytes.Repeat([]byte("\xff"), size),
	} {
		d := detailOf(body, name != "bytes")
		long, err := json.Marshal(map[string][]string{"X-Long": {strings.Repeat("<", 12<<10)}, "X-More": {strings.Repeat("\"", 12<<10)}})
		if err != nil {
			t.Fatal(err)
		}
		d.Request = long
		p := newPage(oneRecord(d))
		w := ask(t, p, http.MethodGet, "/callbacks/ATTEMPTS/7", "rcv_audit", nil)
		if w.Code != http.StatusOK || w.Body.Len() > 100<<10 || w.Body.Len() < 40<<10 || !strings.Contains(w.Body.String(), "are shown") {
			t.Errorf("%s: %d, a page of %d bytes", name, w.Code, w.Body.Len())
		}
		w = ask(t, p, http.MethodGet, "/callbacks/ATTEMPTS/7/body", "rcv_audit", nil)
		if !bytes.Equal(w.Body.Bytes(), body) {
			t.Errorf("%s: the download has %d bytes, want the %d that came", name, w.Body.Len(), len(body))
		}
		h := w.Header()
		if h.Get("Content-Type") != "application/octet-stream" || h.Get("Content-Disposition") != "attachment; filename=ATTEMPTS-7.body" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a browser may show the download: %v", name, h)
		}
	}
	gone := detailOf(nil, true)
	gone.BodyKept = false
	if w := ask(t, newPage(oneRecord(gone)), http.MethodGet, "/callbacks/ATTEMPTS/7/body", "rcv_audit", nil); w.Code != http.StatusNotFound {
		t.Errorf("a body that was not kept = %d", w.Code)
	}
}

// A callback is verified again by a form, and the difference is set beside what came.
func TestVerifiedAgain(t *testing.T) {
	t.Parallel()
	o := oneRecord(detailOf([]byte("{}\r\n"), true))
	var answer api.Explanation
	asked := 0
	o["POST /v1/callbacks/ATTEMPTS/7/explain"] = func(w http.ResponseWriter, r *http.Request) { asked++; give(answer)(w, r) }
	p := newPage(o)
	csrf := csrfField.FindStringSubmatch(ask(t, p, http.MethodGet, "/callbacks/ATTEMPTS/7", "rcv_audit", nil).Body.String())[1]
	explain := func(csrf string) (int, string) {
		w := ask(t, p, http.MethodPost, "/callbacks/ATTEMPTS/7/explain", "rcv_audit", url.Values{"csrf": {csrf}})
		return w.Code, w.Body.String()
	}
	if code, _ := explain("wrong"); code != http.StatusForbidden || asked != 0 {
		t.Errorf("without the token of the form = %d, and the API was asked %d times", code, asked)
	}
	answer = api.NewExplanation(verify.Verdict{Reason: verify.Mismatch})
	answer.Findings = []diagnose.Finding{{
		Code: "key_newline+body_lf", Proved: true, Text: "It was made with <that> key.", Next: "Send it by `curl --data-binary`.",
		Compared: &diagnose.Comparison{
			Key:         `key "first" of source crm`,
			Differences: []diagnose.Difference{{Of: "key", Code: "key_newline", Text: "the sender's key has a line feed at its end"}, {Of: "body", Code: "body_lf", Text: "the body has"}},
			Came:        diagnose.Side{Size: 4, SHA256: "aaaa"}, Signed: diagnose.Side{Size: 3, SHA256: "bbbb"},
			Regions: []diagnose.Region{{At: 2, SignedAt: 2, Before: []byte("<{\u202e"), Came: []byte("\r\xff"), Size: 2, After: []byte("\n")}}, More: true,
		},
	}, {Code: "unexplained", Text: "No mistake.", Tried: []string{"keys"}, Skipped: []string{"earlier ones"}}}
	code, body := explain(csrf)
	for _, text := range []string{
		`<span class="tag bad">refused</span>`, ">proved<", ">not proved<", "It was made with &lt;that&gt; key.", "<code>curl --data-binary</code>",
		"<th scope=\"row\">key</th>", "key &#34;first&#34; of source crm", "the sender&#39;s key has a line feed at its end", "4 bytes", "aaaa", "3 bytes", "bbbb",
		"at byte 2", `<mark><span class="sign">CR</span><span class="sign">FF</span></mark><span class="sign">LF</span>`, "0d ff", `<span class="gap">nothing</span>`,
		"differ in more places", "<li>keys</li>", "<li>Not tried: earlier ones</li>",
	} {
		if !strings.Contains(body, text) {
			t.Errorf("the explanation lacks %s:\n%s", text, body)
		}
	}
	if code != http.StatusOK || asked != 1 || strings.Contains(body, "\u202e") {
		t.Errorf("= %d after %d requests", code, asked)
	}
	answer = api.Explanation{Accepted: true, Key: "second", Fingerprint: "sha256:12", Findings: []diagnose.Finding{}}
	if _, body := explain(csrf); !strings.Contains(body, `<span class="tag good">accepted</span> by key second`) {
		t.Errorf("one that is accepted now: %s", body)
	}
	o["POST /v1/callbacks/ATTEMPTS/7/explain"] = func(w http.ResponseWriter, _ *http.Request) {
		problem(w, api.UnknownRecord.Problem("the body was not kept whole"))
	}
	if code, body := explain(csrf); code != http.StatusNotFound || !strings.Contains(body, "the body was not kept whole") {
		t.Errorf("one that cannot be = %d %s", code, body)
	}
}
