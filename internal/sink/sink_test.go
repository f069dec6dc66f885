package sink_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
	"receiver/internal/sink"
)

// TestPublishedVector is the vector of the tests of Standard Webhooks.
func TestPublishedVector(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := sink.Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("webhook-signature = %q, want %q", got, want)
	}
	if got, want := h.Get("webhook-timestamp"), "1614265330"; got != want {
		t.Errorf("webhook-timestamp = %q, want %q", got, want)
	}
}

// TestEachEventOnceInOrder: every event of every job, once, in order for each job.
func TestEachEventOnceInOrder(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	var want []string
	for step := range 3 {
		for n := range 30 {
			want = append(want, r.publish(story(fmt.Sprint(n))[step])...)
		}
		if step == 0 {
			r.run(r.sinks(r.store)) // some are there before, some come later
		}
	}
	e.await(want...)
	natstest.Eventually(t, "everything to be done", func() bool {
		l, err := r.store.Backlog(t.Context(), "orders")
		return err == nil && l == job.Backlog{}
	})
	if r.count["orders accepted"] != len(want) || r.count["orders failed"] != 0 {
		t.Errorf("counted %v, want %d accepted", r.count, len(want))
	}
}

// TestBodyIsTheEvent: an endpoint gets all that a consumer of NATS gets.
func TestBodyIsTheEvent(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.publish(natstest.Called(job.Finished, "7", "COMPLETED"))
	r.run(r.sinks(r.store))
	e.await("demo.7.finished")
	a := e.posts("")[0]
	for name, want := range map[string]string{
		"specversion": "1.0", "id": "7.finished", "source": "demo", "subject": "7", "type": "com.sap.openconnectors.bulk.job.finished",
		"datacontenttype": "application/json", "result": "succeeded", "status": "COMPLETED", "evidence": "callback", "receiverkey": "first",
	} {
		if got := a.event[name]; got != want {
			t.Errorf("%s = %v, want %q", name, got, want)
		}
	}
	var view job.View
	if text, _ := a.event["receiverjob"].(string); json.Unmarshal([]byte(text), &view) != nil || view.ID != "7" || view.Result != job.Succeeded {
		t.Errorf("receiverjob = %v, want the job", a.event["receiverjob"])
	}
	if data, _ := a.event["data"].(map[string]any); data["id"] != "7" || data["status"] != "COMPLETED" {
		t.Errorf("data = %v, want the platform's body", a.event["data"])
	}
	if got, want := a.h.Get("User-Agent"), "receiver/test"; got != want {
		t.Errorf("User-Agent = %q, want %q", got, want)
	}
}

// TestSelection: only the events that the sink asks for, from where it asks for.
func TestSelection(t *testing.T) {
	other := func(id string) job.Event {
		e := natstest.Called(job.Finished, id, "COMPLETED")
		e.Source = "other"
		return e
	}
	for name, row := range map[string]struct {
		change func(*sink.Sink)
		want   []string
	}{
		"all":               {func(*sink.Sink) {}, []string{"demo.1.submitted", "demo.1.progress.RUNNING", "demo.1.finished", "other.2.finished", "demo.3.submitted", "demo.3.progress.RUNNING", "demo.3.finished"}},
		"a source":          {func(k *sink.Sink) { k.Sources = []string{"other"} }, []string{"other.2.finished"}},
		"kinds":             {func(k *sink.Sink) { k.Kinds = []string{"finished", "conflict", "finished"} }, []string{"demo.1.finished", "other.2.finished", "demo.3.finished"}},
		"kinds of a source": {func(k *sink.Sink) { k.Kinds, k.Sources = []string{"submitted"}, []string{"demo"} }, []string{"demo.1.submitted", "demo.3.submitted"}},
		"from the next on":  {func(k *sink.Sink) { k.Oldest = false }, []string{"demo.3.submitted", "demo.3.progress.RUNNING", "demo.3.finished"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, nil)
			r := newRig(t, nil, e)
			r.store = natstest.OpenWith(t, natstest.Start(t, t.TempDir()), conn.Options{Timeout: natstest.LongTimeout, Log: r.logs.Logger()})
			row.change(&r.sink)
			r.publish(append(story("1"), other("2"))...)
			r.run(r.sinks(r.store))
			if !r.sink.Oldest {
				natstest.Eventually(t, "the beginning", func() bool { return strings.Contains(r.logs.String(), "a new sink begins with the next event") })
			}
			r.publish(story("3")...)
			e.await(row.want...)
		})
	}
}

