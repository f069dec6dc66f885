package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/submit"
)

// submitFlags are the flags of submit.
type submitFlags struct {
	source, object, file, path string
	metadata, payload          string
	wait, unchecked            bool
}

func newSubmit(a *app) *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit --object OBJECT --file FILE",
		Short: "Upload a file as a bulk job and publish its submitted event",
		Long: `submit streams a file to the platform, which makes a bulk job of it and calls back when
the job has ended. The job's id goes to standard output. With --wait, submit follows
the job to its end and exits 0 only if it succeeded: not if rows failed, nor if the
platform does not say clearly how it ended.

The first 64 KiB of the file are looked at before it is sent: what is empty, in UTF-16,
compressed, HTML or the like is refused with what to do about it; --no-check sends it all
the same.

Without a running receiver submit opens the embedded store before the upload, to see that
it can be, and after it to record the job; a receiver may start meanwhile.

If the answer to the upload is lost, the upload is not repeated: the job may exist.`,
		Example: "  receiver submit --source crm --object contact --file contacts.csv\n" +
			"  receiver submit --source crm --object contact --file contacts.csv --metadata '{\"identifierFieldName\":\"email\"}' --callback-payload '{\"order\":7}' --wait",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.submit(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.source, "source", "", "configured source (may be left out if there is one only)")
	cmd.Flags().StringVar(&f.object, "object", "", "the platform's object, such as contact (required)")
	cmd.Flags().StringVar(&f.file, "file", "", "CSV or JSON file to upload, or - for standard input (required)")
	cmd.Flags().StringVar(&f.metadata, "metadata", "", "metaData for the platform, a JSON object")
	cmd.Flags().StringVar(&f.payload, "callback-payload", "", "JSON that the callback brings back")
	cmd.Flags().StringVar(&f.path, "path", "", "the query parameter path of the upload, such as /contacts.csv")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "follow the job to its end")
	cmd.Flags().BoolVar(&f.unchecked, "no-check", false, "send the file as it is, whatever it looks like")
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
	return nil
}

func (a *app) submit(ctx context.Context, f submitFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	client, name, cfg, err := a.client(f.source)
	if err != nil {
		return err
	}
	file, size, err := a.openFile(f.file)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := a.checked(f, file)
	if err != nil {
		return err
	}
	// The store opens before the upload, so that no job starts that cannot be recorded. It is not
	// held meanwhile: a receiver may have to start on it.
	_, done, err := a.write(ctx, cfg)
	if err != nil {
		return err
	}
	done()
	bar := a.progress(size)
	event, err := handOver(ctx, cfg, client, name, submit.Upload{
		Object: f.object, FileName: filepath.Base(f.file), File: content, Size: size, Path: f.path,
		Metadata: json.RawMessage(f.metadata), CallbackPayload: json.RawMessage(f.payload),
		Progress: func(sent int64) { _ = bar.Set64(sent) },
	})
	_ = bar.Finish()
	if err != nil {
		return err
	}
	stored, err := recordJob(ctx, cfg, a.opening(cfg), event)
	if err != nil {
		return err
	}
	if err := a.printSubmitted(stored); err != nil || !f.wait {
		return err
	}
	return a.follow(ctx, follow{attach: a.attaching(cfg), client: client, source: name, id: stored.Job.ID, timeout: cfg.Sources[name].Timeouts.Upload})
}

// upload hands a file to the platform, with the address to call back, and publishes
// the job's submitted event.
func upload(ctx context.Context, cfg *config.Config, c *submit.Client, bus *publish.Bus, source string, u submit.Upload) (job.Stored, error) {
	event, err := handOver(ctx, cfg, c, source, u)
	if err != nil {
		return job.Stored{}, err
	}
	return recordJob(ctx, cfg, bus.Publish, event)
}

