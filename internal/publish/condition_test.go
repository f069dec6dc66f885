package publish_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// A repeated callback may carry any headers, and they are recorded. A server ignores the condition
// of a message if a header value contains its name twice (nats-server 2.15.3). An event is stored
// once all the same, whether the store writes the message itself or, for a server with TLS, the
// client library does.
func TestNoHeaderOfACallbackDisablesTheCondition(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	natstest.Must(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600))
	encrypted := natstest.NewServerWith(t, server.Options{TLSConfig: &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}, TLSTimeout: 10})
	for way, open := range map[string]func() (*publish.Store, error){
		"plain": func() (*publish.Store, error) { return publish.Open(t.Context(), s, conn.Options{}) },
		"TLS": func() (*publish.Store, error) {
			return publish.Dial(t.Context(), conn.External{URLs: encrypted.External().URLs, CAFile: ca}, conn.Options{Log: zerolog.Nop()})
		},
	} {
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
						b, err := open() // with an empty cache
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
