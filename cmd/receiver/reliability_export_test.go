//go:build e2e

package main

import (
	"context"
	"io"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// Submitter does what `receiver submit` does, for many files from one process.
type Submitter struct {
	cfg    *config.Config
	client *submit.Client
	bus    *publish.Store
	source string
	done   func()
}

// OpenSubmitter returns a submitter to a source of a configuration. Close it.
func OpenSubmitter(ctx context.Context, file, source string) (*Submitter, error) {
	a := &app{out: io.Discard, talk: io.Discard, config: file, output: "json"}
	client, name, cfg, err := a.client(source)
	if err != nil {
		return nil, err
	}
	bus, done, err := a.opener(cfg).Write(ctx)
	if err != nil {
		return nil, err
	}
	return &Submitter{cfg: cfg, client: client, bus: bus, source: name, done: done}, nil
}

// Submit uploads a file and publishes the job's submitted event.
func (s *Submitter) Submit(ctx context.Context, u submit.Upload) (job.Stored, error) {
	return platform.Submit(ctx, s.cfg, s.client, s.bus.Publish, s.source, u)
}

// Close ends the connection to the store.
func (s *Submitter) Close() { s.done() }
