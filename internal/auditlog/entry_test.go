package auditlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestRead(t *testing.T) {
	receipt := &job.Receipt{
		Signature: "sha256=abc", Key: "2026", Fingerprint: "sha256:fdef0e6f", Remote: "192.0.2.7", Received: noon.Add(-time.Second),
	}
	event := func(e job.Event) audit.Record {
		e.Source, e.Time, e.Data = "demo", noon, body
		return audit.Record{Stream: "JOBS", Seq: 12, Time: noon, Subject: e.Subject(), Header: e.Header().Map(), Data: e.Data}
	}
	attempt := func(a job.Attempt) audit.Record {
		a.SHA256, a.Size = job.BodySHA256(body), int64(len(body))
		a.Receipt.Received = noon.Add(-time.Second)
		return audit.Record{Stream: "ATTEMPTS", Seq: 7, Time: noon, Subject: a.Subject(), Header: a.Header().Map(), Data: body}
	}
	action, err := job.Action{What: job.ActionCancel, Time: noon, Operator: "me", Reason: "wrong file", Details: json.RawMessage(`{"job":"7"}`)}.Data()
	if err != nil {
		t.Fatal(err)
	}
	sum, size := job.BodySHA256(body), int64(len(body))
	base := auditlog.Entry{ID: "JOBS/12", Stream: "JOBS", Sequence: 12, Stored: noon, Received: noon.Add(-time.Second), Source: "demo", Body: sum, Size: size}
	refused := base
	refused.ID, refused.Stream, refused.Sequence = "ATTEMPTS/7", "ATTEMPTS", 7
	with := func(e auditlog.Entry, change func(*auditlog.Entry)) auditlog.Entry { change(&e); return e }
	headersOnly := event(job.Event{Kind: job.Finished, Job: job.View{ID: "7"}, Evidence: job.ByCallback, Receipt: receipt})
	headersOnly.Data, headersOnly.Header["Nats-Msg-Size"] = nil, []string{"30"}

	for _, row := range []struct {
		name   string
		record audit.Record
		want   auditlog.Entry
		status int
	}{
		{"accepted", event(job.Event{Kind: job.Finished, Job: job.View{ID: "7", Result: job.Succeeded}, Evidence: job.ByCallback, Receipt: receipt}),
			with(base, func(e *auditlog.Entry) {
				e.Verdict, e.Kind, e.Job, e.Result, e.Evidence = "accepted", "finished", "7", "succeeded", "callback"
				e.Key, e.Fingerprint, e.Signature, e.Remote = "2026", "sha256:fdef0e6f", "sha256=abc", "192.0.2.7"
			}), 200},
		{"let in later", event(job.Event{Kind: job.Finished, Job: job.View{ID: "7"}, Evidence: job.ByReverify, Receipt: receipt}),
			with(base, func(e *auditlog.Entry) {
				e.Verdict, e.Kind, e.Job, e.Evidence = "accepted", "finished", "7", "late"
				e.Key, e.Fingerprint, e.Signature, e.Remote = "2026", "sha256:fdef0e6f", "sha256=abc", "192.0.2.7"
			}), 200},
		{"unrecognised", event(job.Event{Kind: job.Unrecognised, Evidence: job.ByCallback, Reason: "no_id", Receipt: receipt}),
			with(base, func(e *auditlog.Entry) {
				e.Verdict, e.Kind, e.Reason, e.Evidence = "unrecognised", "unrecognised", "no_id", "callback"
				e.Key, e.Fingerprint, e.Signature, e.Remote = "2026", "sha256:fdef0e6f", "sha256=abc", "192.0.2.7"
			}), 200},
		{"without data", headersOnly, with(base, func(e *auditlog.Entry) {
			e.Verdict, e.Kind, e.Job, e.Evidence, e.Size = "accepted", "finished", "7", "callback", 30
			e.Key, e.Fingerprint, e.Signature, e.Remote = "2026", "sha256:fdef0e6f", "sha256=abc", "192.0.2.7"
		}), 200},
		{"duplicate", attempt(job.Attempt{Source: "demo", Verdict: job.Duplicate, Receipt: *receipt, Event: "7.finished"}),
			with(refused, func(e *auditlog.Entry) {
				e.Verdict, e.Job = "duplicate", "7"
				e.Key, e.Fingerprint, e.Signature, e.Remote = "2026", "sha256:fdef0e6f", "sha256=abc", "192.0.2.7"
			}), 200},
		{"refused", attempt(job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Signature: "sha256=x"}}),
			with(refused, func(e *auditlog.Entry) { e.Verdict, e.Reason, e.Signature = "refused", "mismatch", "sha256=x" }), 401},
		{"encoded", attempt(job.Attempt{Source: "demo", Verdict: job.Encoded}),
			with(refused, func(e *auditlog.Entry) { e.Verdict, e.Reason = "refused", "encoded" }), 415},
		{"wrong path", attempt(job.Attempt{Source: job.NoSource, Claimed: "POST /x/callbacks/crm", Verdict: job.WrongPath}),
			with(refused, func(e *auditlog.Entry) {
				e.Source, e.Claimed, e.Verdict, e.Reason = "_", "POST /x/callbacks/crm", "refused", "wrong_path"
			}), 404},
		{"wrong method", attempt(job.Attempt{Source: job.NoSource, Claimed: "GET /callbacks/crm", Verdict: job.WrongMethod}),
			with(refused, func(e *auditlog.Entry) {
				e.Source, e.Claimed, e.Verdict, e.Reason = "_", "GET /callbacks/crm", "refused", "wrong_method"
			}), 405},
		{"unknown source", attempt(job.Attempt{Source: job.NoSource, Claimed: "crm\x1b[2J", Verdict: job.UnknownSource}),
			with(refused, func(e *auditlog.Entry) {
				e.Source, e.Claimed, e.Verdict, e.Reason = "_", "crm?[2J", "refused", "unknown_source"
			}), 401},
		{"action", audit.Record{Stream: "ACTIONS", Seq: 3, Time: noon, Subject: "actions.cancel", Data: action},
			auditlog.Entry{ID: "ACTIONS/3", Stream: "ACTIONS", Sequence: 3, Stored: noon, Received: noon, Verdict: "action", What: "cancel",
				Operator: "me", Reason: "wrong file", Details: json.RawMessage(`{"job":"7"}`)}, 0},
	} {
		got, ok := auditlog.Read(row.record)
		if !ok || !reflect.DeepEqual(got, row.want) || got.Status() != row.status {
			t.Errorf("%s: Read = %+v, %v, status %d\nwant %+v, status %d", row.name, got, ok, got.Status(), row.want, row.status)
		}
	}
	for name, r := range map[string]audit.Record{
		"an answer to our question": event(job.Event{Kind: job.Finished, Job: job.View{ID: "7"}, Evidence: job.ByPoll}),
		"not ours":                  {Stream: "JOBS", Subject: "orders.1"},
		"an action that is none":    {Stream: "ACTIONS", Subject: "actions.cancel", Data: []byte("{")},
	} {
		if e, ok := auditlog.Read(r); ok {
			t.Errorf("%s: Read = %+v, want none", name, e)
		}
	}
}

