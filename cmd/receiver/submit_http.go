package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"receiver/internal/input"
	"receiver/internal/job"
	"receiver/internal/preflight"
	"receiver/internal/remote"
)

// submitByHTTP has a receiver submit the file.
func (a *app) submitByHTTP(ctx context.Context, r *remote.Receiver, f submitFlags) error {
	source, err := r.Source(ctx, f.source)
	if err != nil {
		return err
	}
	file, err := f.open(ctx, a.in)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := a.checked(f, file, func(head preflight.File) (preflight.Report, error) {
		return r.Preflight(ctx, source, f.object, head)
	})
	if err != nil || f.checkOnly {
		return err
	}
	sent, sentAll := a.show().Upload(file.Size)
	u := remote.Upload{
		Source: source, Object: f.object, FileName: filepath.Base(f.file), Path: f.path, Metadata: f.metadata, Payload: f.payload,
		Key: cmp.Or(f.key, rand.Text()), File: content, Size: file.Size,
		Progress: sent,
		Failed: func(err error, pause time.Duration) {
			a.say("%v; trying again in %v", err, pause.Round(time.Second))
		},
	}
	if file.Size >= 0 { // a regular file
		u.Again = func() (io.Reader, error) {
			again, err := input.Open(ctx, f.file)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = again.Close() })
			}
			return again, err
		}
	}
	made, err := r.Submit(ctx, u)
	sentAll()
	if errors.Is(err, remote.ErrMayExist) {
		return unknownf("%w", err)
	}
	if err != nil {
		return err
	}
	return a.submitted(ctx, r, f, u.Key, made)
}

// submitted prints what became of a submission and, with --wait, how its job ended.
func (a *app) submitted(ctx context.Context, r *remote.Receiver, f submitFlags, key string, made job.Submission) error {
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("no end within %v", f.timeout))
		defer cancel()
	}
	failed := func(err error) { a.say("asking the receiver: %v", err) }
	var err error
	if f.wait {
		made, err = r.Clear(ctx, made, failed)
	}
	switch {
	case err != nil || made.Open():
		return unknownf("the job may exist: %s; the receiver finds out; repeat the command with --key %s to ask for it", cmp.Or(made.Error, "it is not clear yet"), key)
	case made.State == job.SubmissionFailed:
		return fmt.Errorf("there is no job: %s; submit the file again", made.Error)
	}
	var sequence uint64
	if a.output == "json" {
		if j, err := r.Job(ctx, made.Source, made.Job, 0); err == nil { // else the token may submit only
			for _, e := range j.History {
				if e.Kind == job.Submitted {
					sequence = e.Sequence
				}
			}
		}
	}
	if err := a.show().Submitted(made.Source, made.Job, sequence); err != nil || !f.wait {
		return err
	}
	end, err := r.End(ctx, made.Source, made.Job, f.timeout > 0, failed)
	return a.ended(made.Job, end, err)
}