// TestAnotherSelectionKeepsThePosition: a sink that asks for more gets that from then on, and loses
// nothing of what it asked for before.
func TestAnotherSelectionKeepsThePosition(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, nil)
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.sink.Kinds = []string{"finished"}
	stop := r.run(r.sinks(r.store))
	r.publish(story("1")...)
	e.await("demo.1.finished")
	natstest.Eventually(t, "the acknowledgement", func() bool {
		l, err := r.store.Backlog(t.Context(), "orders")
		return err == nil && l == job.Backlog{}
	})
	stop()
	ended := r.publish(story("2")[2])[0] // of the kinds that it did not ask for, nothing is stored meanwhile
	r.sink.Kinds = []string{"finished", "submitted"}
	r.run(r.sinks(r.store))
	natstest.Eventually(t, "the new selection", func() bool {
		c, err := r.store.JetStream().Consumer(t.Context(), "JOBS", "receiver-sink-orders")
		return err == nil && len(c.CachedInfo().Config.FilterSubjects) == 2
	})
	r.publish(story("3")...)
	e.await("demo.1.finished", ended, "demo.3.submitted", "demo.3.finished")
}

// TestFailingJobHoldsUpNoOther: nothing of a job is posted before what precedes it was accepted,
// and other jobs do not wait.
func TestFailingJobHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(a arrival) int {
		if a.job == "bad" {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store))
	bad := r.publish(story("bad")...)
	var want []string
	for n := range 20 {
		want = append(want, r.publish(story(fmt.Sprint(n))...)...)
	}
	e.await(want...)
	natstest.Eventually(t, "some tries", func() bool { return len(e.posts(bad[0])) > 5 })
	if n := len(e.posts(bad[1])) + len(e.posts(bad[2])); n != 0 {
		t.Errorf("later events of the job were posted %d times before the first was accepted, want 0", n)
	}
	e.Answer(nil)
	e.await(append(want, bad...)...)
	natstest.Eventually(t, "the record to be removed", func() bool { return len(r.open()) == 0 })
}

// TestAnswers: which answers accept an event, and that no redirect is followed.
func TestAnswers(t *testing.T) {
	for status, accepts := range map[int]bool{
		200: true, 201: true, 202: true, 204: true, 299: true, 301: false, 302: false, 307: false, 308: false, 304: false,
		400: false, 401: false, 404: false, 410: false, 429: false, 500: false, 503: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t, func(arrival) int { return status })
			r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
			r.run(r.sinks(r.store).Quick(time.Hour))
			id := r.publish(natstest.Event(job.Submitted, "1", "CREATED"))[0]
			natstest.Eventually(t, "the outcome", func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.count["orders accepted"]+r.count["orders failed"] > 0
			})
			if got := len(e.accepted()) == 1; got != accepts {
				t.Errorf("%d accepts: %v, want %v", status, got, accepts)
			}
			if got := len(e.posts("")); got != 1 || len(e.posts(id)) != 1 {
				t.Errorf("the endpoint got %d requests, want 1: no redirect is followed", got)
			}
			if accepts {
				return
			}
			natstest.Eventually(t, "the record", func() bool { return len(r.open()) == 1 })
			d := r.open()[0]
			if !strings.HasPrefix(d.Error, fmt.Sprintf("answered %d", status)) || d.Tries != 1 || d.GivenUp {
				t.Errorf("the record is %+v, want one try, answered %d", d, status)
			}
			if pause := time.Until(d.Due); pause < 50*time.Minute || pause > 70*time.Minute {
				t.Errorf("posted again in %v, want about an hour", pause)
			}
		})
	}
}