func TestFilter(t *testing.T) {
	e := auditlog.Entry{
		Stored: noon, Source: "demo", Verdict: "refused", Reason: "mismatch", Remote: "192.0.2.7", Key: "2026",
		Fingerprint: "sha256:fdef0e6f", Job: "7", Body: "ae466c30",
	}
	network := func(text string) []netip.Prefix {
		n, err := auditlog.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		return []netip.Prefix{n}
	}
	for _, row := range []struct {
		name   string
		filter auditlog.Filter
		want   bool
	}{
		{"nothing asked", auditlog.Filter{}, true},
		{"since then", auditlog.Filter{Since: noon}, true},
		{"since later", auditlog.Filter{Since: noon.Add(1)}, false},
		{"until then", auditlog.Filter{Until: noon}, false},
		{"until later", auditlog.Filter{Until: noon.Add(1)}, true},
		{"source", auditlog.Filter{Sources: []string{"crm", "demo"}}, true},
		{"another source", auditlog.Filter{Sources: []string{"crm"}}, false},
		{"verdict", auditlog.Filter{Verdicts: []string{"refused"}}, true},
		{"another verdict", auditlog.Filter{Verdicts: []string{"accepted"}}, false},
		{"reason as a verdict", auditlog.Filter{Verdicts: []string{"accepted", "mismatch"}}, true},
		{"another reason as a verdict", auditlog.Filter{Verdicts: []string{"missing"}}, false},
		{"reason as a verdict, and another reason", auditlog.Filter{Verdicts: []string{"mismatch"}, Reasons: []string{"missing"}}, false},
		{"reason", auditlog.Filter{Reasons: []string{"mismatch"}}, true},
		{"another reason", auditlog.Filter{Reasons: []string{"missing"}}, false},
		{"address", auditlog.Filter{Networks: network("192.0.2.7")}, true},
		{"address as IPv6", auditlog.Filter{Networks: network("::ffff:192.0.2.7")}, true},
		{"network", auditlog.Filter{Networks: network("192.0.2.0/24")}, true},
		{"another network", auditlog.Filter{Networks: network("198.51.100.0/24")}, false},
		{"key", auditlog.Filter{Keys: []string{"2026"}}, true},
		{"fingerprint", auditlog.Filter{Keys: []string{"sha256:fdef0e6f"}}, true},
		{"another key", auditlog.Filter{Keys: []string{"2025"}}, false},
		{"job", auditlog.Filter{Jobs: []string{"7"}}, true},
		{"another job", auditlog.Filter{Jobs: []string{"8"}}, false},
		{"body", auditlog.Filter{Bodies: []string{"ae466c30"}}, true},
		{"beginning of a body", auditlog.Filter{Bodies: []string{"AE46"}}, true},
		{"another body", auditlog.Filter{Bodies: []string{"ff"}}, false},
		{"all of them", auditlog.Filter{Sources: []string{"demo"}, Jobs: []string{"7"}, Keys: []string{"2025"}}, false},
	} {
		if got := row.filter.Match(e); got != row.want {
			t.Errorf("%s: Match = %v, want %v", row.name, got, row.want)
		}
	}
	if (auditlog.Filter{Keys: []string{""}}).Match(auditlog.Entry{}) || (auditlog.Filter{Bodies: []string{""}}).Match(auditlog.Entry{}) {
		t.Error("an empty word asks for entries that have none")
	}
	if (auditlog.Filter{Verdicts: []string{"mismatch"}}).Match(auditlog.Entry{Verdict: auditlog.Action, Reason: "mismatch"}) {
		t.Error("a verdict asks for an action whose operator gave it as the reason")
	}
	for _, text := range []string{"", "1.2.3", "192.0.2.0/33", "localhost"} {
		if n, err := auditlog.ParseNetwork(text); err == nil {
			t.Errorf("ParseNetwork(%q) = %v, want an error", text, n)
		}
	}
}

