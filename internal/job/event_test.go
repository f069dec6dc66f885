package job_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"receiver/internal/job"
)

func TestEventHeader(t *testing.T) {
	body := []byte(notification)
	want := map[string]string{
		"ce-specversion":           "1.0",
		"ce-type":                  "com.sap.openconnectors.bulk.job.finished",
		"ce-source":                "demo",
		"ce-id":                    "42114492.finished",
		"ce-time":                  "2026-11-23T12:30:00.123456789Z",
		"ce-subject":               "42114492",
		"ce-datacontenttype":       "application/json",
		"ce-evidence":              "callback",
		"ce-filesuntil":            "2026-11-26T12:30:00Z",
		"ce-result":                "partial",
		"ce-status":                "COMPLETED",
		"receiver-job":             `{"id":"42114492","status":"COMPLETED","result":"partial","object":"contact","direction":"UPLOAD","records":2,"failed":1,"file_format":"csv","instance":"425904"}`,
		"receiver-signature":       "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ=",
		"receiver-key":             "2026",
		"receiver-key-fingerprint": "sha256:0a1b2c3d",
		"receiver-body-sha256":     job.BodySHA256(body),
		"receiver-remote":          "192.0.2.7:41234",
		"receiver-received":        "2026-11-23T12:30:00.123456789Z",
		"receiver-request":         `{"Content-Type":["application/json"],"User-Agent":["platform/1"]}`,
	}
	got := map[string]string{}
	for name, values := range finished(t, body).Header().Map() {
		got[name] = strings.Join(values, "|")
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Header = %s\nwant %s", dump(t, got), dump(t, want))
	}
}

func TestEventOfOurOwnCarriesNoReceipt(t *testing.T) {
	e := job.Event{Kind: job.Submitted, Source: "demo", Job: job.View{ID: "1"}, Evidence: job.ByUs, Data: []byte(`{"id":"1"}`)}
	for name := range e.Header().Map() {
		if strings.HasPrefix(name, "receiver-") && name != "receiver-job" {
			t.Errorf("an event without a receipt has the header %s", name)
		}
	}
}

func TestEventRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 30, 0, 1, time.UTC)
	receipt := &job.Receipt{Signature: "sha256=x", Key: "k", Fingerprint: "sha256:0a1b2c3d", Remote: "[::1]:9", Received: at, Request: "{}"}
	full := read(t, `{"id":"a.b *>é","status":" Half Done\t%20\"","recordsCount":9007199254740993,"recordsFailedCount":0,
		"error":"line\nbreak \u0000 \u007f \u2028 \ud83d\ude00 <&>","object_name":"R&amp;D","callback-payload":{"name":"Zoë","n":1.50}}`)
	for _, e := range []job.Event{
		finished(t, []byte(notification)),
		{Kind: job.Progress, Source: "demo", Job: full, Time: at, Evidence: job.ByCallback, Receipt: receipt, ContentType: "text/plain; charset=\"utf-8\"", Data: []byte("{}")},
		{Kind: job.Finished, Source: "demo", Job: full, Time: at, Evidence: job.ByPoll, Unexpected: true, ContentType: "application/json", Data: []byte("{}")},
		{Kind: job.Submitted, Source: "a-b-9", Job: job.View{ID: "1"}, Time: at, Evidence: job.ByUs, ContentType: "application/json"},
		{Kind: job.Unrecognised, Source: "demo", Time: at, Evidence: job.ByCallback, Receipt: receipt, Reason: job.ErrNotJSON.Error(), ContentType: "caf\u00e9/%", Data: []byte("\xff")},
	} {
		h := e.Header().Map()
		checkPrintable(t, h)
		got, err := job.ParseEvent(e.Subject(), h, e.Data)
		if err != nil {
			t.Errorf("ParseEvent(%s): %v", e.Subject(), err)
			continue
		}
		checkSameEvent(t, got, e)
	}
}

// checkSameEvent compares all but how the payload's JSON is written.
func checkSameEvent(tb testing.TB, got, want job.Event) {
	tb.Helper()
	if want.ContentType == "" {
		want.ContentType = "application/json"
	}
	if !sameJSON(tb, got.Job.Payload, want.Job.Payload) {
		tb.Errorf("payload = %s, want %s", got.Job.Payload, want.Job.Payload)
	}
	got.Job.Payload, want.Job.Payload = nil, nil
	if !reflect.DeepEqual(got, want) {
		tb.Errorf("event = %s\nwant    %s", dump(tb, got), dump(tb, want))
	}
}

