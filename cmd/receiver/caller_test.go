package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// caller calls back as the platform does.
type caller struct {
	url    string
	client *http.Client
}

func newCaller(public string) caller {
	return caller{url: public + "/callbacks/demo", client: &http.Client{
		Timeout: waitTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}}
}

// finished calls back that a job is finished. A 200 is a promise from the moment its
// status is there; the outcome that it names is empty if the rest did not come.
func (c caller) finished(ctx context.Context, id string) (outcome string, acknowledged bool, err error) {
	body := fmt.Appendf(nil, `{"id":%q,"status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`, id)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return "", false, err
	}
	r.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
	answer, err := c.client.Do(r)
	if err != nil {
		return "", false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", false, fmt.Errorf("job %s was answered %s", id, answer.Status)
	}
	var got struct{ Outcome string }
	_ = json.NewDecoder(answer.Body).Decode(&got) // see above
	return got.Outcome, true, nil
}

// finishedEvents reads all events for a consumer of the whole stream of jobs, and counts the
// finished events of each job. Each must carry its evidence.
func finishedEvents(t *testing.T, consumer jetstream.Consumer) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	info, err := consumer.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for range info.NumPending {
		m, err := consumer.Next(jetstream.FetchMaxWait(waitTimeout))
		if err != nil {
			t.Fatal(err)
		}
		if want := sign(signatureKey, m.Data()); m.Headers().Get("receiver-signature") != want {
			t.Errorf("%s carries signature %q over its data, want %q", m.Subject(), m.Headers().Get("receiver-signature"), want)
		}
		if err := m.Ack(); err != nil {
			t.Fatal(err)
		}
		count[m.Headers().Get("ce-subject")]++
	}
	return count
}

// finished is a consumer of all finished events on a server of the operator's.
func finished(t *testing.T, js jetstream.JetStream) jetstream.Consumer {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), "JOBS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"jobs.demo.*.finished"}})
	if err != nil {
		t.Fatal(err)
	}
	return consumer
}

// admitted is a new consumer of all finished events on the embedded server of the receiver that
// runs in a folder.
func admitted(t *testing.T, dir, name string) jetstream.Consumer {
	t.Helper()
	nc, consumer, err := add(t, dir, name).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return consumer
}

// connect returns JetStream of a foreign NATS server that requires no credentials.
func connect(t *testing.T, url string, more ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, append(more, nats.Timeout(5*time.Second))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// owners is JetStream at an embedded server for a client that has the key of its store, in a
// folder.
func owners(t *testing.T, store, url string) jetstream.JetStream {
	t.Helper()
	as, err := nats.NkeyOptionFromSeed(filepath.Join(store, "owner.nk"))
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, url, as)
}

// eachOnce fails the test unless exactly the given jobs have exactly one event each.
func eachOnce(t *testing.T, got map[string]int, want map[string]bool) {
	t.Helper()
	var errs []error
	for id := range want {
		if got[id] != 1 {
			errs = append(errs, fmt.Errorf("job %s has %d finished events, want 1", id, got[id]))
		}
	}
	for id := range got {
		if !want[id] {
			errs = append(errs, fmt.Errorf("job %s has an event, and nobody called back for it", id))
		}
	}
	if len(errs) > 0 {
		t.Errorf("%d of %d jobs are not as they should be:\n%v", len(errs), len(want), errors.Join(errs[:min(len(errs), 10)]...))
	}
}