func TestMergeIsInTheOrderOfTime(t *testing.T) {
	stream := func(err error, minutes ...int) iter.Seq2[auditlog.Entry, error] {
		return func(yield func(auditlog.Entry, error) bool) {
			for _, m := range minutes {
				if !yield(auditlog.Entry{Sequence: uint64(m), Stored: noon.Add(time.Duration(m) * time.Minute)}, nil) {
					return
				}
			}
			if err != nil {
				yield(auditlog.Entry{}, err)
			}
		}
	}
	stored := func(e auditlog.Entry) time.Time { return e.Stored }
	var got []uint64
	for e, err := range auditlog.Merge(stored, stream(nil, 1, 4, 5), stream(nil), stream(nil, 2, 3, 9)) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e.Sequence); len(got) == 5 {
			break
		}
	}
	if !reflect.DeepEqual(got, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("merged %v, want 1 to 5", got)
	}
	broken := errors.New("broken")
	var last error
	for _, err := range auditlog.Merge(stored, stream(nil, 1), stream(broken, 2)) {
		last = err
	}
	if !errors.Is(last, broken) {
		t.Errorf("the last of a broken stream = %v, want its error", last)
	}
}

func TestCSVIsHarmless(t *testing.T) {
	var out bytes.Buffer
	c, err := auditlog.NewCSV(&out)
	if err != nil {
		t.Fatal(err)
	}
	e := auditlog.Entry{ID: "ATTEMPTS/7", Claimed: "=HYPERLINK(\"x\")", Job: "\x1b[2J,\n", Remote: "@x", Operator: "-x", Received: noon, Stored: noon, Size: -1}
	if err := c.Write(e); err != nil {
		t.Fatal(err)
	}
	want := `id,received,stored,source,claimed,verdict,reason,kind,job,result,evidence,remote,key,fingerprint,signature,body_sha256,body_size,action,operator
ATTEMPTS/7,2026-11-23T12:00:00Z,2026-11-23T12:00:00Z,,"'=HYPERLINK(""x"")",,,,"\x1b[2J,\n",,,'@x,,,,,-1,,'-x
`
	if out.String() != want {
		t.Errorf("CSV = %q\nwant  %q", &out, want)
	}
}