// handOver hands a file to the platform, with the address to call back, and returns the
// submitted event of the job.
func handOver(ctx context.Context, cfg *config.Config, c *submit.Client, source string, u submit.Upload) (_ job.Event, err error) {
	id := rand.Text()
	if u.CallbackURL, err = callbackURL(cfg, source, u.Object, id); err != nil {
		return job.Event{}, err
	}
	s := submit.Submission{
		ID: id, Source: source, Object: u.Object, Direction: "UPLOAD", File: u.FileName, Bytes: max(u.Size, 0),
		Metadata: u.Metadata, Payload: u.CallbackPayload, Submitted: time.Now().UTC(),
	}
	created, err := c.Upload(ctx, u)
	if err != nil {
		return job.Event{}, err
	}
	return s.Event(created)
}

// recordJob publishes the submitted event of a job that the platform has taken.
func recordJob(ctx context.Context, cfg *config.Config, publishing func(context.Context, job.Event) (job.Stored, error), event job.Event) (job.Stored, error) {
	stored, err := insist(ctx, publishing, event)
	if err == nil {
		return stored, nil
	}
	remedy := fmt.Sprintf("`receiver jobs find --source %s` finds it at the platform and records it", event.Source)
	if cfg.TokenSecret.Empty() {
		remedy = "keep its id: without a token_secret nothing finds it again by itself, and its callback will be one that nobody expects"
	}
	return job.Stored{}, fmt.Errorf("job %s was submitted, but its submitted event is not stored: %w; %s", printable(event.Job.ID), err, remedy)
}

// opening returns a func that opens the store for the moment of publishing an event. That it
// cannot be opened may be over soon: another one holds it, or starts on it.
func (a *app) opening(cfg *config.Config) func(context.Context, job.Event) (job.Stored, error) {
	return func(ctx context.Context, e job.Event) (job.Stored, error) {
		bus, done, err := a.write(ctx, cfg)
		if err != nil {
			return job.Stored{}, fmt.Errorf("%w: %w", publish.ErrUnavailable, err)
		}
		defer done()
		return bus.Publish(ctx, e)
	}
}

// attaching returns a func that connects to the receiver that runs, or the cluster. It opens
// no folder: who only waits holds nobody up.
func (a *app) attaching(cfg *config.Config) func(context.Context) (*publish.Bus, closer, error) {
	return func(ctx context.Context) (*publish.Bus, closer, error) {
		options := busOptions(cfg, a.logger(cfg.Log))
		options.ReadOnly = true
		if cfg.NATS.Mode == config.ModeExternal {
			return opened(publish.Dial(ctx, external(cfg), options))(nil)
		}
		return opened(publish.Attach(ctx, cfg.Abs(cfg.NATS.Embedded.Folder), options))(nil)
	}
}

// insistence is how long a store that is away is tried again for a job that the platform has
// taken.
const insistence = time.Minute

// insist publishes an event, and tries again for a while if the store is not available. The
// end of ctx breaks off the waiting, and no attempt.
func insist(ctx context.Context, publishing func(context.Context, job.Event) (job.Stored, error), e job.Event) (job.Stored, error) {
	late := time.NewTimer(insistence)
	defer late.Stop()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		stored, err := publishing(context.WithoutCancel(ctx), e)
		if !errors.Is(err, publish.ErrUnavailable) {
			return stored, err
		}
		select {
		case <-time.After(pause):
		case <-late.C:
			return stored, err
		case <-ctx.Done():
			return stored, err
		}
	}
}

// checked looks at the beginning of a file, and returns what reads all of it.
func (a *app) checked(f submitFlags, file io.Reader) (io.Reader, error) {
	if f.unchecked {
		return file, nil
	}
	head, whole, all, err := peek(file)
	if err != nil {
		return nil, fmt.Errorf("reading --file: %w", err)
	}
	warnings, err := checkFile(f.file, f.metadata, head, whole)
	for _, w := range warnings {
		a.say("warning: %s: %s", printable(f.file), w)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable(f.file), err)
	}
	return all, nil
}

