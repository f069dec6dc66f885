package report_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/auditlog/report"
	"receiver/internal/job"
	"receiver/internal/verify"
)

const (
	keyNow  = "the key that is configured"
	keyGone = "the key that was configured once"
)

// hostile is text that a browser or a terminal could obey or would not show.
const hostile = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>\" onload='x' \x00\x1b[2J\u202e\u2066\u200b\ufeff\xff\xed\xa0\x80\r"

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func fingerprint(t *testing.T, secret string) string { return key(t, secret).Fingerprint() }

func key(t *testing.T, secret string) *verify.Key {
	t.Helper()
	k, err := verify.NewKey("crm-key", []byte(secret), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// event is a callback that became an event.
func event(t *testing.T, by string, body []byte) audit.Record {
	e := job.Event{
		Kind: job.Finished, Source: "crm", Time: audittest.Start, Evidence: job.ByCallback, Data: body,
		Job: job.View{ID: "7", Status: "COMPLETED", Result: job.Succeeded, Object: "contact"},
		Receipt: &job.Receipt{
			Signature: sign(by, body), Key: "crm-key", Fingerprint: fingerprint(t, by), Remote: "192.0.2.7",
			Received: audittest.Start.Add(-time.Second),
		},
	}
	return audit.Record{Subject: e.Subject(), Header: e.Header().Map(), Data: body}
}

// attempt is a refused callback.
func attempt(verdict, signature string, body []byte, kept bool) audit.Record {
	a := job.Attempt{
		Source: "crm", Verdict: verdict, SHA256: job.BodySHA256(body), Size: int64(len(body)),
		Receipt: job.Receipt{Signature: signature, Remote: "198.51.100.9", Received: audittest.Start},
	}
	r := audit.Record{Subject: a.Subject(), Header: a.Header().Map()}
	if kept {
		r.Data = body
	}
	return r
}

// with returns a record with one more header.
func with(r audit.Record, name, value string) audit.Record {
	r.Header[name] = []string{value}
	return r
}

// told are the records of the tests, and what a report says of each.
func told(t *testing.T) []struct {
	name           string
	record         audit.Record
	check, content string
} {
	t.Helper()
	body := []byte(`{"id":"7","status":"COMPLETED"}`)
	submitted := job.Event{Kind: job.Submitted, Source: "crm", Time: audittest.Start, Evidence: job.ByUs, Data: body, Job: job.View{ID: "7", Object: "contact"}}
	return []struct {
		name           string
		record         audit.Record
		check, content string
	}{
		{"signed", event(t, keyNow, body), report.Confirmed, report.InBundle},
		{"signed by a key that is gone", event(t, keyGone, body), report.NotChecked, report.InBundle},
		{"encrypted", with(event(t, keyNow, body), "receiver-encryption", "age"), report.NotChecked, report.Encrypted},
		{"body outside the message", with(event(t, keyNow, body), job.HeaderDataRef, "nats-object:PAYLOADS/1"), report.NotChecked, report.Outside},
		{"refused", attempt("mismatch", sign(keyGone, body), body, true), report.RefusalConfirmed, report.InBundle},
		{"refused, and right by a key of today", attempt("mismatch", sign(keyNow, body), body, true), report.RightNow, report.InBundle},
		{"refused without a signature", attempt("missing", "", body, true), report.RefusalConfirmed, report.InBundle},
		{"body not kept", attempt("mismatch", sign(keyGone, body), body, false), report.NotChecked, report.NotKept},
		{"own event", audit.Record{Subject: submitted.Subject(), Header: submitted.Header().Map(), Data: body}, report.Unsigned, report.InBundle},
		{"hostile", with(event(t, keyNow, []byte(hostile)), hostile, hostile), report.Confirmed, report.InBundle},
		{"binary", event(t, keyNow, []byte{0, 1, 0xff}), report.Confirmed, report.InBundle},
		{"a long line", event(t, keyNow, bytes.Repeat([]byte("x"), 100<<10)), report.Confirmed, report.InBundle},
	}
}

// options are those of a receiver that has one signature key and no identity.
func options(t *testing.T, witnesses ...string) report.Options {
	t.Helper()
	v, err := verify.New(key(t, keyNow))
	if err != nil {
		t.Fatal(err)
	}
	return report.Options{
		Made: audittest.Start.Add(time.Hour), Program: "v1", Asked: []report.Fact{{Name: "job", Value: "7"}},
		Keys: audittest.Keys(t, witnesses...), KeyTexts: append([]string{audittest.Key(t).VerifierKey(audittest.Origin)}, witnesses...),
		Sources: map[string]*verify.Verifier{"crm": v},
		Body: func(r audit.Record) ([]byte, error) {
			switch {
			case job.Encrypted(r.Header):
				return nil, auditlog.ErrEncrypted
			case len(r.Header[job.HeaderDataRef]) > 0:
				return nil, audit.ErrNotChecked
			}
			return r.Data, nil
		},
	}
}

// sealed is a log of so many records that begins with these, sealed and cosigned by a witness.
func sealed(t *testing.T, n int, witness *audittest.WitnessKey, records ...audit.Record) *audittest.World {
	t.Helper()
	w := audittest.NewWorld(t, n)
	for i := range n {
		r := event(t, keyNow, fmt.Appendf(nil, `{"id":"7","n":%d}`, i))
		if i < len(records) {
			r = records[i]
		}
		w.Stream.Change(uint64(i+1), func(to *audit.Record) { to.Subject, to.Header, to.Data = r.Subject, r.Header, r.Data })
	}
	w.Seal(t)
	if witness != nil {
		text, _, _ := strings.Cut(string(w.Checkpoints.Current), "\n\n")
		w.Checkpoints.Set(audittest.SignedNote(t, text+"\n", audittest.Signer(t), witness))
	}
	return w
}

func proved(t *testing.T, w *audittest.World, seqs ...uint64) audit.Bundle {
	t.Helper()
	b, err := w.Log.Prove(t.Context(), seqs...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// full is a report about the records of told, out of 300.
func full(t *testing.T) report.Report {
	t.Helper()
	witness := audittest.NewWitnessKey("witness.example/w1")
	rows := told(t)
	records, seqs := make([]audit.Record, 0, len(rows)), make([]uint64, 0, len(rows))
	for i, row := range rows {
		records, seqs = append(records, row.record), append(seqs, uint64(i+1))
	}
	r, err := report.Compose([]audit.Bundle{proved(t, sealed(t, 300, witness, records...), seqs...)}, options(t, witness.VerifierKey()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAReportTellsEachRecord(t *testing.T) {
	r := full(t)
	for i, row := range told(t) {
		got := r.Records[i]
		if got.Check.State != row.check || got.Content.State != row.content {
			t.Errorf("%s: signature %+v, content %q, want %s and %s", row.name, got.Check, got.Content.Text, row.check, row.content)
		}
		if got.Path[len(got.Path)-1].Node != r.Bundles[0].Root {
			t.Errorf("%s: the path ends at %s, want the root", row.name, got.Path[len(got.Path)-1].Node)
		}
	}
	if signed := r.Records[0]; signed.Answer != 200 || signed.Received == nil || signed.Remote != "192.0.2.7" || !strings.Contains(signed.Check.Text, "crm-key") {
		t.Errorf("the signed one is %+v", signed)
	}
	if own := r.Records[8]; own.Answer != 0 || own.Received != nil || own.Kind != "submitted" {
		t.Errorf("the own event is answered %d, received %v, of kind %q", own.Answer, own.Received, own.Kind)
	}
	if len(r.Jobs) != 1 || r.Jobs[0].Result != "succeeded" || r.Jobs[0].Object != "contact" {
		t.Errorf("jobs are %+v", r.Jobs)
	}
	if b := r.Bundles[0]; b.LogKey == "" || len(b.WitnessKeys) != 1 || len(b.Signatures) != 2 || b.Signatures[1].By != report.ByWitness || b.Signatures[1].Time == nil {
		t.Errorf("signatures are %+v", b)
	}
	if longest := slices.MaxFunc(r.Records, func(a, b report.Record) int { return len(a.Content.Shown) - len(b.Content.Shown) }); len(longest.Content.Shown) > 2000 {
		t.Errorf("%s shows %d bytes of its body, want an end", longest.ID, len(longest.Content.Shown))
	}
}

// Each date names its clock, and each limit of the proof is said.
func TestAReportSaysWhatItRestsOn(t *testing.T) {
	all := fmt.Sprint(full(t).Dates, full(t).NotProved)
	for _, want := range []string{
		"witness.example/w1 at", "JOBS/1 says that it was stored later", "withheld", "2 records", "12 of 300 sealed in JOBS", "replayed", "symmetric", "not checked", "without an identity",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("dates and limits do not say %q:\n%s", want, all)
		}
	}
	r, err := report.Compose([]audit.Bundle{proved(t, sealed(t, 1, nil), 1)}, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(r.Dates, r.NotProved); strings.Contains(all, "cosignature:") || strings.Count(all, "no witness that is known") != 1 || !strings.Contains(all, "No witness that is known") {
		t.Errorf("without a cosignature it says\n%s", all)
	}
}

// A cosignature by a key that is not configured is shown as what it is worth.
func TestAnUnknownSignatureIsNotVerified(t *testing.T) {
	b := proved(t, sealed(t, 3, audittest.NewWitnessKey("witness.example/w1")), 2)
	r, err := report.Compose([]audit.Bundle{b}, options(t))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Bundles[0].Signatures; len(s) != 2 || s[1].By != report.ByUnknown || s[1].Time != nil || len(r.Bundles[0].WitnessKeys) != 0 {
		t.Errorf("signatures are %+v", s)
	}
}

func TestThePathOfEveryLeafOfEveryShape(t *testing.T) {
	for n := 1; n <= 17; n++ {
		w := sealed(t, n, nil)
		for seq := range n {
			r, err := report.Compose([]audit.Bundle{proved(t, w, uint64(seq+1))}, options(t))
			if err != nil {
				t.Fatalf("leaf %d of %d: %v", seq, n, err)
			}
			end := r.Records[0].Leaf
			for _, s := range r.Records[0].Path {
				end = s.Node
			}
			if end != r.Bundles[0].Root {
				t.Errorf("leaf %d of %d: the path ends at %s, want the root %s", seq, n, end, r.Bundles[0].Root)
			}
		}
	}
}

func TestNothingIsReportedThatDoesNotVerify(t *testing.T) {
	forged := event(t, keyNow, []byte(`{"id":"7","status":"FAILED"}`))
	forged.Header["receiver-signature"] = []string{sign(keyGone, forged.Data)}
	rows := []struct {
		name   string
		record audit.Record
		change func(b *audit.Bundle, o *report.Options)
		want   error
	}{
		{"a changed body", event(t, keyNow, []byte("{}")), func(b *audit.Bundle, _ *report.Options) { b.Entries[0].Data = []byte("x") }, audit.ErrProof},
		{"a changed proof", event(t, keyNow, []byte("{}")), func(b *audit.Bundle, _ *report.Options) { b.Entries[0].Proof[0][0] ^= 1 }, audit.ErrProof},
		{"another log key", event(t, keyNow, []byte("{}")), func(_ *audit.Bundle, o *report.Options) { o.Keys = audit.Keys{} }, audit.ErrSignature},
		{"a signature that its key did not make", forged, func(*audit.Bundle, *report.Options) {}, nil},
	}
	for _, row := range rows {
		b, o := proved(t, sealed(t, 3, nil, row.record), 1), options(t)
		row.change(&b, &o)
		if r, err := report.Compose([]audit.Bundle{b}, o); err == nil || len(r.Records) > 0 || row.want != nil && !errors.Is(err, row.want) {
			t.Errorf("%s: %d records, error %v, want %v", row.name, len(r.Records), err, row.want)
		}
	}
}

var saved = regexp.MustCompile(`<a download="([^"]+)" href="data:application/json;base64,([A-Za-z0-9+/=]+)">`)

// The bundle comes out of the page byte for byte, and passes.
func TestTheBundleIsInThePage(t *testing.T) {
	r := full(t)
	page := pageOf(t, r)
	found := saved.FindAllStringSubmatch(page, -1)
	if len(found) != 1 || found[0][1] != "JOBS.bundle.json" {
		t.Fatalf("the page has %d links to bundles", len(found))
	}
	data, err := base64.StdEncoding.DecodeString(found[0][2])
	if err != nil || !bytes.Equal(data, r.Bundles[0].Data) {
		t.Fatalf("the bundle in the page is another one: %v", err)
	}
	b, err := bundle.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(audittest.Keys(t), nil); err != nil || len(b.Entries) != 12 {
		t.Errorf("a bundle of %d records: %v", len(b.Entries), err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(data)); !strings.Contains(page, want) || !strings.Contains(html.UnescapeString(page), "--log-key '"+r.Bundles[0].LogKey+"'") {
		t.Errorf("the page has neither the digest %s nor the command", want)
	}
}

func pageOf(t *testing.T, r report.Report) string {
	t.Helper()
	page, err := r.Page()
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// poison puts hostile text into every text of a value.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + hostile)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		v.SetMapIndex(reflect.ValueOf(hostile), reflect.ValueOf([]string{hostile}))
	}
}

// raw returns the first character that a reader's program could obey or would not show.
func raw(s string) (rune, bool) {
	for _, r := range s {
		if r != '\n' && !unicode.IsGraphic(r) {
			return r, true
		}
	}
	return 0, !utf8.ValidString(s)
}

// In each form, text from outside stays text: no tag, no attribute, no control character.
func TestHostileTextIsInert(t *testing.T) {
	r := full(t)
	clean := tags(t, r)
	poison(reflect.ValueOf(&r).Elem())
	if got := tags(t, r); len(got) < len(clean) {
		t.Errorf("hostile text removes tags: %d, want at least %d", len(got), len(clean))
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	page := pageOf(t, r)
	for name, got := range map[string]string{"page": page, "text": text.String(), "unescaped page": html.UnescapeString(page)} {
		if c, found := raw(got); found {
			t.Errorf("in the %s %U stands raw", name, c)
		}
	}
}

// tags are the names of the elements of a page, each of which is closed; none of them runs, loads
// or sends anything.
func tags(t *testing.T, r report.Report) (all []string) {
	t.Helper()
	text := pageOf(t, r)
	d := xml.NewDecoder(strings.NewReader(strings.Replace(text, "<!DOCTYPE html>", "", 1)))
	d.Strict, d.AutoClose, d.Entity = true, []string{"meta", "br"}, xml.HTMLEntity
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		all = append(all, start.Name.Local)
		for _, a := range start.Attr {
			switch a.Name.Local {
			case "href":
				if !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "data:application/json;base64,") {
					t.Errorf("a link goes to %.40q", a.Value)
				}
			case "class", "id", "data-l", "scope", "lang", "charset", "name", "content", "http-equiv", "download":
			default:
				t.Errorf("<%s> has the attribute %s", start.Name.Local, a.Name.Local)
			}
		}
	}
	slices.Sort(all)
	elements := slices.Compact(slices.Clone(all))
	want := strings.Fields("a article b body br code dd details div dl dt footer h1 h2 h3 h4 head header html i li main meta ol p pre section span strong style summary table tbody td th thead title tr u ul")
	for _, e := range elements {
		if !slices.Contains(want, e) {
			t.Errorf("the page has an element <%s>", e)
		}
	}
	return all
}

// The page may load and run nothing, and its styles are those that the policy names.
func TestThePolicyOfThePage(t *testing.T) {
	page := pageOf(t, full(t))
	policy := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]+)">`).FindStringSubmatch(page)
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	if policy == nil || style == nil {
		t.Fatal("the page has no policy or no styles")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if policy[1] != want {
		t.Errorf("policy %q, want %q", policy[1], want)
	}
	if regexp.MustCompile(`(?i)url\(|@import|https?:`).MatchString(style[1]) {
		t.Error("the styles load something")
	}
}

func TestReportAsJSON(t *testing.T) {
	data, err := json.Marshal(full(t))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Format  string `json:"format"`
		Records []struct {
			ID    string       `json:"id"`
			Check report.Check `json:"signature_check"`
			Path  []report.Step
		} `json:"records"`
		Bundles []struct {
			Bundle []byte `json:"bundle"`
		} `json:"bundles"`
		NotProved []string `json:"not_proved"`
	}
	if err := json.Unmarshal(data, &got); err != nil || got.Format != "receiver-report/v1" || len(got.Records) != 12 || len(got.NotProved) == 0 {
		t.Fatalf("format %q, %d records, %v", got.Format, len(got.Records), err)
	}
	if bytes.Contains(data, []byte("0001-01-01")) {
		t.Error("an event that was not received has a time of receipt")
	}
	b, err := bundle.Parse(got.Bundles[0].Bundle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Check(audittest.Keys(t), nil); err != nil {
		t.Errorf("the bundle: %v", err)
	}
}
