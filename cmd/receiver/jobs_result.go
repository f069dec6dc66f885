package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"receiver/internal/submit"
)

func newJobsResult(a *app) *cobra.Command {
	var j jobCommand
	var object, format, to string
	var lines bool
	cmd := &cobra.Command{
		Use:   "result JOB --object OBJECT",
		Short: "Download the rows of a finished job",
		Long: `result writes the rows of a job to a file or to standard output. The platform keeps them for at
most three days. With --lines, JSON in any of the platform's formats is written as one value on
each line. On a terminal, control characters are escaped; in a file or a pipe the bytes are
unchanged.`,
		Example: "  receiver jobs result --source crm --object contact --to contacts.csv 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			client, _, err := j.client(a)
			if err != nil {
				return err
			}
			rows, err := client.OpenResult(cmd.Context(), args[0], object, format)
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
				return fmt.Errorf("fetching the result of job %s after %d bytes: %w", args[0], n, err)
			}
			a.say("%d bytes", n)
			return nil
		},
	}
	j.flags(cmd)
	cmd.Flags().StringVar(&object, "object", "", "the job's object, such as contact (required)")
	cmd.Flags().StringVar(&format, "accept", "text/csv", "media type: text/csv, application/json or\napplication/jsonl")
	cmd.Flags().StringVar(&to, "to", "-", "file to write; - is standard output")
	cmd.Flags().BoolVar(&lines, "lines", false, "write JSON as one value on each line")
	required(cmd, "object")
	return cmd
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