// TestRetryAfter: the pause that an endpoint asks for, and its bound.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, "-5": 0, "soon": 0, "99999999": 24 * time.Hour, "99999999999999999999": 0,
		"Tue, 01 Dec 2026 12:10:00 GMT": 10 * time.Minute, "Tue, 01 Dec 2026 11:00:00 GMT": 0, "Fri, 01 Dec 2126 11:00:00 GMT": 24 * time.Hour,
	} {
		if got := sink.RetryAfter(text, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", text, got, want)
		}
	}
}

// TestRetryAfterDelaysTheNextTry: 503 with Retry-After of an hour, where the pause is short.
func TestRetryAfterDelaysTheNextTry(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(arrival) int { return http.StatusServiceUnavailable })
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store))
	r.publish(natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Eventually(t, "the record", func() bool { return len(r.open()) == 1 })
	if pause := time.Until(r.open()[0].Due); pause < 59*time.Minute {
		t.Errorf("posted again in %v, want an hour", pause)
	}
}

// TestPausesTakeThreeDays holds what the documentation says.
func TestPausesTakeThreeDays(t *testing.T) {
	var all time.Duration
	for _, p := range sink.Pauses() {
		all += p
	}
	if n := len(sink.Pauses()) + 1; n != 10 || all < 72*time.Hour || all > 80*time.Hour {
		t.Errorf("%d tries over %v, want 10 over three days", n, all)
	}
}

// TestNoAnswer: an endpoint that hangs, and one that is not there.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	e := newEndpoint(t, func(a arrival) int {
		if a.job == "slow" {
			<-release
		}
		return http.StatusOK
	})
	t.Cleanup(func() { close(release) })
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store).Quick(time.Hour).Within(100 * time.Millisecond))
	r.publish(natstest.Event(job.Submitted, "slow", "CREATED"))
	want := r.publish(story("1")...)
	e.await(want...)
	natstest.Eventually(t, "the record", func() bool { return len(r.open()) == 1 })
	if got := r.open()[0].Error; got != "did not answer within 100ms" {
		t.Errorf("the record says %q, want that there was no answer", got)
	}
	away := newRig(t, r.store, e)
	away.sink.Name, away.sink.URL = "away", "http://127.0.0.1:1/hook?code=hunter2"
	away.run(away.sinks(away.store).Quick(time.Hour))
	natstest.Eventually(t, "the records", func() bool { return len(away.open()) == 2 })
	for _, d := range away.open() {
		if d.Error == "" || strings.Contains(d.Error, "hunter2") {
			t.Errorf("the record says %q, want why, without the address", d.Error)
		}
	}
}

// TestGivenUpIsVisibleAndReplayed: after the last try the job goes on, and an operator can have the
// event posted again.
func TestGivenUpIsVisibleAndReplayed(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(a arrival) int {
		if strings.HasSuffix(a.id, ".submitted") {
			return http.StatusBadRequest
		}
		return http.StatusOK
	})
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store).Quick(time.Millisecond, time.Millisecond))
	ids := r.publish(story("1")...)
	e.await(ids[1:]...)
	if n := len(e.posts(ids[0])); n != 3 {
		t.Errorf("posted %d times, want 3", n)
	}
	natstest.Eventually(t, "the job to be done", func() bool {
		l, err := r.store.Backlog(t.Context(), "orders")
		return err == nil && l == job.Backlog{GivenUp: 1}
	})
	open := r.open()
	if len(open) != 1 || !open[0].GivenUp || open[0].Job != "demo.1" || open[0].Tries != 3 || open[0].Error != "answered 400" {
		t.Fatalf("open is %+v, want the event that was given up after 3 tries, answered 400", open)
	}
	if r.count["orders given_up"] != 1 || !strings.Contains(r.logs.String(), "it is given up until receiver sinks replay") {
		t.Errorf("counted %v and logged %s, want one event given up", r.count, r.logs)
	}
	e.Answer(nil)
	if err := sink.Replay(t.Context(), r.store, open); err != nil {
		t.Fatal(err)
	}
	e.await(append(ids[1:], ids[0])...)
	natstest.Eventually(t, "nothing to be open", func() bool { return len(r.open()) == 0 })
	if err := sink.Replay(t.Context(), r.store, r.open()); !errors.Is(err, sink.ErrNothing) {
		t.Errorf("Replay of nothing = %v, want ErrNothing", err)
	}
}

