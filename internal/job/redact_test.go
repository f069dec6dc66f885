package job_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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
		"in a name that ends so": {`{"old_notification_url":"https://h/TOKEN"}`, `{"old_notification_url":"https://h/PRINT"}`},
		"a part of 15 bytes":     {`{"callback_url":"https://h/0123456789abcde"}`, ""},
		"a part of 16 bytes":     {`{"callback_url":"https://h/0123456789abcdef"}`, `{"callback_url":"https://h/sha256:9f9f5111"}`},
		"an address of 16 bytes": {
			`{"callback_url":"h://h/a?a=123456","message":"h://h/a?a=123456 failed"}`, `{"callback_url":"h://h/a?sha256:912e8df4","message":"h://h/a?sha256:912e8df4 failed"}`,
		},
		"a secret of eight digits":           {`{"callback_url":"h://h/?deadbeef"}`, `{"callback_url":"h://h/?sha256:2baf1f40"}`},
		"a secret like a fingerprint":        {`{"callback_url":"h://h/?sha256:deadbeef0"}`, `{"callback_url":"h://h/?sha256:8258ad20"}`},
		"a secret like one in other letters": {`{"callback_url":"h://h/?sha256:deadbeeg"}`, `{"callback_url":"h://h/?sha256:8a55f540"}`},
		"two addresses": {
			`{"a":{"callback_url":"https://a.example.com/?TOKEN"},"b":{"callback_url":"https://bb.example.com/?TOKEN"},"c":"https://a.example.com/?TOKEN https://bb.example.com/?TOKEN https://a.example.com/?TOKEN"}`,
			`{"a":{"callback_url":"https://a.example.com/?PRINT"},"b":{"callback_url":"https://bb.example.com/?PRINT"},"c":"https://a.example.com/?PRINT https://bb.example.com/?PRINT https://a.example.com/?PRINT"}`,
		},
		"at the beginning, escaped":    {`{"a":"%2fcallbacks%2Fcrm%2fTOKEN"}`, `{"a":"%2fcallbacks%2Fcrm%2fPRINT"}`},
		"after the word":               {`{"a":"my callbacks: /callbacks/crm/TOKEN"}`, `{"a":"my callbacks: /callbacks/crm/PRINT"}`},
		"after the word, with a slash": {`{"a":"to /callbacks/ or /callbacks/crm/TOKEN"}`, `{"a":"to /callbacks/ or /callbacks/crm/PRINT"}`},
		"one after another":            {`{"a":"/callbacks/crm/TOKEN/callbacks/crm/TOKEN"}`, `{"a":"/callbacks/crm/PRINT/callbacks/crm/PRINT"}`},
		"a source of 32 letters":       {`{"a":"/callbacks/abcdefghijklmnopqrstuvwxyz-01234/TOKEN"}`, `{"a":"/callbacks/abcdefghijklmnopqrstuvwxyz-01234/PRINT"}`},
		"a source of 33 letters":       {`{"a":"/callbacks/abcdefghijklmnopqrstuvwxyz-012345/TOKEN"}`, ""},
		"no source":                    {`{"a":"/callbacks//TOKEN"}`, ""},
		"no token of its own":          {`{"a":"/callbacks/crm_TOKEN"}`, ""},
		"another word":                 {`{"a":"/cabbageks/crm/TOKEN"}`, ""},
		"a token of 20 letters":        {`{"a":"/callbacks/crm/azAZ09-_azAZ09-_azAZ"}`, `{"a":"/callbacks/crm/` + job.Fingerprint([]byte("azAZ09-_azAZ09-_azAZ")) + `"}`},
		"a token of 19 letters":        {`{"a":"/callbacks/crm/azAZ09-_azAZ09-_azA"}`, ""},
		"no JSON, and an open quote":   {`say "/callbacks/crm/TOKEN`, `say "/callbacks/crm/PRINT`},
		"no address at all":            {`{"notificationUrl":"TOKEN"}`, `{"notificationUrl":"PRINT"}`},
		"no JSON":                      {`<a href="/callbacks/crm/TOKEN">`, `<a href="/callbacks/crm/PRINT">`},
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

// Of two addresses that begin alike, the longer one is meant.
func TestRedactTakesTheLongerAddress(t *testing.T) {
	const one, two = "https://h.example.com/?a", "https://h.example.com/?a=b"
	in := `[{"callback_url":"` + one + `"},{"callback_url":"` + two + `"},"to ` + two + ` now"]`
	want := `"to https://h.example.com/?` + job.Fingerprint([]byte("a=b")) + ` now"]`
	for range 20 { // they are held in a map
		if got, _ := redact(t, []byte(in)); !strings.HasSuffix(string(got), want) {
			t.Fatalf("Redact(%s) = %s, want it to end in %s", in, got, want)
		}
	}
}

// Redact finds the end of each of up to four addresses of up to 2 KiB in other strings. With more,
// it also redacts everything that follows.
func TestRedactTellsFewAddressesApart(t *testing.T) {
	address := func(i, length int) string {
		a := fmt.Sprintf("https://%d.example.com/?", i)
		return a + strings.Repeat("x", length-len(a))
	}
	for _, tt := range []struct {
		n, length int
		apart     bool
	}{
		{4, 2 << 10, true}, {5, 100, false}, {1, 2<<10 + 1, false},
	} {
		var parts []string
		for i := range tt.n {
			parts = append(parts, `{"callback_url":"`+address(i, tt.length)+`"}`)
		}
		first := address(0, tt.length)
		for _, quoted := range []struct{ before, address, after string }{
			{"to ", first, " now"}, {"", first, " now"}, {"to ", first[:16], ""}, {"", first[:16], ""}, {"nothing of that kind", "", ""},
		} {
			got, _ := redact(t, []byte(`[`+strings.Join(parts, ",")+`,"`+quoted.before+quoted.address+quoted.after+`"]`))
			want := quoted.before
			switch {
			case tt.apart && quoted.address == first:
				want += "https://0.example.com/?" + job.Fingerprint([]byte(first[len("https://0.example.com/?"):])) + quoted.after
			case tt.apart || quoted.address == "":
				want += quoted.address
			default:
				want += job.Fingerprint([]byte(quoted.address + quoted.after))
			}
			want = `,"` + want + `"]`
			if !strings.HasSuffix(string(got), want) {
				t.Errorf("%d addresses of %d bytes: Redact = ...%s, want it to end in %s", tt.n, tt.length, got[max(0, len(got)-100):], want)
			}
		}
	}
}

// JSON in a string is looked into, and JSON in a string of that.
func TestRedactLooksIntoStrings(t *testing.T) {
	text := `{"callback_url":"https://h.example.com/?secret"}`
	for depth, want := range []bool{true, true, true, false} {
		if _, got := redact(t, []byte(text)); got != want {
			t.Errorf("%d strings deep: redacted %v, want %v", depth, got, want)
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		text = `[` + string(quoted) + `]`
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

// Packages verify and config hold their own functions to fingerprints like this one.
func TestFingerprint(t *testing.T) {
	if got, want := job.Fingerprint([]byte("hunter2")), "sha256:f52fbd32"; got != want {
		t.Errorf("Fingerprint = %s, want %s", got, want)
	}
}
