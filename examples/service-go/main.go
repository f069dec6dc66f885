// Command service-go submits a file by the HTTP API, waits for the end of its job, and fetches the
// result, the errors and the proof, by the client that is generated from the contract.
//
//	SERVICE_URL=http://localhost:8081 SERVICE_TOKEN_FILE=shop.token go run . demo contact contacts.csv order-7
//
// The arguments are source, object, file and a key of yours. Run it again with the same key after a
// crash: that makes no second job. It writes result.csv and proof.json, and ends with 0 only if the
// job succeeded.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"receiver/api"
	"receiver/api/client"
)

type service struct {
	client *client.Client
	source string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: service-go SOURCE OBJECT FILE KEY")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, source, object, file, key string) error {
	token, err := os.ReadFile(os.Getenv("SERVICE_TOKEN_FILE"))
	if err != nil {
		return err
	}
	c, err := client.Open(client.Options{URL: os.Getenv("SERVICE_URL"), Token: string(bytes.TrimSpace(token)), UserAgent: "service-go"})
	if err != nil {
		return err
	}
	s := service{client: c, source: source}
	if err := s.check(ctx, object, file); err != nil {
		return err
	}
	list, err := answer[api.JobPage](ctx, func() (*http.Response, error) { return c.ListJobs(ctx, &api.ListJobsParams{Limit: new(1)}) })
	if err != nil {
		return err
	}
	job, err := s.submit(ctx, object, file, key)
	if err != nil {
		return err
	}
	fmt.Printf("submitted: job %s\n", job)
	end, err := s.ended(ctx, job) // it has, if an earlier run submitted it
	if err == nil && end == nil {
		end, err = s.follow(ctx, job, list.Last)
	}
	if err != nil {
		return err
	}
	fmt.Printf("job %s: %s, %s records, %s failed\n", job, end.Result, count(end.Records), count(end.Failed))
	if end.Result != "succeeded" {
		return fmt.Errorf("the job did not succeed: %s", end.Status)
	}
	return s.fetch(ctx, job)
}

// check prints what the platform has, and compares the beginning of the file with it.
func (s service) check(ctx context.Context, object, file string) error {
	objects, err := answer[api.Objects](ctx, func() (*http.Response, error) { return s.client.ListObjects(ctx, s.source) })
	if err != nil {
		return err
	}
	fmt.Print("objects:")
	for _, o := range objects.Objects {
		fmt.Print(" ", o.Name)
	}
	fields, err := answer[api.Metadata](ctx, func() (*http.Response, error) { return s.client.GetObject(ctx, s.source, object) })
	if err != nil {
		return err
	}
	fmt.Print("\nfields:")
	for _, f := range fields.Fields {
		fmt.Print(" ", f.VendorPath)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return err
	}
	named := api.PreflightFileParams{FileName: file}
	report, err := answer[api.Preflight](ctx, func() (*http.Response, error) {
		return s.client.PreflightFileWithBody(ctx, s.source, object, &named, "text/csv", bytes.NewReader(head))
	})
	if err != nil {
		return err
	}
	fmt.Printf("\npreflight: %d rows, %d errors\n", report.Rows, report.Errors)
	if report.Errors > 0 {
		return fmt.Errorf("the file has %d errors; the first: %s", report.Errors, report.Findings[0].Message)
	}
	return nil
}

// submit uploads the file and returns the id of its job.
func (s service) submit(ctx context.Context, object, file, key string) (string, error) {
	for {
		made, err := answer[api.Submission](ctx, func() (*http.Response, error) {
			f, err := os.Open(file)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return s.client.SubmitJobWithBody(ctx, s.source, &api.SubmitJobParams{Object: object, IdempotencyKey: key}, "text/csv", f)
		})
		for err == nil && made.Open() { // the receiver asks the platform
			fmt.Printf("submission %s: %s\n", made.Name, made.State)
			if err = pause(ctx, time.Second); err == nil {
				made, err = answer[api.Submission](ctx, func() (*http.Response, error) { return s.client.GetSubmission(ctx, s.source, made.Name) })
			}
		}
		if err != nil || made.State == "submitted" {
			return made.Job, err
		}
	}
}

// ended returns the end of a job; nil while it has not ended.
func (s service) ended(ctx context.Context, job string) (*api.View, error) {
	got, err := answer[api.Job](ctx, func() (*http.Response, error) { return s.client.GetJob(ctx, s.source, job, nil) })
	if err != nil || got.State != "finished" && got.State != "conflict" {
		return nil, err
	}
	return &got.View, nil
}

// fetch writes the result and the proof into files, and prints the errors.
func (s service) fetch(ctx context.Context, job string) error {
	err := download(ctx, "result.csv", func() (*http.Response, error) { return s.client.GetJobResult(ctx, s.source, job, nil) })
	if err != nil {
		return err
	}
	fmt.Println("result: result.csv")
	rows, err := answer[api.RowErrors](ctx, func() (*http.Response, error) { return s.client.ListJobErrors(ctx, s.source, job, nil) })
	if err != nil {
		return err
	}
	fmt.Println("errors:", len(rows.Errors))
	for _, row := range rows.Errors {
		fmt.Println(row.Text)
	}
	accepted := api.ListCallbacksParams{Job: []string{job}, Verdict: []string{"accepted"}}
	found, err := answer[api.CallbackPage](ctx, func() (*http.Response, error) { return s.client.ListCallbacks(ctx, &accepted) })
	if err != nil {
		return err
	}
	for _, c := range found.Callbacks {
		if c.Kind != "finished" {
			continue
		}
		err := download(ctx, "proof.json", func() (*http.Response, error) { return s.client.GetBundle(ctx, c.Stream, c.Sequence) })
		if err == nil {
			fmt.Printf("proof: proof.json, of %s\n", c.ID)
		}
		return err
	}
	return errors.New("no callback ended the job, so there is no proof: the receiver polled the platform")
}

// answer repeats a request until it is answered, and reads the answer.
func answer[T any](ctx context.Context, ask func() (*http.Response, error)) (read T, _ error) {
	err := repeat(ctx, func() (err error) {
		read, err = client.Answer[T](ask())
		return err
	})
	return read, err
}

// download repeats a request until its answer is in a file completely.
func download(ctx context.Context, file string, ask func() (*http.Response, error)) error {
	return repeat(ctx, func() error {
		body, err := client.Body(ask())
		if err != nil {
			return err
		}
		defer body.Close()
		out, err := os.Create(file)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, body)
		return errors.Join(err, out.Close())
	})
}

// repeat makes attempts for two minutes at most. Each request of this program may be repeated.
func repeat(ctx context.Context, attempt func() error) error {
	giveUp := time.Now().Add(2 * time.Minute)
	for {
		err := attempt()
		var problem *api.Problem
		answered := errors.As(err, &problem)
		if err == nil || answered && !later(problem) || time.Now().After(giveUp) {
			return err
		}
		wait := time.Second
		if answered && problem.RetryAfter > 0 {
			wait = time.Duration(problem.RetryAfter) * time.Second
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// later reports whether the same request may be answered later.
func later(p *api.Problem) bool {
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable:
		return true
	}
	return api.Busy.Is(p) || api.NotSealed.Is(p)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func count(n *int64) string {
	if n == nil {
		return "?"
	}
	return strconv.FormatInt(*n, 10)
}
