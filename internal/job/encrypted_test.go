package job_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

// personal must be in no header of an event whose data is encrypted.
const personal = "Zoe Personal"

// proved is a receipt that says all it can.
func proved() *job.Receipt {
	return &job.Receipt{
		Signature: "sha256=x", Key: "k", Fingerprint: "sha256:0a1b2c3d", Remote: "192.0.2.7", Request: "{}",
		Received: time.Date(2026, 11, 23, 12, 30, 0, 1, time.UTC),
	}
}

func encryptedEvents(t *testing.T) map[string]job.Event {
	t.Helper()
	told := `{"id":"7","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,"object_name":"contact","error":"row of ` + personal +
		`","message":"for ` + personal + `","callback-payload":{"for":"` + personal + `"}}`
	own := `{"submission":"s-1","job":"7","file":"` + personal + `.csv","payload":{"for":"` + personal + `"}}`
	at := time.Date(2026, 11, 23, 12, 30, 0, 1, time.UTC)
	all := map[string]job.Event{
		"finished": finished(t, []byte(told)),
		"asked for": {
			Kind: job.Finished, Source: "demo", Job: read(t, told), Time: at, Evidence: job.ByPoll, Data: []byte(told),
		},
		"submitted": {
			Kind: job.Submitted, Source: "demo", Time: at, Evidence: job.ByUs, Data: []byte(own),
			Job: job.View{ID: "7", Submission: "s-1", Payload: json.RawMessage(`{"for":"` + personal + `"}`)},
		},
		"errors": {
			Kind: job.Errors, Source: "demo", Time: at, Evidence: job.ByPoll, Data: []byte(`{"rows":[{"text":"` + personal + `"}]}`),
			Job: job.View{ID: "7", Status: "COMPLETED"},
		},
		"unrecognised": {
			Kind: job.Unrecognised, Source: "demo", Time: at, Evidence: job.ByCallback, Receipt: proved(),
			Reason: job.ErrNotJSON.Error(), Data: []byte(personal),
		},
	}
	for name, e := range all {
		e.ContentType = "application/json"
		all[name] = e
	}
	return all
}

func TestEncryptedEventKeepsWhatPeopleWroteOutOfItsHeaders(t *testing.T) {
	for name, e := range encryptedEvents(t) {
		t.Run(name, func(t *testing.T) {
			h := e.EncryptedHeader().Map()
			checkPrintable(t, h)
			if got, want := h["receiver-body-sha256"], job.BodySHA256(e.Data); len(got) != 1 || got[0] != want {
				t.Errorf("receiver-body-sha256 = %q, want %s, by whatever it is known", got, want)
			}
			if !job.Encrypted(h) || job.Encrypted(e.Header().Map()) {
				t.Errorf("Encrypted of the headers = %v, %v, want true of these alone", job.Encrypted(h), job.Encrypted(e.Header().Map()))
			}
			for header, values := range h {
				if strings.Contains(strings.Join(values, ""), "Zoe") {
					t.Errorf("header %s = %q tells what the data tells", header, values)
				}
			}

			whole, err := job.ParseEvent(e.Subject(), h, e.Data)
			if err != nil {
				t.Fatal(err)
			}
			checkSameEvent(t, whole, e)

			hidden, err := job.ParseEvent(e.Subject(), h, nil)
			if err != nil || !hidden.Hidden || hidden.Data != nil {
				t.Fatalf("ParseEvent without the data = %+v, %v, want a hidden event", hidden, err)
			}
			if hidden.ID() != e.ID() || !hidden.Job.SameOutcome(e.Job) || hidden.Subject() != e.Subject() {
				t.Errorf("a hidden event is %s of %+v, want %s of the same outcome", hidden.ID(), hidden.Job, e.ID())
			}
			if got, want := hidden.Header().Map()["ce-id"], e.Header().Map()["ce-id"]; !slices.Equal(got, want) {
				t.Errorf("ce-id of a hidden event = %q, want %q", got, want)
			}
		})
	}
}

func TestOmittedFieldsAreNamed(t *testing.T) {
	e := encryptedEvents(t)["finished"]
	hidden, err := job.ParseEvent(e.Subject(), e.EncryptedHeader().Map(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"payload", "error", "message"}; !slices.Equal(hidden.Job.Cut, want) {
		t.Errorf("Cut = %q, want %q", hidden.Job.Cut, want)
	}
	if hidden.Job.Object != "contact" || *hidden.Job.Failed != 1 {
		t.Errorf("the job = %+v, want its facts to stay", hidden.Job)
	}
}

func TestEncryptedAttemptIsReadWithAndWithoutItsBody(t *testing.T) {
	body := []byte(personal)
	a := job.Attempt{
		Source: "demo", Verdict: job.Duplicate, Receipt: *proved(), Event: "7.finished",
		Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
	h := a.EncryptedHeader().Map()
	checkPrintable(t, h)
	got, err := job.ParseAttempt(a.Subject(), h, body)
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("ParseAttempt = %+v, %v, want %+v", got, err, a)
	}
	a.Body, a.Hidden = nil, true
	got, err = job.ParseAttempt(a.Subject(), h, nil)
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("ParseAttempt without the body = %+v, %v, want %+v", got, err, a)
	}
}

func TestClaimOfAnEncryptedRecordIsOfWhatItIsDecrypted(t *testing.T) {
	e := encryptedEvents(t)["finished"]
	claim, err := job.ReadClaim(e.Subject(), e.EncryptedHeader().Map())
	if err != nil || claim.Body != job.BodySHA256(e.Data) || claim.Size != int64(len(e.Data)) {
		t.Errorf("ReadClaim = %+v, %v, want digest and size of the body as signed", claim, err)
	}
	if claim, err = job.ReadClaim(e.Subject(), e.Header().Map()); err != nil || claim.Size != -1 {
		t.Errorf("ReadClaim of a record in clear = %+v, %v, want no size", claim, err)
	}
	e = encryptedEvents(t)["unrecognised"]
	e.Data = []byte{}
	if claim, err = job.ReadClaim(e.Subject(), e.EncryptedHeader().Map()); err != nil || claim.Size != 0 {
		t.Errorf("ReadClaim of an encrypted record of nothing = %+v, %v, want the size 0", claim, err)
	}
}