// TestReplayOfARetriedJobIsNow: what would wait for a day is posted at once.
func TestReplayOfARetriedJobIsNow(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(arrival) int { return http.StatusInternalServerError })
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store).Quick(time.Hour))
	ids := r.publish(story("1")...)
	natstest.Eventually(t, "the record", func() bool {
		open := r.open()
		return len(open) == 1 && open[0].Last == 3
	})
	e.Answer(nil)
	if err := sink.Replay(t.Context(), r.store, r.open()); err != nil {
		t.Fatal(err)
	}
	e.await(ids...)
}

// TestRotation: during a rotation each event has two signatures, and either key verifies it.
func TestRotation(t *testing.T) {
	t.Parallel()
	body := []byte(`{"test": 2432232314}`)
	h := sink.Sign([][]byte{secret, older}, "demo.1.finished", time.Now(), body)
	if got := strings.Split(h.Get("webhook-signature"), " "); len(got) != 2 {
		t.Errorf("webhook-signature has %d signatures, want 2", len(got))
	}
	for _, key := range [][]byte{secret, older} {
		verifier, err := standardwebhooks.NewWebhookRaw(key)
		if err == nil {
			err = verifier.Verify(body, h)
		}
		if err != nil {
			t.Errorf("with key %q the library of Standard Webhooks says: %v", key, err)
		}
	}
}

// TestTooManyJobsStopTheReading: beyond the bound no event is read, and none is lost.
func TestTooManyJobsStopTheReading(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t, func(arrival) int { return http.StatusInternalServerError })
	r := newRig(t, natstest.Open(t, natstest.Start(t, t.TempDir())), e)
	r.run(r.sinks(r.store).AtMost(2))
	var want []string
	for n := range 5 {
		want = append(want, r.publish(natstest.Event(job.Submitted, fmt.Sprint(n), "CREATED"))...)
	}
	natstest.Eventually(t, "the bound", func() bool { return strings.Contains(r.logs.String(), "of too many jobs") })
	natstest.Eventually(t, "2 jobs to be retried, and 3 events to be pending", func() bool {
		l, err := r.store.Backlog(t.Context(), "orders")
		return err == nil && l.Retrying == 2 && l.Pending == 3
	})
	if n := len(e.posts(want[2])) + len(e.posts(want[3])) + len(e.posts(want[4])); n != 0 {
		t.Errorf("the other jobs were posted %d times, want 0", n)
	}
	e.Answer(nil)
	e.await(want...)
}

// TestLargeBody: a body that is too large for a message comes whole.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	server := natstest.NewServer(t, 0)
	e := newEndpoint(t, nil)
	r := newRig(t, natstest.Dial(t, server.External(), conn.Options{Timeout: natstest.LongTimeout}), e)
	event := natstest.Sized(job.Finished, "large", 3<<20)
	r.run(r.sinks(r.store))
	e.await(r.publish(event)...)
	a := e.posts("")[0]
	data, _ := a.event["data"].(map[string]any)
	var want map[string]any
	if err := json.Unmarshal(event.Data, &want); err != nil || data["text"] != want["text"] {
		t.Errorf("the data has %d bytes, want all: %v", len(fmt.Sprint(data["text"])), err)
	}
	if ref, there := a.event["receiverdataref"]; there {
		t.Errorf("receiverdataref = %v, want none, since the data is here", ref)
	}
}