func sameJSON(tb testing.TB, a, b json.RawMessage) bool {
	tb.Helper()
	decode := func(raw json.RawMessage) (v any) {
		if raw == nil {
			return nil
		}
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			tb.Fatalf("payload %q: %v", raw, err)
		}
		return v
	}
	return reflect.DeepEqual(decode(a), decode(b))
}

// JetStream stores no message with more than 64 KiB of headers, and an authentic
// callback must be storable whatever it says.
func TestHeadersStaySmall(t *testing.T) {
	long := strings.Repeat("é<\\u0000", 8<<10)
	word := strings.Repeat("é", job.MaxText/2)
	for _, tt := range []struct{ name, members, cut string }{
		{"a payload", `"callback-payload":{"a":"` + long + `"},"error":"short"`, "payload"},
		{"a payload that grows in ASCII", `"callback-payload":"` + strings.Repeat("é", 8<<10) + `"`, "payload"},
		{"an error", `"callback-payload":{"a":1},"error":"` + long + `"`, "payload error"},
		{"an error that grows when it is made harmless", `"error":"` + strings.Repeat("Nats-", 5<<10) + `"`, "error"},
		{"all three", `"callback-payload":["` + long + `"],"error":"` + long + `","infoMessage":"` + long + `"`, "payload error message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := finished(t, fmt.Appendf(nil, `{"id":%q,"status":%q,"bulk_finish_time":%q,"object_name":%q,"recordsFailedCount":1,%s}`,
				word, word, word, word, tt.members))
			e.Kind, e.ContentType, e.Receipt.Remote = job.Progress, long, long
			e.Receipt.Signature, e.Receipt.Request = long, strings.Repeat("x", 24<<10)
			e.Trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			h := e.Header().Map()
			checkSize(t, h)
			var v job.View
			if err := json.Unmarshal([]byte(h["receiver-job"][0]), &v); err != nil || strings.Join(v.Cut, " ") != tt.cut || v.Failed == nil {
				t.Errorf("receiver-job has cut %q, %v, want %q and the counts kept", v.Cut, err, tt.cut)
			}
			got, err := job.ParseEvent(e.Subject(), h, e.Data)
			if err != nil || !reflect.DeepEqual(got.Job, e.Job) {
				t.Errorf("ParseEvent with the data: %v, and the view is not whole again", err)
			}
			for _, data := range []string{``, `{"id":"other","status":"RUNNING"}`, `{"id":"` + word + `","status":"RUNNING"}`} {
				if got, err = job.ParseEvent(e.Subject(), h, []byte(data)); err != nil || !reflect.DeepEqual(got.Job, v) {
					t.Errorf("ParseEvent with data %.9q: %v, and the view is not that of the header", data, err)
				}
			}
		})
	}
	for _, long := range []string{long, strings.Repeat("Nats-", 8<<10), strings.Repeat("Nats-", 4<<10)} {
		checkSize(t, job.Attempt{Source: "demo", Verdict: "mismatch", Claimed: long, Receipt: job.Receipt{
			Signature: long, Remote: long, Request: long, Key: long,
		}}.Header().Map())
	}
}

