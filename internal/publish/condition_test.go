package publish_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A repeated callback may carry any headers, and they are recorded. A server ignores the condition
// of a message if a header value contains its name twice (nats-server 2.15.2). An event is stored
// once all the same, by either way to the server.
func TestNoHeaderOfACallbackDisablesTheCondition(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	for way, o := range map[string]conn.Options{"wire": {}, "library": {Library: true}} {
		for _, name := range []string{jetstream.ExpectedLastSubjSeqHeader, nats.MsgIdHdr, "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"} {
			for _, kind := range []job.Kind{job.Finished, job.Progress, job.Unrecognised} {
				t.Run(fmt.Sprint(way, "/", name, "/", kind), func(t *testing.T) {
					word := strings.Repeat(name, 2)
					e := natstest.Event(kind, way+word, word)
					if kind == job.Unrecognised {
						e = natstest.Unrecognised(way + word)
					}
					e.Job.Message, e.ContentType = word, word
					e.Receipt = &job.Receipt{Signature: word, Remote: word, Request: `{"X-A":["` + word + `"]}`, Received: time.Now()}
					var first job.Stored
					for i := range 10 { // the library sends headers in any order
						b, err := publish.Open(t.Context(), s, o) // with an empty cache
						if err != nil {
							t.Fatal(err)
						}
						got, err := b.Publish(t.Context(), e)
						if err := b.Close(t.Context()); err != nil {
							t.Error(err)
						}
						switch {
						case err != nil:
							t.Fatal(err)
						case i == 0:
							first = got
						case !got.Existed || got.Sequence != first.Sequence:
							t.Fatalf("publication %d: existed=%v seq=%d, want sequence %d", i+1, got.Existed, got.Sequence, first.Sequence)
						}
					}
				})
			}
		}
	}
}