// openFile opens a file, or standard input, and says its size; -1 is unknown.
func (a *app) openFile(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(a.in), -1, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, usagef("--file: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		return nil, 0, errors.Join(usagef("--file: %w", err), file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}

// progress shows bytes, rate and time left on a terminal, and nothing elsewhere.
func (a *app) progress(size int64) *progressbar.ProgressBar {
	w := io.Discard
	if isTerminal(a.talk) {
		w = a.talk
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("uploading"), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

func (a *app) printSubmitted(s job.Stored) error {
	if a.output == "json" {
		return printJSON(a.out, map[string]any{"job": s.Job.ID, "subject": s.Subject(), "sequence": s.Sequence})
	}
	_, err := fmt.Fprintln(a.out, printable(s.Job.ID))
	return err
}

// follow is a job to be followed to its end.
type follow struct {
	attach     func(context.Context) (*publish.Bus, closer, error)
	client     *submit.Client
	source, id string
	timeout    time.Duration
	every      time.Duration // between questions to the platform; 0 means pollEvery
}

// mostOthers is how often in a row the platform may answer about another job. More of it is no
// slip, and whoever waits is told.
const mostOthers = 3

// pollEvery is how often the platform is asked after a job that somebody waits for.
const pollEvery = 5 * time.Second

// follow waits for the finished event of a job and, as a second way, asks the
// platform: whoever waits shall not wait for a callback that was lost.
func (a *app) follow(ctx context.Context, f follow) error {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("no end within %v", f.timeout))
	defer cancel()
	events := make(chan job.Stored, 1)
	var listening sync.Mutex
	tick := time.NewTicker(cmp.Or(f.every, pollEvery))
	defer tick.Stop()
	said := "the platform says so; no callback has come yet"
	for others := 0; ; {
		if listening.TryLock() { // a receiver may start, or start again, while we wait
			go func() {
				defer listening.Unlock()
				f.listen(ctx, events)
			}()
		}
		select {
		case e := <-events:
			if e.Job.Result == job.Undecided {
				a.say("job %s is over, and how it ended cannot be read; the platform is asked", printable(f.id))
				said = "the platform says so"
				continue
			}
			return a.end(e.Job, fmt.Sprintf("finished event at sequence %d, evidence %s", e.Sequence, e.Evidence))
		case <-tick.C:
			status, err := f.client.Status(ctx, f.id)
			var view job.View
			if err == nil {
				view, err = job.ReadAnswer(f.id, status.Raw)
			}
			if others++; !errors.Is(err, submit.ErrOtherJob) {
				others = 0
			}
			if others == mostOthers {
				return fmt.Errorf("waiting for job %[1]s: %[2]w; how it ends is not known: do not submit it again before "+
					"`receiver jobs show %[1]s` says so", printable(f.id), err)
			}
			if err != nil {
				a.say("asking the platform: %v", err)
				continue
			}
			if view.Over() {
				return a.end(view, said)
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting for job %[1]s: %[2]w; it goes on, see `receiver jobs show %[1]s`", printable(f.id), context.Cause(ctx))
		}
	}
}

// listen waits for the finished event of a job, if there is a store to listen to.
func (f follow) listen(ctx context.Context, events chan<- job.Stored) {
	bus, done, err := f.attach(ctx)
	if err != nil {
		return
	}
	defer done()
	for e, err := range bus.Follow(ctx, job.Subject(f.source, f.id, job.Finished)) {
		if err == nil {
			select {
			case events <- e:
			default: // told before
			}
		}
		return
	}
}

// end reports how a job ended; anything but full success is the answer no.
func (a *app) end(v job.View, how string) error {
	a.say("job %s %s (%s)", printable(v.ID), v.Result, how)
	if a.output == "json" {
		if err := printJSON(a.out, v); err != nil {
			return err
		}
	}
	if v.Result == job.Undecided {
		return fmt.Errorf("job %[1]s is over, and the platform does not say in words that can be read how it ended: status %[2]s; "+
			"see `receiver jobs status %[1]s` and `receiver jobs show %[1]s`", printable(v.ID), printable(v.Status))
	}
	if v.Result != job.Succeeded {
		return fmt.Errorf("job %s did not succeed: %s, status %s; see `receiver jobs errors %s`",
			printable(v.ID), v.Result, printable(v.Status), printable(v.ID))
	}
	return nil
}
