package job_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"receiver/internal/job"
)

// OC: sections 5.1, 5.2, 5.4 and 6.2, (a) rows 12, 13 and 20, (b) rows 2 and 22. A body that
// reports failed rows, or that cannot be read, is never success.
func TestReadDoesNotTakeForSuccess(t *testing.T) {
	for _, tt := range []struct {
		name, members string
		want          job.Result
		failed        *int64
	}{
		{"the names of Marketo", `"numOfLeadsProcessed":10,"numOfRowsFailed":3`, job.Partial, rows(3)},
		{"and all of them", `"numOfLeadsProcessed":10,"numOfRowsFailed":10`, job.Failed, rows(10)},
		{"rows with a warning", `"numOfLeadsProcessed":10,"numOfRowsFailed":0,"numOfRowsWithWarning":2`, job.Partial, rows(0)},
		{"no row with a warning", `"numOfRowsWithWarning":0`, job.Succeeded, nil},
		{"generation 1", `"recordsFailedCount":3`, job.Partial, rows(3)},
		{"in snake case", `"records_count":4,"records_failed_count":3`, job.Partial, rows(3)},
		{"with hyphens", `"records-failed-count":3`, job.Partial, rows(3)},
		{"in capitals", `"RECORDSFAILEDCOUNT":3`, job.Partial, rows(3)},
		{"with a capital", `"ErrorCount":3`, job.Partial, rows(3)},
		{"without the count", `"recordsFailed":3`, job.Partial, rows(3)},
		{"turned round", `"failed_records":3`, job.Partial, rows(3)},
		{"the largest of several", `"recordsFailedCount":0,"errorCount":2,"numOfRowsFailed":5,"error_count":1`, job.Partial, rows(5)},
		{"two that say nothing failed", `"recordsFailedCount":0,"error_count":0`, job.Succeeded, rows(0)},
		{"one name in two cases", `"errorCount":0,"errorcount":4`, job.Partial, rows(4)},
		{"in the vendor's own object", `"recordsFailedCount":0,"native":{"job":{"numOfRowsFailed":3}}`, job.Partial, rows(3)},
		{"in a list within", `"batches":[{"errorCount":0},{"errorCount":"2"}]`, job.Partial, rows(2)},
		{"unreadable within", `"native":{"errorCount":"some"}`, job.Undecided, nil},
		{"a failure within", `"native":{"job":{"status":"error"}}`, job.Undecided, nil},
		{"a cancellation within", `"jobs":[{"job_status":"CANCELLED"}]`, job.Undecided, nil},
		{"another vocabulary within", `"native":{"status":"JobComplete","jobStatus":"RUNNING","bulk_status":7}`, job.Succeeded, nil},
		{"not the status that the submitter gave", `"metadata":{"status":"ERROR"},"callbackPayload":[{"status":"ABORTED"}]`, job.Succeeded, nil},
		{"not in what the submitter gave", `"callback-payload":{"errorCount":3},"metadata":{"errorCount":"x"},"metaData":{"a":[{"errorCount":1}]},"callback_payload":{"errorCount":1}`, job.Succeeded, nil},

		{"text", `"recordsFailedCount":"3"`, job.Partial, rows(3)},
		{"blanks around it", `"recordsFailedCount":" 3 \t"`, job.Partial, rows(3)},
		{"a decimal", `"recordsFailedCount":3.0`, job.Partial, rows(3)},
		{"a decimal as text", `"recordsFailedCount":" 3.0 "`, job.Partial, rows(3)},
		{"an exponent", `"recordsFailedCount":3e0`, job.Partial, rows(3)},
		{"an exponent as text", `"recordsFailedCount":"30E-1"`, job.Partial, rows(3)},
		{"a sign", `"recordsFailedCount":"+3"`, job.Partial, rows(3)},
		{"leading zeros", `"recordsFailedCount":"007"`, job.Partial, rows(7)},
		{"leading zeros and a decimal", `"recordsFailedCount":"010.0"`, job.Partial, rows(10)},
		{"minus nothing", `"recordsFailedCount":-0`, job.Succeeded, rows(0)},
		{"nothing as text", `"recordsFailedCount":"0.0"`, job.Succeeded, rows(0)},
		{"the largest there is", `"recordsFailedCount":9223372036854775807`, job.Partial, rows(1<<63 - 1)},

		{"words", `"recordsFailedCount":"three"`, job.Undecided, nil},
		{"a word for none", `"recordsFailedCount":"none"`, job.Undecided, nil},
		{"a fraction", `"recordsFailedCount":0.5`, job.Undecided, nil},
		{"a fraction as text", `"recordsFailedCount":"1/2"`, job.Undecided, nil},
		{"a comma", `"recordsFailedCount":"1,000"`, job.Undecided, nil},
		{"other digits", `"recordsFailedCount":"٣"`, job.Undecided, nil},
		{"hexadecimal", `"recordsFailedCount":"0x3"`, job.Undecided, nil},
		{"negative", `"recordsFailedCount":-1`, job.Undecided, nil},
		{"negative as text", `"recordsFailedCount":"-1"`, job.Undecided, nil},
		{"beyond 2^63", `"recordsFailedCount":9223372036854775808`, job.Undecided, nil},
		{"far beyond", `"recordsFailedCount":1e400`, job.Undecided, nil},
		{"true", `"recordsFailedCount":true`, job.Undecided, nil},
		{"false", `"recordsFailedCount":false`, job.Undecided, nil},
		{"a list", `"recordsFailedCount":[3]`, job.Undecided, nil},
		{"an object", `"recordsFailedCount":{"n":3}`, job.Undecided, nil},
		{"empty text", `"recordsFailedCount":""`, job.Undecided, nil},
		{"blank text", `"recordsFailedCount":" "`, job.Undecided, nil},
		{"null is absent", `"recordsFailedCount":null,"errorCount":null`, job.Succeeded, nil},
		{"one that can be read beside it", `"recordsFailedCount":0,"errorCount":"some"`, job.Undecided, rows(0)},
		{"and rows that failed for certain", `"recordsFailedCount":2,"errorCount":"some"`, job.Undecided, rows(2)},
		{"a total that cannot be read", `"recordsCount":"many","recordsFailedCount":0`, job.Undecided, rows(0)},
		{"warnings that cannot be read", `"numOfRowsWithWarning":"some"`, job.Undecided, nil},

		{"an error", `"recordsCount":3,"recordsFailedCount":0,"error":"row 3: bad address"`, job.Partial, rows(0)},
		{"an error that is no text", `"error":{"code":5}`, job.Partial, nil},
		{"an error in another case", `"Error":"gone"`, job.Partial, nil},
		{"an error by another name", `"error_message":"gone"`, job.Partial, nil},
		{"a list of errors", `"errors":["row 3"]`, job.Partial, nil},
		{"an error and every row failed", `"recordsCount":3,"recordsFailedCount":3,"error":"gone"`, job.Failed, rows(3)},
		{"an error that is empty", `"error":""`, job.Succeeded, nil},
		{"an error that is blank", `"error":" \n"`, job.Succeeded, nil},
		{"no error", `"error":null,"errors":[ ]`, job.Succeeded, nil},
		{"errors that are none", `"error":{},"errors":0,"errorMessage":false`, job.Succeeded, nil},
		{"a message is no error", `"message":"3 rows read","infoMessage":"x","statusMessage":"y"`, job.Succeeded, nil},

		{"another end", `"jobStatus":"ABORTED"`, job.Undecided, nil},
		{"an end with reservations", `"job_status":"WARNING"`, job.Undecided, nil},
		{"another end in another case", `"Status":"ABORTED"`, job.Undecided, nil},
		{"not the end", `"bulk_status":"RUNNING"`, "", nil},
		{"an unknown word", `"jobStatus":"FAILED"`, "", nil},
		{"a status that is no word", `"jobStatus":500`, job.Undecided, nil},
		{"a status too long to be one", `"jobStatus":"` + strings.Repeat("x", job.MaxText+1) + `"`, job.Undecided, nil},
		{"the same end by another word", `"jobStatus":" success","job_status":"COMPLETE","bulk_status":null,"STATUS":""`, job.Succeeded, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, body := range []string{
				`{"id":"1","status":"COMPLETED",` + tt.members + `}`,
				`{` + tt.members + `,"status":"COMPLETED","id":"1"}`,
			} {
				v := read(t, body)
				if v.Result != tt.want || !reflect.DeepEqual(v.Failed, tt.failed) || v.Over() != (tt.want != "") {
					t.Errorf("Read(%s) = %s, want result %q and %s failed", body, dump(t, v), tt.want, dump(t, tt.failed))
				}
			}
		})
	}
}

