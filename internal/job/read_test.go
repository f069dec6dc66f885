package job_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

// OC: sections 5.1 and 6.2, (a) rows 10, 20 and 21, (b) rows 1 and 2.
func TestReadBothGenerations(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       job.View
	}{
		{"the example of section 6.2", notification, job.View{
			ID: "42114492", Status: "COMPLETED", Result: job.Partial, Object: "contact", Direction: "UPLOAD",
			Records: rows(2), Failed: rows(1), FileFormat: "csv", Instance: "425904",
		}},
		{"the answer of the seed page", `{"id": "1234", "status": "COMPLETE"}`, job.View{
			ID: "1234", Status: "COMPLETE", Result: job.Succeeded,
		}},
		{"everything of generation 1", `{"id":"1","status":"ABORTED","recordsCount":7,"recordsFailedCount":3,
			"instanceId":5,"object_name":"contact","job_direction":"DOWNLOAD","fileFormat":"json","fileSize":9,
			"vendorJobId":"v-1","metadata":{},"bulk_start_time":"2018-05-28 10:00","bulk_finish_time":1527501600000,
			"error":"gone","infoMessage":"quota"}`, job.View{
			ID: "1", Status: "ABORTED", Result: job.Failed, Object: "contact", Direction: "DOWNLOAD",
			Records: rows(7), Failed: rows(3), Error: "gone", Message: "quota", FileFormat: "json", Instance: "5",
			VendorJob: "v-1", Started: "2018-05-28 10:00", Ended: "2018-05-28T10:00:00Z",
		}},
		{"everything of generation 2", `{"id":1234.0,"jobStatus":"CANCELED","statusMessage":"by user","recordCount":7,
			"errorCount":0,"objectName":"Contact","jobDirection":"UPLOAD","metaData":{},"createdDate":1527501600000,
			"completionTime":1527501600123,"vendorJobId":77,"notificationUrl":"https://example.com","native":{},
			"defaultSelectFields":[],"fileFormat":"csv","jobCriteria":{}}`, job.View{
			ID: "1234", Status: "CANCELED", Result: job.Cancelled, Object: "Contact", Direction: "UPLOAD",
			Records: rows(7), Failed: rows(0), Message: "by user", FileFormat: "csv", VendorJob: "77",
			Started: "2018-05-28T10:00:00Z", Ended: "2018-05-28T10:00:00.123Z",
		}},
		{"a row of the jobs list", `{"job_id":"9","job_status":"RUNNING","instance_id":4,"object_name":"o",
			"job_direction":"UPLOAD","record_count":1,"error_count":0,"completion_time":null}`, job.View{
			ID: "9", Status: "RUNNING", Object: "o", Direction: "UPLOAD", Records: rows(1), Failed: rows(0), Instance: "4",
		}},
		{"its third variant", `{"id":"9","bulk_status":"CREATED"}`, job.View{ID: "9", Status: "CREATED"}},
		{"the first name wins", `{"job_id":"3","jobId":"2","id":"1","objectName":"b","object_name":"a","status":"COMPLETED"}`, job.View{
			ID: "1", Status: "COMPLETED", Result: job.Succeeded, Object: "a",
		}},
		{"a status that is no word yields to one that is", `{"id":"1","status":200,"jobStatus":"RUNNING"}`, job.View{
			ID: "1", Status: "RUNNING",
		}},
		{"a name in its own case comes before others", `{"ID":"2","id":"1","status":"RUNNING","OBJECT_NAME":"b","objectName":"a"}`, job.View{
			ID: "1", Status: "RUNNING", Object: "a",
		}},
		{"other cases in the order of the names, too", `{"JOB_ID":"2","ID":"1","status":"RUNNING"}`, job.View{ID: "1", Status: "RUNNING"}},
		{"of two in other cases the first", `{"id":"1","status":"RUNNING","OBJECT_NAME":"a","Object_Name":"b"}`, job.View{
			ID: "1", Status: "RUNNING", Object: "a",
		}},
		{"a name of 64 bytes", `{"id":"1","` + strings.Repeat("_", 58) + `status":"RUNNING"}`, job.View{ID: "1", Status: "RUNNING"}},
		{"an empty text yields to one that is not", `{"id":"1","status":"RUNNING","message":"","infoMessage":"quota"}`, job.View{
			ID: "1", Status: "RUNNING", Message: "quota",
		}},
		{"an unknown status stays as it is", `{"id":"1","status":" Half-Done "}`, job.View{ID: "1", Status: " Half-Done "}},
		{"text is left alone", `{"id":"1","status":"RUNNING","object_name":"R&amp;D &lt;x&gt;","error":"caf\u00e9 \ud83d\ude00"}`, job.View{
			ID: "1", Status: "RUNNING", Object: "R&amp;D &lt;x&gt;", Error: "café 😀",
		}},
		{"a keyed error that is no text", `{"id":"1","status":"ERROR","error":{"code": 5}}`, job.View{
			ID: "1", Status: "ERROR", Result: job.Failed, Error: `{"code": 5}`,
		}},
		{"nulls are absent", `{"id":"1","status":"RUNNING","error":null,"recordsCount":null,"instanceId":null,"callback-payload":null}`,
			job.View{ID: "1", Status: "RUNNING"}},
		{"bytes that are not UTF-8", "{\"id\":\"1\",\"status\":\"ERROR\",\"error\":\"caf\xe9\",\"object_name\":\"\xff\"}", job.View{
			ID: "1", Status: "ERROR", Result: job.Failed, Error: "caf\ufffd", Object: "\ufffd",
		}},
		{"and in an error that is no text", "{\"id\":\"1\",\"status\":\"ERROR\",\"error\":[\"\xff\"]}", job.View{
			ID: "1", Status: "ERROR", Result: job.Failed, Error: "[\"\ufffd\"]",
		}},
		{"white space around and within", " \r\n\t{ \"id\" : \"1\" , \"status\" : \"RUNNING\" } \n", job.View{ID: "1", Status: "RUNNING"}},
		{"escaped names", `{"\u0069d":"1","stat\u0075s":"RUNNING"}`, job.View{ID: "1", Status: "RUNNING"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := read(t, tt.body); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Read = %s\nwant   %s", dump(t, got), dump(t, tt.want))
			}
		})
	}
}