// A NATS server looks for the headers it acts on in the values of others, too.
func TestNoValueSpellsAHeaderOfTheServer(t *testing.T) {
	const word = "Nats-Msg-IdNats-Msg-Id"
	request := `{"X-` + word + `":["` + word + `"]}`
	receipt := &job.Receipt{Signature: word, Key: word, Fingerprint: word, Remote: word, Request: request, Received: time.Unix(0, 1).UTC()}
	body := `{"id":"` + word + `","status":"` + word + `","error":"\\` + word + `","object_name":"` + word + `","callback-payload":{"` + word + `":"` + word + `"}}`
	e := job.Event{Kind: job.Progress, Source: "demo", Job: read(t, body), Evidence: job.ByCallback, Reason: word, ContentType: word, Receipt: receipt, Time: receipt.Received}
	if strings.Contains(e.Subject()+e.ID(), "Nats-") {
		t.Errorf("subject %s, id %s", e.Subject(), e.ID())
	}
	checkPrintable(t, e.Header().Map())
	checkPrintable(t, e.EncryptedHeader().Map())
	got, err := job.ParseEvent(e.Subject(), e.Header().Map(), nil)
	if !sameJSON(t, got.Job.Payload, e.Job.Payload) {
		t.Errorf("payload = %s, want %s", got.Job.Payload, e.Job.Payload)
	}
	got.Job.Payload = e.Job.Payload
	if err != nil || !reflect.DeepEqual(got.Job, e.Job) || got.ContentType != word || !sameJSON(t, json.RawMessage(got.Receipt.Request), json.RawMessage(request)) {
		t.Errorf("ParseEvent = %s, %v, want what was told", dump(t, got), err)
	}
	if brief, err := job.ReadBrief(e.Subject(), job.LookupIn(e.Header().Map())); err != nil || brief.ID != word || brief.Status != word || brief.Object != word {
		t.Errorf("ReadBrief = %+v, %v", brief, err)
	}
	checkPrintable(t, job.Attempt{Source: "demo", Verdict: "mismatch", Claimed: word, Receipt: *receipt, SHA256: "0", Event: e.ID()}.Header().Map())
}

func checkSize(tb testing.TB, header map[string][]string) {
	tb.Helper()
	checkPrintable(tb, header)
	size := 0
	for name, values := range header {
		size += len(name) + len(": \r\n") + len(values[0])
	}
	if size > 63<<10 {
		tb.Errorf("headers of %d bytes, want fewer than 63 KiB", size)
	}
}

// CloudEvents NATS protocol binding 1.0.3-wip, section 3.1.3.2; the first row is its own.
func TestPercentEncoding(t *testing.T) {
	for _, tt := range []struct{ name, status, want string }{
		{"the example of the specification", "Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"},
		{"nothing to do", "CANCELLATION_PENDING!~", "CANCELLATION_PENDING!~"},
		{"the three that are printable", `a "b" 100%`, "a%20%22b%22%20100%25"},
		{"control characters", "a\x00\r\n\x7f", "a%00%0D%0A%7F"},
		{"what is not UTF-8", "a\xc0\xa0", "a%EF%BF%BD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := job.Event{Kind: job.Progress, Source: "demo", Job: job.View{ID: "1", Status: tt.status}}
			got := e.Header().Map()["ce-status"][0]
			if got != tt.want {
				t.Fatalf("ce-status of %q = %q, want %q", tt.status, got, tt.want)
			}
			if back, err := url.PathUnescape(got); err != nil || back != strings.ToValidUTF8(tt.status, "\ufffd") {
				t.Errorf("decoded it is %q, %v", back, err)
			}
		})
	}
}

func TestEventID(t *testing.T) {
	id := func(k job.Kind, body string) string {
		e := job.Event{Kind: k, Source: "demo", Data: []byte(body)}
		if k != job.Unrecognised {
			e.Job = read(t, body)
		}
		return e.ID()
	}
	completed := `{"id":"1","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`
	for _, tt := range []struct {
		name  string
		kind  job.Kind
		a, b  string
		same  bool
		wantA string
	}{
		{"finished is one for a job", job.Finished, completed, `{"id":1,"jobStatus":"ABORTED"}`, true, "1.finished"},
		{"of another job it is another", job.Finished, completed, `{"id":"2","status":"COMPLETED"}`, false, "1.finished"},
		{"progress in another spelling", job.Progress, `{"id":"1","status":"CREATED"}`, `{"id":"1","status":"CREATEd"}`, true, "1.progress.CREATED"},
		{"progress of another status", job.Progress, `{"id":"1","status":"CREATED"}`, `{"id":"1","status":"RUNNING"}`, false, "1.progress.CREATED"},
		{"progress of an unknown status", job.Progress, `{"id":"1","status":"half done"}`, `{"id":"1","status":"half-done"}`, false, "1.progress.~SEFMRiBET05F"},
		{"a conflict in another spelling", job.Conflict, completed, `{"id":"1","status":"SUCCESS"}`, true, "1.conflict.COMPLETED.succeeded"},
		{"a conflict of another result", job.Conflict, completed, `{"id":"1","status":"COMPLETED","recordsFailedCount":1}`, false, "1.conflict.COMPLETED.succeeded"},
		{"unrecognised bytes again", job.Unrecognised, "x", "x", true, "unrecognised." + job.BodySHA256([]byte("x"))},
		{"other unrecognised bytes", job.Unrecognised, "x", "x ", false, "unrecognised." + job.BodySHA256([]byte("x"))},
	} {
		a, b := id(tt.kind, tt.a), id(tt.kind, tt.b)
		if a != tt.wantA || (a == b) != tt.same {
			t.Errorf("%s: ids %q and %q, want %q, the same = %v", tt.name, a, b, tt.wantA, tt.same)
		}
	}
	seen := map[string]job.Kind{}
	for _, k := range []job.Kind{job.Submitted, job.Progress, job.Finished, job.Overdue, job.Conflict, job.Errors} {
		got := id(k, completed)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one id, %q", k, other, got)
		}
		seen[got] = k
	}
}

