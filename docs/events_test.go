// Package docs_test keeps the manual true: its examples are made by the code, and every output of
// the code is documented.
package docs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/submit"
	"receiver/internal/verify"
)

func TestEventsShowsWhatIsWritten(t *testing.T) {
	manual := read(t, "events.md")
	for name, m := range messages(t) {
		if !strings.Contains(manual, "```text\n"+m.String()+"```\n") {
			t.Errorf("events.md does not show %s as it is now:\n\n%s", name, m)
		}
		for header := range m.header {
			wantNamed(t, manual, "the header", header)
		}
	}
	for _, headers := range []map[string][]string{(job.Event{Unexpected: true}).Header().Map(), (job.Event{}).EncryptedHeader().Map()} {
		for header := range headers {
			wantNamed(t, manual, "the header", header)
		}
	}
}

func TestEventsNamesEveryWord(t *testing.T) {
	manual := read(t, "events.md")
	for what, words := range map[string][]string{
		"the stream": {conn.JobsStream, conn.AttemptsStream, conn.PayloadBucket},
		"the kind": {
			string(job.Submitted), string(job.Progress), string(job.Finished), string(job.Overdue),
			string(job.Lost), string(job.Conflict), string(job.Errors), string(job.Unrecognised),
		},
		"the result":   {string(job.Succeeded), string(job.Partial), string(job.Failed), string(job.Cancelled), string(job.Undecided)},
		"the evidence": {string(job.ByCallback), string(job.ByPoll), string(job.ByVendorQueue), string(job.ByUs)},
		"the verdict": {
			string(verify.Missing), string(verify.Ambiguous), string(verify.UnsupportedAlgorithm), string(verify.Malformed),
			string(verify.Mismatch), callback.BadCredentials, callback.MissingToken, callback.MismatchToken,
			job.UnknownSource, job.WrongPath, job.WrongMethod, job.Encoded, job.Duplicate, job.Late, job.Quarantined, job.Unconfirmed,
		},
		"the reason": {
			job.ErrNotJSON.Error(), job.ErrTrailing.Error(), job.ErrDuplicateKey.Error(), job.ErrTooDeep.Error(),
			job.ErrEvent.Error(), job.ErrNoID.Error(), job.ErrNoStatus.Error(),
		},
	} {
		for _, word := range words {
			wantNamed(t, manual, what, word)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[job.View]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		wantNamed(t, manual, "the member", name)
	}
}

// Each name in the table of the platform's names is one that is read as the table says.
func TestEventsNamesWhatIsRead(t *testing.T) {
	manual := read(t, "events.md")
	for what, tt := range map[string]struct {
		body string // NAME is the name
		says func(job.View) bool
	}{
		"id":                  {`{"NAME":7,"status":"COMPLETED"}`, func(v job.View) bool { return v.ID == "7" }},
		"status":              {`{"id":7,"NAME":"COMPLETED"}`, func(v job.View) bool { return v.Result == job.Succeeded }},
		"rows":                {`{"id":7,"status":"COMPLETED","NAME":3}`, func(v job.View) bool { return v.Records != nil && *v.Records == 3 }},
		"failed rows":         {`{"id":7,"status":"COMPLETED","NAME":3}`, func(v job.View) bool { return v.Failed != nil && *v.Failed == 3 }},
		"rows with a warning": {`{"id":7,"status":"COMPLETED","NAME":3}`, func(v job.View) bool { return v.Warned != nil && *v.Warned == 3 }},
		"error":               {`{"id":7,"status":"COMPLETED","NAME":"x"}`, func(v job.View) bool { return v.Error == "x" && v.Result == job.Partial }},
	} {
		_, row, found := strings.Cut(manual, "\n| "+what+" | `")
		row, _, _ = strings.Cut(row, "\n")
		if !found {
			t.Errorf("events.md has no row of the names of %s", what)
		}
		for i, name := range strings.Split("`"+row, "`") {
			if i%2 == 0 {
				continue // what stands between names
			}
			v, err := job.Read([]byte(strings.ReplaceAll(tt.body, "NAME", name)))
			if err != nil || !tt.says(v) {
				t.Errorf("events.md says that %s is %s, and Read gives %+v, %v", name, what, v, err)
			}
		}
	}
}

func wantNamed(t *testing.T, manual, what, word string) {
	t.Helper()
	if !strings.Contains(manual, "`"+word+"`") {
		t.Errorf("events.md does not name %s `%s`", what, word)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

type message struct {
	subject string
	header  map[string][]string
	data    []byte
}

func (m message) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, m.subject)
	for _, name := range slices.Sorted(maps.Keys(m.header)) {
		fmt.Fprintf(&b, "%s: %s\n", name, m.header[name][0])
	}
	fmt.Fprintf(&b, "\n%s\n", m.data)
	return b.String()
}

// messages are the examples of the manual.
func messages(t *testing.T) map[string]message {
	t.Helper()
	at := time.Date(2026, 11, 23, 12, 30, 0, 123456789, time.UTC)
	of := func(e job.Event) message { return message{e.Subject(), e.Header().Map(), e.Data} }

	// The example of the contract's section 6.2.
	body := []byte(`{"id":"42114492","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,` +
		`"instanceId":425904,"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv"}`)
	view, err := job.Read(body)
	if err != nil {
		t.Fatal(err)
	}
	finished := job.Event{
		Kind: job.Finished, Source: "demo", Job: view, Time: at, Evidence: job.ByCallback, Receipt: signed(body, at), Data: body,
	}
	submitted, err := submit.Submission{
		ID: "s-7f3a", Source: "demo", Object: "contact", Direction: "UPLOAD", File: "sample.csv", Bytes: 1114,
		Submitted: at.Add(-time.Minute),
	}.Event(submit.Created{ID: "42114492", Status: "CREATED", InstanceID: "425904"})
	if err != nil {
		t.Fatal(err)
	}
	odd := []byte(`<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>`)
	unrecognised := job.Event{
		Kind: job.Unrecognised, Source: "demo", Time: at, Evidence: job.ByCallback, Reason: job.ErrNotJSON.Error(),
		Receipt: signed(odd, at), ContentType: "text/plain; charset=utf-8", Data: odd,
	}
	duplicate := job.Attempt{
		Source: "demo", Verdict: job.Duplicate, Receipt: *signed(body, at.Add(8*time.Second)),
		Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body), Event: finished.ID(),
	}
	stranger := job.Attempt{
		Source: job.NoSource, Claimed: "nobody", Verdict: job.UnknownSource, Receipt: job.Receipt{Remote: "198.51.100.9", Received: at},
		Body: []byte("{}"), Size: 2, SHA256: job.BodySHA256([]byte("{}")),
	}
	astray := stranger
	astray.Verdict, astray.Claimed = job.WrongPath, "POST /hooks/callbacks/demo"
	return map[string]message{
		"a finished event":     of(finished),
		"a submitted event":    of(submitted),
		"an unrecognised body": of(unrecognised),
		"a duplicate":          {duplicate.Subject(), duplicate.Header().Map(), duplicate.Body},
		"an unknown source":    {stranger.Subject(), stranger.Header().Map(), stranger.Body},
		"a wrong path":         {astray.Subject(), astray.Header().Map(), astray.Body},
	}
}

// signed is the receipt of a body that was signed with the key of the vendor's own example.
func signed(body []byte, at time.Time) *job.Receipt {
	key := []byte("MySecretEventSignatureKey")
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return &job.Receipt{
		Signature: "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		Key:       "2026", Fingerprint: fmt.Sprintf("sha256:%x", sha256.Sum256(key))[:15],
		Remote: "192.0.2.7", Received: at, Request: `{"Content-Type":["application/json"],"Host":["receiver.example.com"]}`,
	}
}
