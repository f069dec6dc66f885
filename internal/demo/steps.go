package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"receiver/examples"
	"receiver/internal/audit"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/simulator"
	"receiver/internal/submit"
	"receiver/internal/verify"
)

// Step is one step of the demo, as it went.
type Step struct {
	Name string
	// Text says it for people, in lines that fit beside Name on a terminal of 80 columns.
	Text string
	// Facts are what Text says, for programs.
	Facts Facts
	// Event is the event that the step is about, if it is about one.
	Event *publish.Message
	// Checkpoints vouch for what was stored, if the step is about them.
	Checkpoints []audit.Checkpoint
}

// Facts are values by name.
type Facts map[string]any

// stepTimeout bounds every step that waits for another party.
const stepTimeout = 30 * time.Second

// Run goes through all steps, and hands each to print when it is done.
func (d *Demo) Run(ctx context.Context, print func(Step) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	d.print = print
	for _, step := range []func(context.Context) error{
		d.start, d.objects, d.submit, d.callback, d.event, d.repeat, d.forgeries, d.seal, d.count,
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("running the demo: %w", err)
		}
	}
	return nil
}

func (d *Demo) start(context.Context) error {
	public, nats := d.Receiver.PublicURL(), d.Receiver.NATSURL()
	return d.print(Step{
		Name:  "start",
		Text:  fmt.Sprintf("receiver %s, NATS %s\nTEST platform %s\nsignature key %s", public, nats, d.Platform.URL, d.key),
		Facts: Facts{"public": public, "private": d.Receiver.PrivateURL(), "nats": nats, "platform": d.Platform.URL, "key": d.key},
	})
}

func (d *Demo) objects(ctx context.Context) error {
	objects, err := d.client.Objects(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(objects))
	for _, o := range objects {
		names = append(names, o.Name)
	}
	return d.print(Step{Name: "objects", Text: "the platform offers " + strings.Join(names, ", "), Facts: Facts{"objects": names}})
}

func (d *Demo) submit(ctx context.Context) error {
	var err error
	d.submitted, err = d.upload(ctx, submit.Upload{
		Object: "contact", FileName: "sample.csv", File: bytes.NewReader(examples.SampleCSV), Size: int64(len(examples.SampleCSV)),
		CallbackPayload: json.RawMessage(`{"order":4711}`),
	})
	if err != nil {
		return err
	}
	id, subject, size := d.submitted.Job.ID, d.submitted.Subject(), len(examples.SampleCSV)
	return d.print(Step{
		Name:  "submitted",
		Text:  fmt.Sprintf("sample.csv (%d bytes) is job %s of the platform\nevent %d: %s", size, id, d.submitted.Sequence, subject),
		Facts: Facts{"job": id, "subject": subject, "sequence": d.submitted.Sequence, "bytes": size},
	})
}

func (d *Demo) callback(ctx context.Context) error {
	if err := d.Platform.Wait(ctx, func(simulator.Stats) bool { return len(d.Platform.Deliveries()) > 0 }); err != nil {
		return fmt.Errorf("waiting for the platform to call back: %w", err)
	}
	d.delivery = d.Platform.Deliveries()[0]
	if d.delivery.Code != http.StatusOK || d.delivery.Job != d.submitted.Job.ID {
		return fmt.Errorf("the callback for job %s was answered %d (%v), want 200 for job %s",
			d.delivery.Job, d.delivery.Code, d.delivery.Err, d.submitted.Job.ID)
	}
	return d.print(Step{
		Name:  "callback",
		Text:  fmt.Sprintf("the platform sent %d bytes; answered 200\nsigned %s", len(d.delivery.Body), d.delivery.Signature),
		Facts: Facts{"job": d.delivery.Job, "signature": d.delivery.Signature, "bytes": len(d.delivery.Body), "status": d.delivery.Code},
	})
}

// event waits for the event as any consumer does, and compares it with what was sent.
func (d *Demo) event(ctx context.Context) error {
	subject := job.Subject(Source, d.submitted.Job.ID, job.Finished)
	for m, err := range d.Receiver.Store().Messages(ctx, publish.Watch{Subjects: []string{subject}, Follow: true}) {
		if err != nil {
			return err
		}
		d.finished = m
		break
	}
	e, err := job.ParseEvent(d.finished.Subject, d.finished.Header, d.finished.Data)
	if err != nil {
		return fmt.Errorf("reading the event on %s: %w", subject, err)
	}
	switch {
	case e.Receipt == nil || e.Receipt.Fingerprint != d.key:
		return fmt.Errorf("the evidence of the event does not name key %s: %+v", d.key, e.Receipt)
	case !bytes.Equal(e.Data, d.delivery.Body) || e.Receipt.Signature != d.delivery.Signature:
		return errors.New("the event does not carry the bytes and the signature that the platform sent")
	case e.Job.Result != job.Succeeded || e.Job.Records == nil || *e.Job.Records != 10:
		return fmt.Errorf("the event says %s of %v rows, want %s of 10", e.Job.Result, e.Job.Records, job.Succeeded)
	}
	return d.print(Step{
		Name:  "event",
		Text:  fmt.Sprintf("verified: signed with key %s\nevent %d: %s%s", d.key, d.finished.Sequence, subject, inShort(d.finished)),
		Facts: Facts{"job": e.Job.ID, "subject": subject, "sequence": d.finished.Sequence, "verdict": "accepted", "key": d.key, "result": e.Job.Result},
		Event: &d.finished,
	})
}