func TestParseEventRefuses(t *testing.T) {
	ok := finished(t, []byte(notification))
	for _, tt := range []struct{ name, subject, header, value string }{
		{"another stream", "attempts.demo.mismatch", "", ""},
		{"another job", "jobs.demo.1.finished", "", ""},
		{"another body", "jobs.demo." + job.BodySHA256(nil) + ".unrecognised", "", ""},
		{"no time", ok.Subject(), "ce-time", ""},
		{"a time that is none", ok.Subject(), "ce-time", "yesterday"},
		{"no view", ok.Subject(), "receiver-job", ""},
		{"a view that is no JSON", ok.Subject(), "receiver-job", "{"},
		{"a view of no job", ok.Subject(), "receiver-job", "{}"},
		{"a receipt without a time", ok.Subject(), "receiver-received", "yesterday"},
		{"a media type that cannot be decoded", ok.Subject(), "ce-datacontenttype", "%zz"},
	} {
		h := ok.Header().Map()
		if tt.header != "" {
			h[tt.header] = []string{tt.value}
		}
		if got, err := job.ParseEvent(tt.subject, h, ok.Data); err == nil {
			t.Errorf("%s: ParseEvent = %s, want an error", tt.name, dump(t, got))
		}
	}
	if _, err := job.ParseEvent(ok.Subject(), nil, nil); err == nil {
		t.Error("ParseEvent took a message without headers")
	}
}

// White space, quotes, percent signs and what is not ASCII are percent-encoded in attributes of
// CloudEvents.
func TestAttributesAreEncoded(t *testing.T) {
	for in, want := range map[string]string{
		"!~": "!~", "~é": "~%C3%A9", "Half Done": "Half%20Done", `a"b`: "a%22b", "5%": "5%25", "\x7f": "%7F", "\xff": "%EF%BF%BD",
	} {
		h := job.Event{Kind: job.Progress, Source: "demo", Job: job.View{ID: in, Status: in}}.Header().Map()
		for _, name := range []string{"ce-subject", "ce-status"} {
			if got := h[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%s of %q = %q, want %q", name, in, got, want)
			}
		}
	}
}

// The request's headers are recorded up to 24 KiB, or not at all.
func TestTheRequestsHeadersAreBounded(t *testing.T) {
	for length, want := range map[int]int{24 << 10: 24 << 10, 24<<10 + 1: 0} {
		e := job.Event{Kind: job.Unrecognised, Source: "demo", Receipt: &job.Receipt{Request: strings.Repeat("x", length)}}
		if got := len(strings.Join(e.Header().Map()["receiver-request"], "")); got != want {
			t.Errorf("of %d bytes of headers %d are recorded, want %d", length, got, want)
		}
	}
}

