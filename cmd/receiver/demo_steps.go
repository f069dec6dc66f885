package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/simulator"
	"receiver/internal/submit"
	"receiver/internal/verify"
)

// demonstration is one run of the demo: its parts, and what it has seen.
type demonstration struct {
	app      *app
	json     bool
	cfg      *config.Config
	in       *instance
	platform *standIn
	source   config.Source

	submitted job.Stored
	delivery  simulator.Delivery
	finished  publish.Message
}

// demoTimeout bounds every step that waits for another party.
const demoTimeout = 30 * time.Second

// run goes the whole way. It returns an error as soon as anything differs from what
// it should be.
func (d *demonstration) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	for _, step := range []func(context.Context) error{
		d.start, d.objects, d.submit, d.callback, d.event, d.repeat, d.forgeries, d.count, d.sealed,
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("the demo went wrong: %w", err)
		}
	}
	return nil
}

// tell prints one step, for people in words, for machines as JSON.
func (d *demonstration) tell(step, words string, facts map[string]any) error {
	if !d.json {
		_, err := fmt.Fprintf(d.app.out, "%-10s %s\n", step, words)
		return err
	}
	line := map[string]any{"step": step, "text": words}
	for k, v := range facts {
		line[k] = v
	}
	return printJSON(d.app.out, line)
}

func (d *demonstration) start(context.Context) error {
	key := d.source.SignatureKeys[0].Value.Fingerprint()
	return d.tell("start", fmt.Sprintf("receiver on http://%s, NATS on %s, TEST platform on %s, signature key %s",
		d.in.public.addr, d.in.natsURL(), d.platform.url, key), map[string]any{
		"public": "http://" + d.in.public.addr, "private": "http://" + d.in.private.addr,
		"nats": d.in.natsURL(), "platform": d.platform.url, "key": key,
	})
}

func (d *demonstration) objects(ctx context.Context) error {
	client, err := platform(demoSource, d.source)
	if err != nil {
		return err
	}
	objects, err := client.Objects(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(objects))
	for _, o := range objects {
		names = append(names, o.Name)
	}
	return d.tell("objects", fmt.Sprintf("the platform offers %v", names), map[string]any{"objects": names})
}

func (d *demonstration) submit(ctx context.Context) error {
	client, err := platform(demoSource, d.source)
	if err != nil {
		return err
	}
	d.submitted, err = upload(ctx, d.cfg, client, d.in.bus, demoSource, submit.Upload{
		Object: "contact", FileName: "sample.csv", File: bytes.NewReader(sampleCSV), Size: int64(len(sampleCSV)),
		CallbackPayload: json.RawMessage(`{"order":4711}`),
	})
	if err != nil {
		return err
	}
	return d.tell("submitted", fmt.Sprintf("uploaded sample.csv (%d bytes) as job %s; event %s at sequence %d",
		len(sampleCSV), d.submitted.Job.ID, d.submitted.Subject(), d.submitted.Sequence), map[string]any{
		"job": d.submitted.Job.ID, "subject": d.submitted.Subject(), "sequence": d.submitted.Sequence, "bytes": len(sampleCSV),
	})
}

func (d *demonstration) callback(ctx context.Context) error {
	if err := d.platform.Wait(ctx, func(simulator.Stats) bool { return len(d.platform.Deliveries()) > 0 }); err != nil {
		return fmt.Errorf("waiting for the platform to call back: %w", err)
	}
	d.delivery = d.platform.Deliveries()[0]
	if d.delivery.Code != http.StatusOK || d.delivery.Job != d.submitted.Job.ID {
		return fmt.Errorf("the callback for job %s was answered %d (%v), want 200 for job %s",
			d.delivery.Job, d.delivery.Code, d.delivery.Err, d.submitted.Job.ID)
	}
	return d.tell("callback", fmt.Sprintf("the platform called back with %d bytes, signed %s; answered 200",
		len(d.delivery.Body), d.delivery.Signature), map[string]any{
		"job": d.delivery.Job, "signature": d.delivery.Signature, "bytes": len(d.delivery.Body), "status": d.delivery.Code,
	})
}

// event waits for the event as any consumer does, and compares it with what was sent.
func (d *demonstration) event(ctx context.Context) error {
	subject := job.Subject(demoSource, d.submitted.Job.ID, job.Finished)
	for m, err := range d.in.bus.Messages(ctx, publish.Watch{Subjects: []string{subject}, Follow: true}) {
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
	key := d.source.SignatureKeys[0].Value.Fingerprint()
	switch {
	case e.Receipt == nil || e.Receipt.Fingerprint != key:
		return fmt.Errorf("the event was not proved by key %s: %+v", key, e.Receipt)
	case !bytes.Equal(e.Data, d.delivery.Body) || e.Receipt.Signature != d.delivery.Signature:
		return errors.New("the event does not carry the bytes and the signature that the platform sent")
	case e.Job.Result != job.Succeeded || e.Job.Records == nil || *e.Job.Records != 10:
		return fmt.Errorf("the event says %s of %v rows, want %s of 10", e.Job.Result, e.Job.Records, job.Succeeded)
	}
	words := fmt.Sprintf("verdict accepted by key %s; event %s at sequence %d: %s", key, subject, d.finished.Sequence, e.Job.Result)
	if !d.json {
		text, err := json.MarshalIndent(messageJSON(d.finished), "", "  ")
		if err != nil {
			return fmt.Errorf("printing the event: %w", err)
		}
		words += "\n" + string(text)
	}
	return d.tell("event", words, map[string]any{
		"job": e.Job.ID, "subject": subject, "sequence": d.finished.Sequence, "verdict": "accepted", "key": key,
		"result": e.Job.Result, "event": messageJSON(d.finished),
	})
}

// repeat delivers the same callback once more: it is answered, and makes no second event.
func (d *demonstration) repeat(ctx context.Context) error {
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
	return d.tell("repeat", fmt.Sprintf("the same callback again: 200, duplicate of sequence %d, no second event", got.Sequence),
		map[string]any{"outcome": got.Outcome, "sequence": got.Sequence, "status": code})
}

func (d *demonstration) forgeries(ctx context.Context) error {
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
		err = d.tell("forgery", fmt.Sprintf("%s: 401 %s (recorded as %s, which the caller is not told)",
			forgery.name, bytes.TrimSpace(body), reason), map[string]any{
			"forgery": forgery.name, "status": code, "verdict": "refused", "reason": reason,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recorded waits until a refusal stands in the stream of attempts.
func (d *demonstration) recorded(ctx context.Context, reason verify.Reason) (verify.Reason, error) {
	subject := job.Attempt{Source: demoSource, Verdict: string(reason)}.Subject()
	for _, err := range d.in.bus.Messages(ctx, publish.Watch{Subjects: []string{subject}, Follow: true}) {
		return reason, err
	}
	return "", fmt.Errorf("no attempt on %s: %w", subject, ctx.Err())
}

// count makes sure that there is one finished event and no more.
func (d *demonstration) count(ctx context.Context) error {
	events, err := d.in.bus.Job(ctx, demoSource, d.submitted.Job.ID)
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
	return d.tell("done", fmt.Sprintf("job %s has exactly one finished event", d.submitted.Job.ID),
		map[string]any{"job": d.submitted.Job.ID, "finished": finished})
}

// post sends a callback as anybody could.
func (d *demonstration) post(ctx context.Context, signature string, body []byte) (int, []byte, error) {
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