// A failure or a cancellation stays one, whatever the counts.
func TestCountsDoNotBlurAFailure(t *testing.T) {
	for status, want := range map[string]job.Result{"ABORTED": job.Failed, "ERROR": job.Failed, "CANCELLED": job.Cancelled, "RUNNING": "", "WARNING": job.Undecided} {
		if got := read(t, `{"id":"1","status":"`+status+`","recordsFailedCount":"some"}`).Result; got != want {
			t.Errorf("%s with a count that cannot be read: Result = %q, want %q", status, got, want)
		}
	}
}

func TestDisagreeingStatusesAreBothNamed(t *testing.T) {
	for _, tt := range []struct{ members, status, result string }{
		{`"status":"COMPLETED","jobStatus":"ABORTED"`, "COMPLETED/ABORTED", "unknown"},
		{`"jobStatus":"ABORTED","status":"COMPLETED"`, "COMPLETED/ABORTED", "unknown"},
		{`"status":"ABORTED","jobStatus":"COMPLETED"`, "ABORTED/COMPLETED", "unknown"},
		{`"status":"CANCELLED","jobStatus":"ERROR"`, "CANCELLED/ERROR", "unknown"},
		{`"status":"COMPLETED","jobStatus":"RUNNING"`, "COMPLETED/RUNNING", ""},
		{`"status":"RUNNING","jobStatus":"COMPLETED","bulk_status":"ABORTED"`, "RUNNING/COMPLETED", ""},
		{`"status":"COMPLETED","jobStatus":"ABORTED","bulk_status":"RUNNING"`, "COMPLETED/ABORTED", ""},
		{`"status":"ABORTED","jobStatus":"ERROR"`, "ABORTED", "failed"},
		{`"status":"CREATED","jobStatus":"RUNNING"`, "CREATED", ""},
		{`"status":200,"jobStatus":"RUNNING"`, "RUNNING", ""},
	} {
		v := read(t, `{"id":"1",`+tt.members+`}`)
		if v.Status != tt.status || string(v.Result) != tt.result {
			t.Errorf("Read(%s) = %q %q, want %q %q", tt.members, v.Status, v.Result, tt.status, tt.result)
		}
	}
}

