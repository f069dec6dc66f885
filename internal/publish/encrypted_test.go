package publish_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

var errBroken = errors.New("broken")

// hides stands for encryption, so that a test can tell its results from plain data; reveals undoes
// it.
func hides(data []byte) ([]byte, error) {
	return []byte("~" + base64.StdEncoding.EncodeToString(data)), nil
}

func reveals(data []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(data, []byte("~"))
	if !ok {
		return nil, errBroken
	}
	return base64.StdEncoding.DecodeString(string(rest))
}

// withTexts returns an event whose body has personal data.
func withTexts(t *testing.T, k job.Kind, id, status string) job.Event {
	t.Helper()
	e := natstest.Event(k, id, status)
	e.Data = []byte(`{"id":"` + id + `","status":"` + status + `","callback-payload":{"for":"zoe"},"message":"for zoe"}`)
	var err error
	if e.Job, err = job.Read(e.Data); err != nil {
		t.Fatal(err)
	}
	e.Receipt = &job.Receipt{Signature: "sha256=x", Fingerprint: "sha256:0a1b2c3d", Received: time.Now()}
	return e
}

// The writer of encrypted events needs no function to decrypt them.
func TestEncryptedEventsAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	writer := natstest.OpenWith(t, s, conn.Options{Encrypt: hides})
	junk := natstest.Unrecognised("zoe")
	for _, tt := range []struct {
		name        string
		event       job.Event
		wantExisted bool
	}{
		{"progress", withTexts(t, job.Progress, "1", "RUNNING"), false},
		{"the same progress", withTexts(t, job.Progress, "1", "running"), true},
		{"other progress", withTexts(t, job.Progress, "1", "STARTED"), false},
		{"finished", withTexts(t, job.Finished, "1", "COMPLETED"), false},
		{"finished again", withTexts(t, job.Finished, "1", "COMPLETED"), true},
		{"finished otherwise", withTexts(t, job.Finished, "1", "ABORTED"), true},
		{"conflict", withTexts(t, job.Conflict, "1", "ABORTED"), false},
		{"unrecognised", junk, false},
		{"the same unrecognised", junk, true},
	} {
		got := natstest.Store(t, writer, tt.event)
		if got.Existed != tt.wantExisted || got.ID() != tt.event.ID() {
			t.Errorf("%s: existed=%v id=%s, want %v %s", tt.name, got.Existed, got.ID(), tt.wantExisted, tt.event.ID())
		}
		if same := tt.name != "finished otherwise"; got.Job.SameOutcome(tt.event.Job) != same {
			t.Errorf("%s: SameOutcome = %v, want %v", tt.name, !same, same)
		}
	}
	if n := raw(t, writer, conn.JobsStream, func(m publish.Message) {
		if bytes.Contains(m.Data, []byte("zoe")) || m.Hidden {
			t.Errorf("%s holds %q as it stands", m.Subject, m.Data)
		}
		for name, values := range m.Header {
			if bytes.Contains([]byte(values[0]), []byte("zoe")) {
				t.Errorf("%s holds the header %s: %s", m.Subject, name, values[0])
			}
		}
	}); n != 5 {
		t.Errorf("%d events are there, want 5", n)
	}
}

func TestEncryptedEventsAreReadWithTheKey(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	writer, reader := natstest.OpenWith(t, s, conn.Options{Encrypt: hides}), natstest.OpenWith(t, s, conn.Options{Decrypt: reveals})
	broken := natstest.OpenWith(t, s, conn.Options{Decrypt: func([]byte) ([]byte, error) { return nil, errBroken }})
	e := withTexts(t, job.Finished, "1", "COMPLETED")
	natstest.Store(t, writer, e)
	natstest.Store(t, natstest.OpenWith(t, s, conn.Options{}), natstest.Event(job.Finished, "2", "COMPLETED"))
	attempt := job.Attempt{
		Source: "demo", Verdict: job.Quarantined, Receipt: *e.Receipt, Body: e.Data, Size: int64(len(e.Data)), SHA256: job.BodySHA256(e.Data),
	}
	if err := writer.Record(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name              string
		bus               *publish.Store
		withoutDecrypting bool
		err               error
	}{
		{"who can", reader, false, nil},
		{"who has nothing to read with", writer, true, publish.ErrEncrypted},
		{"whom it does not let", broken, true, errBroken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			events, err := tt.bus.Job(t.Context(), "demo", "1")
			if err != nil || len(events) != 1 || events[0].Hidden != tt.withoutDecrypting {
				t.Fatalf("Job = %+v, %v, want one event, hidden: %v", events, err, tt.withoutDecrypting)
			}
			if got := events[0]; !tt.withoutDecrypting && (!bytes.Equal(got.Data, e.Data) || got.Job.Message != "for zoe" || got.Job.Payload == nil) {
				t.Errorf("Job = %+v, want all of it", got)
			}
			for m, err := range tt.bus.Messages(t.Context(), publish.Watch{}) {
				if err != nil {
					t.Fatal(err)
				}
				if want := tt.withoutDecrypting && m.Subject == e.Subject(); m.Hidden != want {
					t.Errorf("Messages: %s hidden = %v, want %v", m.Subject, m.Hidden, want)
				}
			}
			for a, err := range tt.bus.Attempts(t.Context(), "demo", job.Quarantined, time.Time{}) {
				if err != nil || a.Hidden != tt.withoutDecrypting || !tt.withoutDecrypting && !bytes.Equal(a.Body, e.Data) {
					t.Errorf("Attempts = %+v, %v, want hidden: %v", a, err, tt.withoutDecrypting)
				}
			}
			raw(t, tt.bus, conn.JobsStream, func(m publish.Message) {
				got, err := tt.bus.Body(t.Context(), m)
				switch {
				case m.Subject != e.Subject():
					if err != nil || len(got) == 0 {
						t.Errorf("Body of what is not hidden = %q, %v", got, err)
					}
				case tt.withoutDecrypting && (!errors.Is(err, publish.ErrEncrypted) || !errors.Is(err, tt.err)):
					t.Errorf("Body = %q, %v, want %v", got, err, tt.err)
				case !tt.withoutDecrypting && !bytes.Equal(got, e.Data):
					t.Errorf("Body = %q, %v, want %q", got, err, e.Data)
				}
			})
		})
	}
}

