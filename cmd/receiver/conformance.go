package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/conformance"
)

// conformanceCommand is the flags of conformance.
type conformanceCommand struct {
	conformance.Options
	keyFile, otherKeyFile        string
	scheme, header               string
	html, restartCommand, resume string
	all                          bool
}

func newConformance(a *app) *cobra.Command {
	var c conformanceCommand
	cmd := &cobra.Command{
		Use:   "conformance --url URL --key-file FILE [flags]",
		Short: "Attack a webhook receiver on this machine and report the results",
		Long: `conformance sends some 530 requests to a webhook receiver on a loopback address: first a correctly
signed one, as a control, then forged, replayed, malformed, slow and oversized ones. The report
gives for each case the request, the expected and the actual response, and the verdict. Addresses
other than loopback are refused.

The suite sends callbacks for jobs that do not exist. Run it against a receiver with a store of
its own, never against one in use. docs/conformance.md lists the cases.

Exit codes: 0 no case failed; 1 a case failed or the control was refused; 2 wrong usage.`,
		Example: "  receiver conformance --url http://127.0.0.1:8080/callbacks/crm --key-file crm.key\n" +
			"  receiver conformance --url http://127.0.0.1:3000/hook --key-file hook.key --scheme github \\\n" +
			"    --html report.html",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), a) },
	}
	var schemes []string
	for _, s := range conformance.Schemes {
		schemes = append(schemes, s.Name)
	}
	f := cmd.Flags()
	f.StringVar(&c.URL, "url", "", "address of the receiver, http or https on loopback (required)")
	f.StringVar(&c.keyFile, "key-file", "", "file with the signature key (required)")
	f.StringVar(&c.scheme, "scheme", schemes[0], "signature format: "+strings.Join(schemes, ", ")+"\n")
	f.StringVar(&c.header, "header", "", "name of the signature header (default: that of the scheme;\nrequired for base64 and hex)")
	f.StringVar(&c.OtherURL, "other-url", "", "address of a second source at the same receiver")
	f.StringVar(&c.otherKeyFile, "other-key-file", "", "file with the signature key of the second source")
	f.StringVar(&c.html, "html", "", "also write the report to this file as HTML")
	f.BoolVar(&c.all, "all", false, "also print the details of passed cases")
	f.StringSliceVar(&c.Only, "only", nil, "`classes` to run besides the control: "+classLines())
	f.DurationVar(&c.Time, "time", time.Minute, "timeout of the whole run")
	f.DurationVar(&c.CutOff, "cut-off", 40*time.Second, "timeout of the receiver for slow connections")
	f.IntVar(&c.Idle, "idle", 200, "idle connections in the class connections, 1 to 10000")
	f.StringVar(&c.restartCommand, "restart-command", "", "shell command that restarts the receiver and returns")
	f.StringVar(&c.resume, "resume", "", "file for a restart by hand: the first run writes it, the\nnext one checks the replays")
	required(cmd, "url", "key-file")
	return cmd
}

// classLines returns the names of the classes, six on a line.
func classLines() string {
	var lines []string
	for names := range slices.Chunk(conformance.Classes()[1:], 6) {
		lines = append(lines, strings.Join(names, ", "))
	}
	return "\n" + strings.Join(lines, ",\n")
}

func (c *conformanceCommand) run(ctx context.Context, a *app) error {
	if err := c.options(a); err != nil {
		return err
	}
	report, err := conformance.Run(ctx, c.Options)
	if errors.Is(err, conformance.ErrUse) {
		return usagef("%w", err)
	}
	if failed := c.write(a, report); failed != nil {
		return failed
	}
	switch {
	case err != nil:
		return err
	case report.Count(conformance.Fail) > 0:
		return silentError{}
	case c.resume != "" && c.Earlier == nil:
		if err := report.Kept.Write(c.resume); err != nil {
			return fmt.Errorf("writing --resume: %w", err)
		}
		a.say("restart the receiver, then run the same command again: it checks the replays with %s", c.resume)
	}
	return nil
}

// options completes what the flags say.
func (c *conformanceCommand) options(a *app) error {
	s, ok := conformance.FindScheme(c.scheme)
	if !ok {
		return usagef("unknown --scheme %q; see `receiver conformance --help`", c.scheme)
	}
	if c.header != "" {
		s.Header = c.header
	}
	switch {
	case s.Header == "" || strings.ContainsFunc(s.Header, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		return usagef("--scheme %s needs --header with the name of a header", c.scheme)
	case (c.OtherURL == "") != (c.otherKeyFile == ""):
		return usagef("--other-url and --other-key-file must be given together")
	case c.restartCommand != "" && c.resume != "":
		return usagef("give only one of --restart-command and --resume")
	case c.Time <= 0 || c.CutOff <= 0 || c.Idle < 1 || c.Idle > 10_000:
		return usagef("--time and --cut-off must be more than 0, --idle 1 to 10000")
	}
	c.Scheme = s
	var err error
	if c.Key, err = keyFrom(c.keyFile); err != nil {
		return err
	}
	if c.otherKeyFile != "" {
		if c.OtherKey, err = keyFrom(c.otherKeyFile); err != nil {
			return err
		}
	}
	if c.restartCommand != "" {
		c.Restart = func(ctx context.Context) error { return a.shell(ctx, c.restartCommand) }
	}
	if c.resume != "" {
		if c.Earlier, err = conformance.ReadKept(c.resume, c.URL); err != nil {
			return usagef("reading --resume: %w", err)
		}
	}
	return nil
}

func (c *conformanceCommand) write(a *app, report conformance.Report) error {
	if c.html != "" {
		var page strings.Builder
		if err := report.WriteHTML(&page); err != nil {
			return err
		}
		if err := os.WriteFile(c.html, []byte(page.String()), 0o600); err != nil {
			return fmt.Errorf("writing --html: %w", err)
		}
	}
	if a.output == "json" {
		return report.WriteJSON(a.out)
	}
	return report.WriteText(a.out, c.all)
}

// shell runs a command line, whose output goes where talk goes.
func (a *app) shell(ctx context.Context, line string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Stdout, cmd.Stderr = a.talk, a.talk
	cmd.WaitDelay = time.Second // a receiver that it starts may keep the output open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("running --restart-command: %w", err)
	}
	return nil
}