// OC: the id is never guessed by case where it stands in its own.
func TestReadNamesInAnyCase(t *testing.T) {
	got := read(t, `{"ID":7,"STATUS":"aborted","Object_Name":"o","jobdirection":"UPLOAD","RecordsCount":3,"FILE_FORMAT":"csv",
		"InstanceID":4,"VendorJobID":"v","CompletionTime":"t","INFOMESSAGE":"m","Error":"e","createddate":"s"}`)
	want := job.View{
		ID: "7", Status: "aborted", Result: job.Failed, Object: "o", Direction: "UPLOAD", Records: rows(3), FileFormat: "csv",
		Instance: "4", VendorJob: "v", Started: "s", Ended: "t", Message: "m", Error: "e",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Read = %s\nwant   %s", dump(t, got), dump(t, want))
	}
	if got := read(t, `{"ID":"2","job_id":"3","id":"1","status":"RUNNING"}`).ID; got != "1" {
		t.Errorf("ID beside id gives %q, want 1", got)
	}
}

// A byte order mark is no part of the JSON, and no reason to lose it.
func TestReadPastAByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	for name, body := range map[string]string{
		"plain": notification, "in many ways": "\n {\"id\":\"1\",\"status\":\"COMPLETED\",\"a\":[\"\\u0041\"]}\r\n",
	} {
		if got, want := read(t, mark+body), read(t, body); !reflect.DeepEqual(got, want) {
			t.Errorf("%s, with a mark: Read = %s, want %s", name, dump(t, got), dump(t, want))
		}
	}
	for body, want := range map[string]error{
		mark:                       job.ErrNotJSON,
		mark + mark + notification: job.ErrNotJSON,
		" " + mark + notification:  job.ErrNotJSON,
		notification + mark:        job.ErrTrailing,
		mark + notification + "{}": job.ErrTrailing,
		mark + `{"id":"1","id":2}`: job.ErrDuplicateKey,
		"\xff\xfe{\x00}\x00":       job.ErrNotJSON,
		"\xfe\xff\x00{\x00}":       job.ErrNotJSON,
		mark + "<html>":            job.ErrNotJSON,
		mark + `[{"id":"1"}]`:      job.ErrNotJSON,
	} {
		if _, err := job.Read([]byte(body)); !errors.Is(err, want) {
			t.Errorf("Read(%q) = %v, want %v", body, err, want)
		}
	}
	const answer = mark + `{"id":"1","notificationUrl":"https://example.com/elsewhere/0123456789abcdef0123"}`
	if got, changed := redact(t, []byte(answer)); !changed || strings.Contains(string(got), "0123456789abcdef0123") || !strings.HasPrefix(string(got), mark) {
		t.Errorf("Redact(%q) = %q, %v, want the address redacted and the mark kept", answer, got, changed)
	}
}

