package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/input"
	"receiver/internal/job"
	"receiver/internal/preflight"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
)

// submitFlags are the flags of submit.
type submitFlags struct {
	source, object, file, path string
	metadata, payload, key     string
	wait, unchecked, checkOnly bool
	timeout                    time.Duration
}

func newSubmit(a *app) *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit --object OBJECT --file FILE",
		Short: "Upload a file as a bulk job and publish its submitted event",
		Long: `submit uploads a file to the platform. The platform makes a bulk job of it, and calls the
receiver when the job has ended. submit prints the job's id.

submit first checks the first 64 KiB of the file: that it is a table in UTF-8, that its rows are
whole, and that its columns are fields of the object, for which it asks the platform. It prints
warnings and errors with advice, and uploads nothing if there are errors. --no-check skips the
check; --check-only uploads nothing in any case.

If no receiver runs, submit opens the embedded store before the upload, to make sure that it can
record the job, and again after the upload. A receiver can start in between.

If the response to the upload is lost, submit does not repeat the upload, because the job may
exist. Look for it with "receiver jobs find".

With --url or --context, the receiver uploads the file while it arrives. Then submit is safe to
repeat with the same --key: for a week there is one job at most for each key. As long as the
receiver cannot be reached or is busy, submit repeats the request itself, for about five minutes.
Standard input and pipes can only be read once.

Exit codes: 0 the job is submitted, with --wait it succeeded; 1 there is no job, also if the check
finds errors, or with --wait it did not succeed or rows failed; 2 wrong usage or configuration; 3
not known, do not submit the file again: the job may exist, or with --wait it has no end yet or no
clear result.`,
		Example: "  receiver submit --source crm --object contact --file contacts.csv\n" +
			"  receiver submit --source crm --object contact --file contacts.csv --wait \\\n" +
			"    --metadata '{\"identifierFieldName\":\"email\"}' --callback-payload '{\"order\":7}'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.submit(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.source, "source", "", "name of the configured source (default: the only one)")
	cmd.Flags().StringVar(&f.object, "object", "", "the platform's object, such as contact (required)")
	cmd.Flags().StringVar(&f.file, "file", "", "CSV or JSON file to upload, or - for standard input (required)")
	cmd.Flags().StringVar(&f.metadata, "metadata", "", "metaData for the platform: a JSON object")
	cmd.Flags().StringVar(&f.payload, "callback-payload", "", "JSON that the callback returns")
	cmd.Flags().StringVar(&f.path, "path", "", "query parameter \"path\" of the upload, such as /contacts.csv")
	cmd.Flags().StringVar(&f.key, "key", "", "with --url or --context: what names this job, such as an order\nnumber; a repeat with the same key makes no second job\n(default: random)")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait for the end of the job")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "longest time to wait with --wait; the job continues\n(default: watch.deadline of the source)")
	cmd.Flags().BoolVar(&f.unchecked, "no-check", false, "do not check the file before the upload")
	cmd.Flags().BoolVar(&f.checkOnly, "check-only", false, "check the file, and do not upload it")
	required(cmd, "object", "file")
	return cmd
}

func (f submitFlags) check() error {
	var object map[string]json.RawMessage
	if f.metadata != "" && json.Unmarshal([]byte(f.metadata), &object) != nil {
		return usagef("--metadata is not a JSON object")
	}
	if f.payload != "" && !json.Valid([]byte(f.payload)) {
		return usagef("--callback-payload is not JSON")
	}
	if f.timeout < 0 || f.timeout > 0 && !f.wait {
		return usagef("--timeout must be more than 0, and needs --wait")
	}
	if f.checkOnly && (f.unchecked || f.wait) {
		return usagef("--check-only uploads nothing: leave out --no-check and --wait")
	}
	return nil
}

// open opens the file to submit, which the caller closes. Its size is -1 if that is not known.
func (f submitFlags) open(ctx context.Context, in io.Reader) (*input.File, error) {
	if f.file == "-" {
		return &input.File{Reader: in, Size: -1}, nil
	}
	opened, err := input.Open(ctx, f.file)
	if err != nil {
		return nil, usagef("--file: %w", err)
	}
	return opened, nil
}

