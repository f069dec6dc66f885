package callback_test

import (
	"context"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// BenchmarkAccept is what the decision costs without HTTP and without a store.
func BenchmarkAccept(b *testing.B) {
	const body = `{"id":"42114492","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,"instanceId":425904,` +
		`"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv"}`
	k, err := verify.NewKey("bench", []byte("secret"), verify.Window{})
	if err != nil {
		b.Fatal(err)
	}
	v, err := verify.New(k)
	if err != nil {
		b.Fatal(err)
	}
	r, err := callback.New(callback.Options{Store: takesAll{}, AttemptBody: 64 << 10, Sources: []callback.Source{{Name: "demo", Verifier: v}}})
	if err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name, source, key string
		refused           bool
	}{
		{"accepted", "demo", "secret", false},
		{"refused", "demo", "another", true},
		{"unknown source", "nobody", "secret", true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			q := callback.Request{
				Source: bb.source, Signatures: []string{sign(bb.key, body)}, Body: []byte(body), ContentType: "application/json",
				Remote: "192.0.2.7", Received: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Headers: headers(`{"Host":["receiver.example"]}`),
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Accept(b.Context(), q); (err != nil) != bb.refused {
					b.Fatalf("Accept = %v, refused %v wanted", err, bb.refused)
				}
			}
		})
	}
}

// takesAll is a store that takes everything and keeps nothing.
type takesAll struct{}

func (takesAll) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	return job.Stored{Event: e, Sequence: 1}, nil
}
func (takesAll) Record(context.Context, job.Attempt) error { return nil }
func (takesAll) Offer(func() job.Attempt) bool             { return true }

type headers string

func (h headers) String() string { return string(h) }
