package natstest

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"receiver/internal/job"
	"receiver/internal/publish"
)

// Fill stores n callbacks of jobs from a number on, accepted and refused in turn, without the
// checks of the store and so fast.
func Fill(t testing.TB, b *publish.Store, from, n int) {
	t.Helper()
	js := b.JetStream()
	for i := range n {
		e := Called(job.Finished, fmt.Sprint(from+i), "COMPLETED")
		msg := &nats.Msg{Subject: e.Subject(), Header: e.Header().Map(), Data: e.Data}
		if i%2 == 1 {
			a := Attempt("mismatch")
			msg = &nats.Msg{Subject: a.Subject(), Header: a.Header().Map(), Data: a.Body}
		}
		if _, err := js.PublishMsgAsync(msg); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
}