func (a *app) submit(ctx context.Context, f submitFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	r, err := a.receiver()
	switch {
	case err != nil:
		return err
	case r != nil:
		return a.submitByHTTP(ctx, r, f)
	case f.key != "":
		return usagef("--key needs --url or --context: no record is kept here of what was submitted; if a job may exist, use `receiver jobs find`")
	}
	client, name, cfg, err := a.client(f.source)
	if err != nil {
		return err
	}
	file, err := f.open(ctx, a.in)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := a.checked(f, file, func(head preflight.File) (preflight.Report, error) {
		return platform.Preflight(ctx, client, f.object, head), nil
	})
	if err != nil || f.checkOnly {
		return err
	}
	// The store opens before the upload, so that no job starts that cannot be recorded. It is not
	// held meanwhile: a receiver may have to start on it.
	if err := a.openStore(ctx, cfg, service.Opener.Write, func(*publish.Store) error { return nil }); err != nil {
		return err
	}
	sent, sentAll := a.show().Upload(file.Size)
	record := func(ctx context.Context, e job.Event) (job.Stored, error) {
		sentAll()
		return a.opener(cfg).Publish(ctx, e)
	}
	stored, err := platform.Submit(ctx, cfg, client, record, name, submit.Upload{
		Object: f.object, FileName: filepath.Base(f.file), File: content, Size: file.Size, Path: f.path,
		Metadata: json.RawMessage(f.metadata), CallbackPayload: json.RawMessage(f.payload),
		Progress: sent,
	})
	sentAll()
	switch {
	case errors.Is(err, submit.ErrMayExist), errors.Is(err, platform.ErrNotRecorded):
		return unknownf("%w", err)
	case err != nil:
		return err
	}
	if err := a.show().Submitted(name, stored.Job.ID, stored.Sequence); err != nil || !f.wait {
		return err
	}
	return a.follow(ctx, client, cmp.Or(f.timeout, cfg.Sources[name].Watch.Deadline), submit.Following{
		ID: stored.Job.ID, Listen: func(ctx context.Context) (job.Stored, bool) { return a.opener(cfg).Finished(ctx, name, stored.Job.ID) },
	})
}

// follow waits for the end of a job, and says how it was.
func (a *app) follow(ctx context.Context, client *submit.Client, timeout time.Duration, f submit.Following) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no end within %v", timeout))
	defer cancel()
	f.Unreadable = func() {
		a.say("job %s has ended, but its result is unclear; asking the platform", printable(f.ID))
	}
	f.Failed = func(err error) { a.say("asking the platform: %v", err) }
	end, err := client.Follow(ctx, f)
	return a.ended(f.ID, end, err)
}

// ended says how a job that was waited for ended, or why that is not known.
func (a *app) ended(id string, end submit.End, err error) error {
	switch {
	case errors.Is(err, submit.ErrOtherJob):
		return unknownf("waiting for job %[1]s: %[2]w; its result is unknown: do not submit it again before "+
			"`receiver jobs show %[1]s` says so", printable(id), err)
	case err != nil:
		return unknownf("waiting for job %[1]s: %[2]w; the job continues, see `receiver jobs show %[1]s`", printable(id), err)
	case end.Event != nil:
		return a.end(end.Job, fmt.Sprintf("finished event at sequence %d, evidence %s", end.Event.Sequence, end.Event.Evidence))
	case end.Called:
		return a.end(end.Job, "the platform says so")
	}
	return a.end(end.Job, "the platform says so; no callback has come yet")
}

// end reports how a job ended; anything but full success is the answer no, or none.
func (a *app) end(v job.View, how string) error {
	a.say("job %s %s (%s)", printable(v.ID), v.Result, how)
	if a.output == "json" {
		if err := printJSON(a.out, v); err != nil {
			return err
		}
	}
	if v.Result == job.Undecided {
		return unknownf("job %[1]s has ended, but the platform reports no clear result: status %[2]s; "+
			"see `receiver jobs status %[1]s` and `receiver jobs show %[1]s`", printable(v.ID), printable(v.Status))
	}
	if v.Result != job.Succeeded {
		return fmt.Errorf("job %s did not succeed: %s, status %s; see `receiver jobs errors %s`",
			printable(v.ID), v.Result, printable(v.Status), printable(v.ID))
	}
	return nil
}