func TestReadBoundsShortTexts(t *testing.T) {
	long, short := strings.Repeat("x", job.MaxText+1), strings.Repeat("y", job.MaxText)
	got := read(t, `{"id":"1","status":"`+long+`","jobStatus":"`+short+`","object_name":"`+long+`","objectName":"`+short+`",
		"job_direction":"`+long+`","fileFormat":"`+long+`","bulk_start_time":"`+long+`","bulk_finish_time":"`+short+`","error":"`+long+`","message":"`+long+`"}`)
	want := job.View{ID: "1", Status: short, Object: short, Ended: short, Error: long, Message: long}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Read = %s\nwant   %s", dump(t, got), dump(t, want))
	}
}

// OC: (b) row 1, section 5.1 `id`.
func TestReadID(t *testing.T) {
	long := strings.Repeat("9", job.MaxID)
	for _, tt := range []struct{ name, id, want string }{
		{"text", `"42114492"`, "42114492"},
		{"number", `42114492`, "42114492"},
		{"beyond float64", `9007199254740993`, "9007199254740993"},
		{"beyond int64", `123456789012345678901234567890`, "123456789012345678901234567890"},
		{"a double", `1234.0`, "1234"},
		{"a double with exponent", `1.234E3`, "1234"},
		{"a huge exponent", `1e400`, ""},
		{"an exponent beyond any arithmetic", `1e999999999`, ""},
		{"a fraction", `1234.5`, ""},
		{"zero", `0`, "0"},
		{"negative", `-7`, "-7"},
		{"forty-one digits", "1" + strings.Repeat("0", 40), ""},
		{"text with spaces", `" 12 34 "`, " 12 34 "},
		{"text beyond ASCII", `"é.*>"`, "é.*>"},
		{"as long as may be", `"` + long + `"`, long},
		{"too long", `"` + long + `9"`, ""},
		{"a control character", `"12\n34"`, ""},
		{"an unpaired surrogate", `"\ud800"`, ""},
		{"bytes that are not UTF-8", "\"\xff\"", ""},
		{"empty", `""`, ""},
		{"null", `null`, ""},
		{"a boolean", `true`, ""},
		{"an object", `{"id":"1"}`, ""},
		{"an array", `["1"]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := job.Read([]byte(`{"id":` + tt.id + `,"status":"COMPLETED"}`))
			if tt.want == "" {
				if !errors.Is(err, job.ErrNoID) {
					t.Fatalf("Read with id %s = %q, %v, want %v", tt.id, v.ID, err, job.ErrNoID)
				}
				return
			}
			if err != nil || v.ID != tt.want {
				t.Errorf("Read with id %s = %q, %v, want %q", tt.id, v.ID, err, tt.want)
			}
		})
	}
	if got := read(t, `{"id":"","jobId":7,"status":"RUNNING"}`).ID; got != "7" {
		t.Errorf("with an empty id, ID = %q, want that of jobId, 7", got)
	}
}

// OC: section 5.1 `recordsCount`, (b) row 2.
func TestReadCounts(t *testing.T) {
	for _, tt := range []struct {
		name, count string
		want        *int64
	}{
		{"number", `12`, rows(12)},
		{"zero", `0`, rows(0)},
		{"text", `"12"`, rows(12)},
		{"a double", `12.0`, rows(12)},
		{"beyond float64", `9007199254740993`, rows(9007199254740993)},
		{"beyond int64", `9223372036854775808`, nil},
		{"a fraction", `1.5`, nil},
		{"negative", `-1`, nil},
		{"text that is no number", `"many"`, nil},
		{"null", `null`, nil},
		{"an array", `[12]`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, `{"id":"1","status":"RUNNING","recordsCount":`+tt.count+`}`).Records
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Records of %s = %s, want %s", tt.count, dump(t, got), dump(t, tt.want))
			}
		})
	}
	got := read(t, `{"id":"1","status":"RUNNING","recordsCount":"many","recordCount":3}`).Records
	if !reflect.DeepEqual(got, rows(3)) {
		t.Errorf("a count that is none hides the next name: Records = %s, want 3", dump(t, got))
	}
}

// OC: section 6.2 last row, (b) row 21.
func TestReadPayload(t *testing.T) {
	for _, tt := range []struct{ name, members, want string }{
		{"at the top", `"callback-payload":{"a": 1}`, `{"a": 1}`},
		{"in camel case", `"callbackPayload":[1,2]`, `[1,2]`},
		{"in snake case", `"callback_payload":"x"`, `"x"`},
		{"any JSON", `"callback-payload":1.50`, `1.50`},
		{"in the metadata", `"metadata":{"callback-payload":{"a":1}}`, `{"a":1}`},
		{"in the metadata of generation 2", `"metaData":{"callbackPayload":{"a":1}}`, `{"a":1}`},
		{"in metadata that is text", `"metadata":"{\"callback-payload\":{\"a\":\"\u00e9\"}}"`, `{"a":"é"}`},
		{"the top before the metadata", `"metadata":{"callback-payload":1},"callback-payload":2`, `2`},
		{"null hides nothing", `"callback-payload":null,"metadata":{"callback-payload":1}`, `1`},
		{"not deeper", `"metadata":{"more":{"callback-payload":1}}`, ``},
		{"not in text with a key twice", `"metadata":"{\"callback-payload\":1,\"callback-payload\":2}"`, ``},
		{"not in text that is no JSON", `"metadata":"callback-payload"`, ``},
		{"not in a list", `"metadata":[{"callback-payload":1}]`, ``},
		{"nowhere", `"x":1`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, `{"id":"1","status":"RUNNING",`+tt.members+`}`).Payload
			if string(got) != tt.want {
				t.Errorf("Payload of %s = %q, want %q", tt.members, got, tt.want)
			}
		})
	}
}

// Other readers name the members themselves.
func TestFields(t *testing.T) {
	f, err := job.ReadFields([]byte(`{"Job_ID":1234.0,"id":"x","note":"","ZONE":{"a":1},"n":"many","count":"7",
		"start":0,"first":1,"last":253402300799999,"beyond":253402300800000,"text":"1527501600000",
		"rfc":"2026-11-23T13:00:00+01:00","day":"yesterday"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range []struct {
		names []string
		want  string
	}{
		{[]string{"jobId"}, "1234"},
		{[]string{"note", "none", "id"}, "x"},
		{[]string{"none"}, ""},
	} {
		if got := f.ID(names.names...); got != names.want {
			t.Errorf("ID(%q) = %q, want %q", names.names, got, names.want)
		}
	}
	if got, want := f.Text("note", "zone"), `{"a":1}`; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
	if got := f.Count("n", "count"); !reflect.DeepEqual(got, rows(7)) {
		t.Errorf("Count = %s, want 7", dump(t, got))
	}
	if got := f.Count("n", "none"); got != nil {
		t.Errorf("Count of what is no number = %d, want none", *got)
	}
	for name, want := range map[string]time.Time{
		"start": {}, "first": time.UnixMilli(1), "last": time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), "beyond": {},
		"text": time.UnixMilli(1527501600000), "rfc": time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), "day": {}, "none": {},
	} {
		if got := f.Time(name); !got.Equal(want) {
			t.Errorf("Time(%q) = %v, want %v", name, got, want)
		}
	}
}

// A view outlives the request whose buffer held the body.
func TestReadKeepsNothingOfTheBody(t *testing.T) {
	body := []byte(`{"id":"1","status":"RUNNING","error":[1],"callback-payload":{"a":1}}`)
	got, err := job.Read(body)
	if err != nil {
		t.Fatal(err)
	}
	want := dump(t, got)
	for i := range body {
		body[i] = 'x'
	}
	if dump(t, got) != want {
		t.Errorf("after its body was overwritten the view is %s, want %s", dump(t, got), want)
	}
}

// OC: section 7.2, (b) rows 19 and 20.
func TestReadRefuses(t *testing.T) {
	nested := func(depth int) string {
		return `{"id":"1","status":"RUNNING","x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"nothing", ``, job.ErrNotJSON},
		{"white space", " \n", job.ErrNotJSON},
		{"text", `hello`, job.ErrNotJSON},
		{"HTML", `<html></html>`, job.ErrNotJSON},
		{"the placeholder of the vendor's page", `<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>`, job.ErrNotJSON},
		{"a form", `id=1&status=COMPLETED`, job.ErrNotJSON},
		{"null", `null`, job.ErrNotJSON},
		{"a string", `"COMPLETED"`, job.ErrNotJSON},
		{"an array", `[{"id":"1","status":"COMPLETED"}]`, job.ErrNotJSON},
		{"an array and more", `[] {"id":"1","status":"COMPLETED"}`, job.ErrNotJSON},
		{"UTF-16", "\x00{\x00}", job.ErrNotJSON},
		{"cut short", `{"id":"1","status":"COMPL`, job.ErrNotJSON},
		{"cut short in a list", `{"id":"1","status":"COMPLETED","x":[`, job.ErrNotJSON},
		{"the wrong bracket", `{"id":"1","status":"COMPLETED","x":[1}}`, job.ErrNotJSON},
		{"cut short in a number", `{"id":"1","status":"COMPLETED","x":1`, job.ErrNotJSON},
		{"a comma too many", `{"id":"1","status":"COMPLETED",}`, job.ErrNotJSON},
		{"a comma too few", `{"id":"1" "status":"COMPLETED"}`, job.ErrNotJSON},
		{"single quotes", `{'id':'1'}`, job.ErrNotJSON},
		{"a raw line break in a string", "{\"id\":\"1\",\"status\":\"COM\nPLETED\"}", job.ErrNotJSON},
		{"a leading zero", `{"id":01,"status":"COMPLETED"}`, job.ErrNotJSON},
		{"not a number", `{"id":NaN,"status":"COMPLETED"}`, job.ErrNotJSON},
		{"a comment", `{"id":"1"/**/,"status":"COMPLETED"}`, job.ErrNotJSON},

		{"a second document", `{"id":"1","status":"COMPLETED"}{"id":"2"}`, job.ErrTrailing},
		{"a second line", "{\"id\":\"1\",\"status\":\"COMPLETED\"}\n{}", job.ErrTrailing},
		{"a bracket too many", `{"id":"1","status":"COMPLETED"}}`, job.ErrTrailing},
		{"a zero byte at the end", "{\"id\":\"1\",\"status\":\"COMPLETED\"}\x00", job.ErrTrailing},

		{"two statuses", `{"id":"1","status":"COMPLETED","status":"ABORTED"}`, job.ErrDuplicateKey},
		{"twice the same", `{"id":"1","id":"1","status":"COMPLETED"}`, job.ErrDuplicateKey},
		{"twice, once escaped", `{"id":"1","\u0069d":"2","status":"COMPLETED"}`, job.ErrDuplicateKey},
		{"twice what cannot be decoded", "{\"id\":\"1\",\"status\":\"COMPLETED\",\"\xff\":1,\"\\ud800\":2}", job.ErrDuplicateKey},
		{"twice in an object within", `{"id":"1","status":"COMPLETED","metadata":{"a":1,"a":2}}`, job.ErrDuplicateKey},
		{"twice in an object in a list", `{"id":"1","status":"COMPLETED","x":[[{}],{"a":1,"b":{"a":2},"a":3}]}`, job.ErrDuplicateKey},
		{"twice among many", `{"id":"1","status":"COMPLETED",` + members(1000) + `,"k500":0}`, job.ErrDuplicateKey},

		{"too many lists", nested(job.MaxDepth + 1), job.ErrTooDeep},
		{"very many lists", nested(5000), job.ErrTooDeep},
		{"too many objects", strings.Repeat(`{"a":`, job.MaxDepth+1) + `1` + strings.Repeat(`}`, job.MaxDepth+1), job.ErrTooDeep},

		{"an event", `{"id":"n-1","severity":"low","topic":"instance-523232-sfdc-events","action":"create",
			"message":{"eventId":"e","instanceId":523232,"events":[{"objectType":"Contact","eventType":"UPDATED"}]}}`, job.ErrEvent},
		{"an event of the older shape", `{"eventId":"e","instanceId":1,"response":{"events":[]},"notificationId":"n"}`, job.ErrEvent},

		{"no id", `{"status":"COMPLETED"}`, job.ErrNoID},
		{"an empty object", `{}`, job.ErrNoID},
		{"no status", `{"id":"1"}`, job.ErrNoStatus},
		{"a blank status", `{"id":"1","status":" \t"}`, job.ErrNoStatus},
		{"a status too long to be one", `{"id":"1","status":"` + strings.Repeat("x", job.MaxText+1) + `"}`, job.ErrNoStatus},
		{"a status that is no text", `{"id":"1","status":{"code":"COMPLETED"}}`, job.ErrNoStatus},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := job.Read([]byte(tt.body))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Read error = %v, want %v", err, tt.want)
			}
			if !reflect.DeepEqual(v, job.View{}) {
				t.Errorf("with its error Read gives %s, want nothing", dump(t, v))
			}
		})
	}
	if _, err := job.Read([]byte(nested(job.MaxDepth))); err != nil {
		t.Errorf("nested to MaxDepth: %v, want it read", err)
	}
	if _, err := job.Read([]byte(`{"id":"1","status":"RUNNING","x":[{"a":1},{"a":1}],"a":{"a":{"a":1}},` + members(1000) + `}`)); err != nil {
		t.Errorf("one key in many objects: %v, want it read", err)
	}
	if got := read(t, `{"id":"1","status":"RUNNING","message":"not an event"}`).Message; got != "not an event" {
		t.Errorf("Message = %q, want the text", got)
	}
}

// members returns n members k0 to k(n-1).
func members(n int) string {
	var m []string
	for i := range n {
		m = append(m, `"k`+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10))+`":0`)
	}
	return strings.Join(m, ",")
}

func rows(n int64) *int64 { return &n }

func dump(tb testing.TB, v any) string {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}
