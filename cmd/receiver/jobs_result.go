package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/submit"
	"receiver/internal/words"
)

func newJobsResult(a *app) *cobra.Command {
	var j jobCommand
	var object, format, to string
	var lines bool
	cmd := &cobra.Command{
		Use:   "result JOB",
		Short: "Download the rows of a finished job",
		Long: `result writes the rows of a job to a file or to standard output. The platform keeps them for at
most three days. The job's object is taken from the stream JOBS; give --object for a job that is
not recorded there. With --lines, JSON in any of the platform's formats is written as one value on
each line. On a terminal, control characters are escaped; in a file or a pipe the bytes are
unchanged.`,
		Example: "  receiver jobs result --source crm --to contacts.csv 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			rows, err := a.result(cmd.Context(), &j, args[0], object, format)
			if err != nil {
				return err
			}
			defer rows.Close()
			w, done, err := a.create(to)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			var from io.Reader = rows
			if lines {
				from = submit.Normalise(rows)
			}
			n, err := io.Copy(w, from)
			if err != nil {
				return fmt.Errorf("fetching the result of job %s after %s: %w", printable(args[0]), words.Count(n, "byte"), err)
			}
			a.say("%s", words.Count(n, "byte"))
			return nil
		},
	}
	j.flags(cmd)
	cmd.Flags().StringVar(&object, "object", "", "the job's object, such as contact (default: as recorded)")
	cmd.Flags().StringVar(&format, "accept", "text/csv", "media type: text/csv, application/json or\napplication/jsonl")
	cmd.Flags().StringVar(&to, "to", "-", "file to write; - is standard output")
	cmd.Flags().BoolVar(&lines, "lines", false, "write JSON as one value on each line")
	return cmd
}

// result opens the rows of a job.
func (a *app) result(ctx context.Context, j *jobCommand, id, object, format string) (io.ReadCloser, error) {
	r, err := a.receiver()
	if err != nil {
		return nil, err
	}
	if r != nil {
		source, err := r.Source(ctx, j.source)
		if err != nil {
			return nil, err
		}
		return r.Result(ctx, source, id, object, format)
	}
	client, cfg, err := j.client(a)
	if err != nil {
		return nil, err
	}
	if object == "" {
		if object, err = a.objectOf(ctx, cfg, j.source, id); err != nil {
			return nil, err
		}
	}
	return client.OpenResult(ctx, id, object, format)
}

// objectOf returns the object of a job as recorded.
func (a *app) objectOf(ctx context.Context, cfg *config.Config, source, id string) (object string, err error) {
	err = a.openStore(ctx, cfg, service.Opener.Read, func(store *publish.Store) error {
		events, err := store.Job(ctx, source, id)
		object = joblist.Fold(events).View.Object
		return err
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("looking up the object of job %s: %w; give --object", printable(id), err)
	case object == "":
		return "", usagef("job %s of source %s is not recorded here with its object; give --object", printable(id), source)
	}
	return object, nil
}

// create opens a new file for a result; it never writes over one that exists.
func (a *app) create(path string) (io.Writer, func() error, error) {
	if path == "-" {
		return a.out, func() error { return nil }, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usagef("--to: %w", err)
	}
	return f, f.Close, nil
}