// OC: an old form of the status answer leaves out the id, which was asked for.
func TestReadAnswer(t *testing.T) {
	for _, tt := range []struct{ name, body, says string }{
		{"its id", `{"id":7,"status":"COMPLETED"}`, ""},
		{"no id", `{"status":"COMPLETED"}`, ""},
		{"no id, past a mark", "\ufeff" + `{"batchId":3,"status":"COMPLETED"}`, ""},
		{"an id that is none", `{"id":1e400,"status":"COMPLETED"}`, ""},
		{"another id", `{"id":"8","status":"COMPLETED"}`, `asked about job "7" and answers about "8"`},
		{"no status", `{}`, "no_status"},
		{"no JSON", `<html>`, "not_json"},
		{"a key twice", `{"status":"COMPLETED","status":"COMPLETED"}`, "duplicate_key"},
	} {
		v, err := job.ReadAnswer("7", []byte(tt.body))
		switch {
		case tt.says == "" && (err != nil || v.ID != "7" || v.Result != job.Succeeded):
			t.Errorf("%s: ReadAnswer = %s, %v", tt.name, dump(t, v), err)
		case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
			t.Errorf("%s: ReadAnswer = %s, %v, want an error with %q", tt.name, dump(t, v), err, tt.says)
		}
	}
}

// A stored view has the result that its reader computed then: texts that did not fit into the
// header are read from the data, and the result is not computed again.
func TestStoredEventsKeepTheirResult(t *testing.T) {
	body := []byte(`{"id":"7","status":"COMPLETED","numOfRowsFailed":3,"error":"gone","callback-payload":{"a":1}}`)
	e := finished(t, body)
	old := e
	old.Job.Result, old.Job.Failed, old.Job.Error, old.Job.Payload, old.Job.Cut = job.Succeeded, nil, "", nil, []string{"payload", "error"}
	got, err := job.ParseEvent(old.Subject(), old.Header().Map(), body)
	if err != nil {
		t.Fatal(err)
	}
	want := e.Job
	want.Result, want.Failed = job.Succeeded, nil
	if !reflect.DeepEqual(got.Job, want) {
		t.Errorf("ParseEvent gives %s\nwant %s", dump(t, got.Job), dump(t, want))
	}
	if brief, err := job.ReadBrief(e.Subject(), job.LookupIn(finished(t, []byte(`{"id":"7","status":"COMPLETED","errorCount":"x"}`)).Header().Map())); err != nil || brief.Result != job.Undecided {
		t.Errorf("ReadBrief = %+v, %v, want the result %s", brief, err, job.Undecided)
	}
}