// The view is in a header of up to 32 KiB. Texts that do not fit are named there, and read from the
// data.
func TestTheViewIsBounded(t *testing.T) {
	const room = 32 << 10
	view := func(v job.View) (header string, cut []string) {
		e := job.Event{Kind: job.Finished, Source: "demo", Job: v, Time: time.Unix(1, 0)}
		h := e.Header().Map()
		got, err := job.ParseEvent(e.Subject(), h, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h["receiver-job"][0], got.Job.Cut
	}
	v := job.View{ID: "1", Error: "x"}
	short, _ := view(v)
	v.Error = strings.Repeat("x", room-len(short)+1)
	if header, cut := view(v); len(header) != room || cut != nil {
		t.Errorf("a view of 32 KiB takes %d bytes without %q, want all of it", len(header), cut)
	}
	v.Error += "x"
	if header, cut := view(v); len(header) > room || !slices.Equal(cut, []string{"error"}) {
		t.Errorf("a view of more takes %d bytes without %q, want it without its error", len(header), cut)
	}
	v = job.View{ID: "1", Payload: json.RawMessage(`[1,` + strings.Repeat(" ", room) + `2]`)}
	if header, cut := view(v); header != `{"id":"1","payload":[1,2]}` || cut != nil {
		t.Errorf("a payload of white space: %.100s without %q, want it without the white space", header, cut)
	}
}

// Texts that were cut are read from data about the same job and status alone.
func TestCutTextsAreReadFromTheirOwnData(t *testing.T) {
	e := encryptedEvents(t)["asked for"]
	own := encryptedEvents(t)["submitted"]
	for _, tt := range []struct {
		name, data string
		event      job.Event
		want       bool
	}{
		{"its own", string(e.Data), e, true},
		{"another job's", `{"id":"8","status":"COMPLETED","error":"x"}`, e, false},
		{"another status", `{"id":"7","status":"RUNNING","error":"x"}`, e, false},
		{"no JSON", `x`, e, false},
		{"our own", string(own.Data), own, true},
		{"our own without a payload", `{"submission":"s-1"}`, own, false},
		{"our own, and no JSON", `x`, own, false},
	} {
		got, err := job.ParseEvent(tt.event.Subject(), tt.event.EncryptedHeader().Map(), []byte(tt.data))
		if err != nil || (got.Job.Cut == nil) != tt.want || (got.Job.Error != "" || got.Job.Payload != nil) != tt.want {
			t.Errorf("%s: ParseEvent = %s, %v, want it whole: %v", tt.name, dump(t, got.Job), err, tt.want)
		}
	}
}

func TestTheSubjectOfNoBytes(t *testing.T) {
	e := job.Event{Kind: job.Unrecognised, Source: "demo"}
	if got, want := e.Subject(), "jobs.demo."+job.BodySHA256(nil)+".unrecognised"; got != want {
		t.Errorf("Subject = %s, want %s", got, want)
	}
}

func TestASCIIJSON(t *testing.T) {
	in := "{\n\t\"é\": \"😀 \U00010000 \u2028 \x7f ~ok\"}"
	want := `{  "\u00e9": "\ud83d\ude00 \ud800\udc00 \u2028 \u007f ~ok"}`
	got := job.ASCIIJSON([]byte(in))
	if got != want {
		t.Errorf("ASCIIJSON(%q) = %q, want %q", in, got, want)
	}
	if !sameJSON(t, json.RawMessage(got), json.RawMessage(in)) {
		t.Errorf("ASCIIJSON(%q) = %q, another document", in, got)
	}
}

// FuzzRead shows that whatever is read makes an event that can be stored, and that
// comes back from storage as it was.
func FuzzRead(f *testing.F) {
	for _, body := range seeds {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := job.Read(body)
		if want := structure(body); want != nil && !errors.Is(err, want) || want == nil && aboutStructure[err] {
			t.Fatalf("Read(%q) error = %v, want %v", body, err, want)
		}
		if err != nil {
			if _, known := aboutStructure[err]; !known || !reflect.DeepEqual(v, job.View{}) {
				t.Fatalf("Read(%q) = %+v, %v, want nothing and a known reason", body, v, err)
			}
			return
		}
		e := finished(t, body)
		h := e.Header().Map()
		checkSize(t, h)
		got, err := job.ParseEvent(e.Subject(), h, body)
		if err != nil {
			t.Fatalf("ParseEvent(%q) of what Read read: %v", e.Subject(), err)
		}
		checkSameEvent(t, got, e)
	})
}

// aboutStructure holds every error of Read, and whether it is about the document or
// about what it says.
var aboutStructure = map[error]bool{
	job.ErrNotJSON: true, job.ErrTrailing: true, job.ErrDuplicateKey: true, job.ErrTooDeep: true,
	job.ErrEvent: false, job.ErrNoID: false, job.ErrNoStatus: false,
}

