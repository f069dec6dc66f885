package job_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"receiver/internal/job"
)

func TestRedact(t *testing.T) {
	const token = "nZkQ3c0rT8mXv5yWb1LqJgUuA2FhS9dEoPiK"
	for name, row := range map[string]struct{ in, want string }{
		"nothing to hide": {`{"id": 7,  "status":"COMPLETED", "notification_url":"https://r.example.com/callbacks/crm"}`, ""},
		"our address, version 1": {
			`{"id":"7","notification_url":"https://r.example.com/callbacks/crm/TOKEN", "x" : 1.0}`,
			`{"id":"7","notification_url":"https://r.example.com/callbacks/crm/PRINT", "x" : 1.0}`,
		},
		"our address, version 3": {
			`{"notificationUrl":"https://r.example.com/base/callbacks/crm/TOKEN"}`, `{"notificationUrl":"https://r.example.com/base/callbacks/crm/PRINT"}`,
		},
		"escaped":             {`{"notificationUrl":"https:\/\/r.example.com\/callbacks\/crm\/TOKEN"}`, `{"notificationUrl":"https://r.example.com/callbacks/crm/PRINT"}`},
		"escaped by number":   {`{"a":"\u002fcallbacks\u002fcrm\u002fTOKEN"}`, `{"a":"/callbacks/crm/PRINT"}`},
		"under another name":  {`{"native":{"to":["https://r.example.com/callbacks/crm/TOKEN"]}}`, `{"native":{"to":["https://r.example.com/callbacks/crm/PRINT"]}}`},
		"in a sentence":       {`{"message":"calling /callbacks/crm/TOKEN failed"}`, `{"message":"calling /callbacks/crm/PRINT failed"}`},
		"in another address":  {`{"u":"https://x/?to=https%3A%2F%2Fr%2Fcallbacks%2Fcrm%2FTOKEN&b"}`, `{"u":"https://x/?to=https%3A%2F%2Fr%2Fcallbacks%2Fcrm%2FPRINT\u0026b"}`},
		"in JSON in a string": {`{"metaData":"{\"notificationUrl\":\"https:\\/\\/r\\/callbacks\\/crm\\/TOKEN\"}"}`, `{"metaData":"{\"notificationUrl\":\"https://r/callbacks/crm/PRINT\"}"}`},
		"as a name":           {`{"/callbacks/crm/TOKEN":1}`, `{"/callbacks/crm/PRINT":1}`},
		"somebody else's address": {
			`{"callback_url":"https://u:secret@h.example.com/hooks/TOKEN/in?key=TOKEN#TOKEN","message":"sent to https://u:secret@h.example.com/hooks/TOKEN/in?key=TOKEN#TOKEN"}`,
			`{"callback_url":"https://sha256:d9b6e78e@h.example.com/hooks/PRINT/in?sha256:84e68822#PRINT","message":"sent to https://sha256:d9b6e78e@h.example.com/hooks/PRINT/in?sha256:84e68822#PRINT"}`,
		},
		"an id that is a part of an address": {
			`{"id":"0123456789abcdef0123","notificationUrl":"https://h/0123456789abcdef0123"}`, `{"id":"0123456789abcdef0123","notificationUrl":"https://h/sha256:1bd8fd47"}`,
		},
		"no address at all": {`{"notificationUrl":"TOKEN"}`, `{"notificationUrl":"PRINT"}`},
		"no JSON":           {`<a href="/callbacks/crm/TOKEN">`, `<a href="/callbacks/crm/PRINT">`},
	} {
		fill := strings.NewReplacer("TOKEN", token, "PRINT", "sha256:d6d34d1e")
		in, want := fill.Replace(row.in), fill.Replace(row.want)
		if want == "" {
			want = in
		}
		got, redacted := redact(t, []byte(in))
		if string(got) != want || redacted != (want != in) {
			t.Errorf("%s: Redact(%s)\n = %s, %t, want\n   %s", name, in, got, redacted, want)
		}
		if again, more := redact(t, got); more || !bytes.Equal(again, got) {
			t.Errorf("%s: redacting twice gives %s", name, again)
		}
	}
}

// redact is job.Redact without an end.
func redact(t *testing.T, body []byte) (clean []byte, redacted bool) {
	t.Helper()
	clean, redacted, err := job.Redact(t.Context(), body)
	if err != nil {
		t.Fatalf("Redact(%q): %v", body, err)
	}
	return clean, redacted
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{
		`{"notificationUrl":"https://u:p@h/callbacks/crm/0123456789012345678901?q#f"}`, `{"a":"{\"callback_url\":[\"\\/\"]}"}`, `"\ud800"`, `{`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		clean, redacted := redact(t, body)
		if redacted == bytes.Equal(clean, body) {
			t.Errorf("Redact(%q) = %q, %t", body, clean, redacted)
		}
		if json.Valid(body) && !json.Valid(clean) {
			t.Errorf("Redact(%q) = %q, which is no JSON", body, clean)
		}
	})
}
