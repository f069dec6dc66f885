// Package natstest holds what the tests of several packages run and store: events, the embedded
// server with its store, and NATS servers, networks and disks that fail on demand.
package natstest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// Called is a callback's event, with what proves it.
func Called(k job.Kind, id, status string) job.Event {
	e := Event(k, id, status)
	e.Receipt = &job.Receipt{
		Signature: "sha256=abc", Key: "first", Fingerprint: "sha256:00000001", Remote: "192.0.2.7", Received: e.Time, Request: "{}",
	}
	return e
}

// Sized is a callback's event with a body of about that size, which nothing makes smaller.
func Sized(k job.Kind, id string, size int) job.Event {
	e := Called(k, id, "COMPLETED")
	text := make([]byte, size/2)
	_, _ = rand.Read(text)
	e.Data = fmt.Appendf(nil, `{"id":%q,"status":"COMPLETED","text":"%x"}`, id, text)
	return e
}

// Event is an event of a job of the source demo.
func Event(k job.Kind, id, status string) job.Event {
	body := []byte(fmt.Sprintf(`{"id":%q,"status":%q}`, id, status))
	v, err := job.Read(body)
	if err != nil {
		panic(err)
	}
	return job.Event{Kind: k, Source: "demo", Job: v, Time: time.Now(), Evidence: job.ByCallback, Data: body}
}

// Unrecognised is the event of a callback whose body is not of a known form.
func Unrecognised(body string) job.Event {
	now := time.Now()
	return job.Event{
		Kind: job.Unrecognised, Source: "demo", Time: now, Evidence: job.ByCallback, Reason: "not_json", Data: []byte(body),
		Receipt: &job.Receipt{Signature: "sha256=abc", Key: "first", Fingerprint: "sha256:00000001", Remote: "192.0.2.7", Received: now, Request: "{}"},
	}
}

// Attempt is a callback that made no event, with this verdict.
func Attempt(verdict string) job.Attempt {
	body := []byte("not for us")
	return job.Attempt{
		Source: "demo", Verdict: verdict, Receipt: job.Receipt{Received: time.Now()},
		Body: body, Size: int64(len(body)), SHA256: job.BodySHA256(body),
	}
}

// ServersWords are headers by which the client library takes a message without data for the
// server's own.
var ServersWords = []nats.Header{
	{"Status": {"100"}, "Description": {"Idle Heartbeat"}},
	{"Status": {"400"}},
	{"Status": {"404"}},
	{"Status": {"408"}, "Nats-Pending-Messages": {"4096"}, "Nats-Pending-Bytes": {"1"}},
	{"Status": {"408"}},
	{"Status": {"409"}, "Description": {"Consumer Deleted"}},
	{"Status": {"409"}, "Description": {"Batch Completed"}},
	{"Status": {"423"}},
	{"Status": {"503"}},
	{"Status": {"x"}},
}

// StoreAsBefore stores an unrecognised body on the one subject that earlier versions had for
// all of a source.
func StoreAsBefore(t *testing.T, b *publish.Store, e job.Event) {
	t.Helper()
	msg := &nats.Msg{Subject: "jobs.demo.unrecognised", Header: nats.Header(e.Header().Map()), Data: e.Data}
	msg.Header.Set(nats.MsgIdHdr, e.Source+"."+e.ID())
	if _, err := b.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// Large puts n bytes that do not shrink into the event's body.
func Large(e job.Event, n int) job.Event {
	pad := make([]byte, n)
	_, _ = rand.Read(pad)
	for i := range pad {
		pad[i] = 'a' + pad[i]%26
	}
	e.Data = append(append(append([]byte{}, e.Data[:len(e.Data)-1]...), `,"pad":"`...), pad...)
	e.Data = append(e.Data, `"}`...)
	return e
}

// Largest fills the event's body up to what the embedded server takes without its headers.
func Largest(e job.Event) job.Event {
	e.Data = append(e.Data, bytes.Repeat([]byte(" "), 8<<20-len(e.Data))...)
	return e
}