// inShort returns those headers of an event that say the most, a line each.
func inShort(m publish.Message) string {
	text := ""
	for _, name := range []string{"ce-type", "ce-result", "ce-evidence", "receiver-received", "receiver-key-fingerprint"} {
		text += fmt.Sprintf("\n  %s: %s", name, strings.Join(m.Header[name], ", "))
	}
	return text + "\n  … (--json prints all headers and the body)"
}

// repeat delivers the same callback once more: it is answered, and makes no second event.
func (d *Demo) repeat(ctx context.Context) error {
	code, body, err := d.post(ctx, d.delivery.Signature, d.delivery.Body)
	if err != nil {
		return err
	}
	var got struct {
		Outcome  string
		Sequence uint64
	}
	if json.Unmarshal(body, &got) != nil || code != http.StatusOK || got.Outcome != "duplicate" || got.Sequence != d.finished.Sequence {
		return fmt.Errorf("the repeated callback was answered %d %s, want 200, duplicate of sequence %d", code, body, d.finished.Sequence)
	}
	return d.print(Step{
		Name:  "repeat",
		Text:  fmt.Sprintf("the same callback again: 200, duplicate of event %d, no second event", got.Sequence),
		Facts: Facts{"outcome": got.Outcome, "sequence": got.Sequence, "status": code},
	})
}

func (d *Demo) forgeries(ctx context.Context) error {
	changed := bytes.Replace(d.delivery.Body, []byte("COMPLETED"), []byte("ABORTED"), 1)
	for _, forgery := range []struct {
		name, signature string
		body            []byte
		reason          verify.Reason
	}{
		{"the body changed after signing", d.delivery.Signature, changed, verify.Mismatch},
		{"no signature", "", d.delivery.Body, verify.Missing},
		{"a SHA-1 signature", "sha1=2ft3EQbtnGuxCM39AvbPeLh1Vbs=", d.delivery.Body, verify.UnsupportedAlgorithm},
	} {
		code, body, err := d.post(ctx, forgery.signature, forgery.body)
		if err != nil {
			return err
		}
		if code != http.StatusUnauthorized {
			return fmt.Errorf("a forgery (%s) was answered %d, want 401", forgery.name, code)
		}
		reason, err := d.recorded(ctx, forgery.reason)
		if err != nil {
			return err
		}
		if err := d.print(Step{
			Name:  "forgery",
			Text:  fmt.Sprintf("%s: 401 %s\nrecorded as %s", forgery.name, bytes.TrimSpace(body), reason),
			Facts: Facts{"forgery": forgery.name, "status": code, "verdict": "refused", "reason": reason},
		}); err != nil {
			return err
		}
	}
	return nil
}

// recorded waits until a refusal stands in the stream of attempts.
func (d *Demo) recorded(ctx context.Context, reason verify.Reason) (verify.Reason, error) {
	subject := job.Attempt{Source: Source, Verdict: string(reason)}.Subject()
	for _, err := range d.Receiver.Store().Messages(ctx, publish.Watch{Subjects: []string{subject}, Follow: true}) {
		return reason, err
	}
	return "", fmt.Errorf("no attempt on %s: %w", subject, ctx.Err())
}

// count makes sure that there is one finished event and no more.
func (d *Demo) count(ctx context.Context) error {
	events, err := d.Receiver.Store().Job(ctx, Source, d.submitted.Job.ID)
	if err != nil {
		return err
	}
	finished := 0
	for _, e := range events {
		if e.Kind == job.Finished {
			finished++
		}
	}
	if finished != 1 {
		return fmt.Errorf("job %s has %d finished events, want 1", d.submitted.Job.ID, finished)
	}
	return d.print(Step{
		Name:  "done",
		Text:  fmt.Sprintf("job %s has exactly one finished event:\n%s: succeeded, 10 rows", d.submitted.Job.ID, d.finished.Subject),
		Facts: Facts{"job": d.submitted.Job.ID, "finished": finished, "subject": d.finished.Subject},
	})
}

// post sends a callback as anybody could.
func (d *Demo) post(ctx context.Context, signature string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.delivery.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("making a callback: %w", err)
	}
	if signature != "" {
		r.Header.Set(verify.Header, signature)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("sending a callback: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return answer.StatusCode, text, nil
}

// seal seals what the run has stored, and shows the checkpoints that now vouch for it.
func (d *Demo) seal(ctx context.Context) error {
	// The refused ones are recorded when there is time, so they were waited for before.
	checkpoints, err := d.Receiver.Seal(ctx)
	if err != nil {
		return fmt.Errorf("sealing the run: %w", err)
	}
	text := "`receiver audit verify` now detects a change of any byte"
	for _, cp := range checkpoints {
		text += fmt.Sprintf("\n%-8s size %d, root %s", path.Base(cp.Origin), cp.Tree.N, cp.Tree.Hash)
	}
	for i, n := range []int64{2, 4} { // submitted and finished; the repeat and three forgeries
		if got := checkpoints[i].Tree.N; got < n {
			return fmt.Errorf("%s seals %d leaves, want at least %d", checkpoints[i].Origin, got, n)
		}
	}
	return d.print(Step{Name: "sealed", Text: text, Checkpoints: checkpoints})
}