var seeds = []string{
	notification,
	`{"id":"1234","status":"COMPLETE"}`,
	`{"id":1.234E3,"jobStatus":"CANCELED","recordCount":"7","errorCount":0,"metaData":"{\"callback-payload\":{\"a\":[1e5,\"\u00e9\"]}}"}`,
	`{"id":"\ud83d\ude00.*>","status":"\u0000","error":{"a":null},"callback-payload":" \u2028<\\"}`,
	"{\"id\":\"1\",\"status\":\"\xff\",\"object_name\":\"\\ud800\"}",
	`{"id":"1","id":"2","status":"x","\u0069d":{}} {}`,
	`{"id":"1","status":"x","a":[[{},{"b":{"b":[]}}]]}`,
	`{"message":{"eventId":"e"},"id":"n"}`,
	`[{"a":1`, ``, `{}`, `{}}`, "{}\v", `{"":"","\"":1}`, "\ufeff{}", `{"a":"}","b":"\\"}`,
	"\ufeff" + notification, "\ufeff\ufeff{}", "\ufeff {} \ufeff", `{"id":"1","status":"COMPLETED","jobStatus":"ABORTED"}`,
	`{"id":"1","status":"COMPLETED","numOfRowsFailed":" 3.0 ","native":{"error_count":1e2},"numOfRowsWithWarning":"x"}`,
	`{"ID":"1","STATUS":"COMPLETED","Errors":[1],"recordsFailedCount":{"errorCount":"","b":{"failedRows":[]}}}`,
}

// A string with any ASCII character is written as encoding/json writes it, in printable characters.
func TestAppendString(t *testing.T) {
	for c := range 128 {
		s := "a" + string(rune(c)) + "z"
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := job.AppendString([]byte("x"), s); string(got) != "x"+job.ASCIIJSON(want) {
			t.Errorf("AppendString(%q) = %s, want x%s", s, got, job.ASCIIJSON(want))
		}
	}
}

// The view in a header is what encoding/json makes of it, whatever the platform says.
func TestTheViewIsThatOfEncodingJSON(t *testing.T) {
	same := func(v job.View) bool {
		v.ID = "1" + v.ID // else there is none
		got := job.Event{Kind: job.Finished, Job: v}.Header().Map()["receiver-job"][0]
		data, err := json.Marshal(v)
		if err != nil {
			v.Payload = nil
			data, err = json.Marshal(v)
		}
		want := job.ASCIIJSON(data)
		if err != nil || got != want {
			t.Errorf("view = %s\nwant %s, %v", got, want, err)
		}
		return !t.Failed()
	}
	n := int64(-7)
	for _, v := range []job.View{
		{}, {Status: "<&>", Records: &n}, {Payload: json.RawMessage(`{"a": "<é>"}`), Cut: []string{"error", "message"}},
		{Error: "line\nbreak \x7f \u2028 \xff", Message: `"\`, Failed: new(int64)},
	} {
		same(v)
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// Events that were stored before the names in JSON were made one kind are read as they were meant.
func TestViewsOfEarlierEventsAreRead(t *testing.T) {
	for name, text := range map[string]string{
		"now":    `{"id":"7","status":"COMPLETED","file_format":"csv","vendor_job":"v-1","cut":["error"]}`,
		"before": `{"id":"7","status":"COMPLETED","fileFormat":"csv","vendorJob":"v-1","cut":["error"]}`,
	} {
		var got job.View
		err := json.Unmarshal([]byte(text), &got)
		want := job.View{ID: "7", Status: "COMPLETED", FileFormat: "csv", VendorJob: "v-1", Cut: []string{"error"}}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// The trace context comes back, and is no part of what makes an event: subject, id and digest are
// those of the same event without it.
func TestTraceContextIsNoPartOfTheIdentity(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	plain := job.Event{Kind: job.Finished, Source: "demo", Job: job.View{ID: "7", Status: "COMPLETED"}, Evidence: job.ByPoll, Data: []byte(`{}`)}
	traced := plain
	traced.Trace = trace
	if plain.Subject() != traced.Subject() || plain.ID() != traced.ID() || plain.Digest() != traced.Digest() {
		t.Errorf("%s, %s differ with a trace context", traced.Subject(), traced.ID())
	}
	for want, e := range map[string]job.Event{"": plain, trace: traced} {
		got, err := job.ParseEvent(e.Subject(), e.Header().Map(), e.Data)
		if err != nil || got.Trace != want || !got.Job.SameOutcome(plain.Job) {
			t.Errorf("ParseEvent of %q = %q, %v", want, got.Trace, err)
		}
		if _, there := e.Header().Map()[job.HeaderTrace]; there != (want != "") {
			t.Errorf("Header of %q has a trace context: %v", want, there)
		}
	}
}