func TestFailedEncryptionStoresNoBody(t *testing.T) {
	t.Parallel()
	b := natstest.OpenWith(t, natstest.Start(t, t.TempDir()), conn.Options{Encrypt: func([]byte) ([]byte, error) { return nil, errBroken }})
	e := withTexts(t, job.Finished, "1", "COMPLETED")
	if got, err := b.Publish(t.Context(), e); !errors.Is(err, conn.ErrUnavailable) || !errors.Is(err, errBroken) {
		t.Errorf("Publish = %+v, %v, want %v", got, err, conn.ErrUnavailable)
	}
	if n := raw(t, b, conn.JobsStream, func(publish.Message) {}); n != 0 {
		t.Errorf("%d events are there, want none", n)
	}
	// The attempt is recorded without its body.
	if err := b.Record(t.Context(), job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: *e.Receipt, Body: e.Data, Size: 9}); err != nil {
		t.Fatal(err)
	}
	raw(t, b, conn.AttemptsStream, func(m publish.Message) {
		if len(m.Data) > 0 || job.Encrypted(m.Header) {
			t.Errorf("the attempt holds %q, %v, want no body", m.Data, m.Header)
		}
	})
}

func TestLargeBodyIsEncryptedInTheObjectStore(t *testing.T) {
	t.Parallel()
	s := natstest.NewServer(t, 16<<10)
	b := natstest.Dial(t, s.External(), conn.Options{Encrypt: hides, Decrypt: reveals})
	e := natstest.Large(withTexts(t, job.Finished, "1", "COMPLETED"), 50<<10)
	want := bytes.Clone(e.Data)
	natstest.Store(t, b, e)
	events, err := b.Job(t.Context(), "demo", "1")
	if err != nil || len(events) != 1 || !bytes.Equal(events[0].Data, want) {
		t.Fatalf("Job = %d events, %v, want the body as it was", len(events), err)
	}
	bucket, err := s.JetStream().ObjectStore(t.Context(), conn.PayloadBucket)
	if err != nil {
		t.Fatal(err)
	}
	list, err := bucket.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("objects = %v, %v, want one", list, err)
	}
	if data, err := bucket.GetBytes(t.Context(), list[0].Name); err != nil || bytes.Contains(data, want[:64]) {
		t.Errorf("the object holds the body in clear (%v)", err)
	}
}

// An attempt whose body was left out is not reported as encrypted: there is nothing to decrypt.
func TestOmittedBodyIsNotMarkedEncrypted(t *testing.T) {
	t.Parallel()
	b := natstest.Dial(t, natstest.NewServer(t, 16<<10).External(), conn.Options{Encrypt: hides, Decrypt: reveals})
	body := make([]byte, 15<<10) // too large when it is encrypted
	a := job.Attempt{
		Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Received: time.Now()}, Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
	if err := b.Record(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	for got, err := range b.Attempts(t.Context(), "demo", "mismatch", time.Time{}) {
		if err != nil || got.Hidden || got.Body != nil || got.Size != a.Size {
			t.Errorf("Attempts = %+v, %v, want no body, and not hidden", got, err)
		}
	}
}

// raw gives every message of a stream as it is stored, and returns how many there are.
func raw(t *testing.T, b *publish.Store, stream string, each func(publish.Message)) (n int) {
	t.Helper()
	last, err := b.LastSequence(t.Context(), stream)
	if err == nil {
		err = b.Range(t.Context(), stream, 1, last, func(m publish.Message) error { n++; each(m); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