func TestOCSF(t *testing.T) {
	refused := auditlog.Entry{
		ID: "ATTEMPTS/7", Stream: "ATTEMPTS", Sequence: 7, Received: noon, Stored: noon.Add(time.Second), Source: "demo",
		Verdict: "refused", Reason: "mismatch", Remote: "192.0.2.7", Signature: "sha256=x", Body: "ae46", Size: 30,
	}
	accepted := refused
	accepted.Verdict, accepted.Reason, accepted.Size = "accepted", "", -1
	astray, strange := refused, refused
	astray.Source, astray.Reason, astray.Claimed = "_", "wrong_path", "PUT /x/callbacks/demo"
	strange.Source, strange.Reason, strange.Claimed = "_", "wrong_method", "BREW /callbacks/demo"
	quarantined := accepted
	quarantined.Verdict = "quarantined"
	for _, row := range []struct {
		name  string
		entry auditlog.Entry
		want  string
	}{
		{"refused", refused, `{"action_id":2,"activity_id":6,"category_uid":4,"class_uid":4002,"disposition_id":2,"dst_endpoint":{"svc_name":"receiver"},` +
			`"http_request":{"http_method":"POST","length":30,"url":{"path":"/callbacks/demo"}},"http_response":{"code":401},` +
			`"metadata":{"log_name":"ATTEMPTS","logged_time":1795435201000,"original_time":"2026-11-23T12:00:00Z","product":{"name":"receiver","vendor_name":"receiver","version":"v1"},"profiles":["security_control"],"sequence":7,"uid":"ATTEMPTS/7","version":"1.3.0"},` +
			`"severity_id":3,"src_endpoint":{"ip":"192.0.2.7"},"status":"Failure","status_code":"refused","status_detail":"mismatch","status_id":2,"time":1795435200000,"type_uid":400206,` +
			`"unmapped":{"body_sha256":"ae46","signature":"sha256=x","source":"demo","verdict":"refused"}}`},
		{"accepted", accepted, `"action_id":1,"activity_id":6,"category_uid":4,"class_uid":4002,"disposition_id":1,`},
		{"quarantined", quarantined, `"disposition_id":3,`},
		{"wrong path", astray, `"http_request":{"http_method":"PUT","length":30,"url":{"path":"/x/callbacks/demo"}},"http_response":{"code":404},`},
		{"its method", astray, `"activity_id":7,"category_uid":4,"class_uid":4002,`},
		{"wrong method", strange, `"activity_id":99,"activity_name":"BREW","category_uid":4,"class_uid":4002,`},
		{"action", auditlog.Entry{ID: "ACTIONS/1", Verdict: "action", What: "start", Details: json.RawMessage(`{"version":"v1"}`)},
			`"activity_id":3,"actor":{"user":{"name":"receiver"}},"category_uid":3,"class_uid":3004,"entity":{"name":"receiver","type":"Service","type_id":99},`},
	} {
		got, err := json.Marshal(auditlog.ToOCSF(row.entry, "v1"))
		if err != nil || !strings.Contains(string(got), row.want) {
			t.Errorf("%s: OCSF = %s, %v\nwant %s", row.name, got, err, row.want)
		}
	}
}
