package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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
	asJSON, all                  bool
}

func newConformance(a *app) *cobra.Command {
	var c conformanceCommand
	cmd := &cobra.Command{
		Use:   "conformance --url URL --key-file FILE [flags]",
		Short: "Attack a webhook receiver on this machine, and say what came of each attack",
		Long: `conformance sends a webhook receiver on loopback some 500 requests: rightly signed ones first, as a
control, then forged, replayed, malformed, slow and oversized ones. The card says of each what was
expected and what was seen. Exit 0 if nothing failed, 1 if something did or the control was not
accepted, 2 for wrong use. Addresses other than loopback are refused, without a switch for it.

It sends callbacks about jobs that there are not, so give it a receiver with a store of its own,
never one that is in use. docs/conformance.md says what is judged, and what cannot be.`,
		Example: "  receiver conformance --url http://127.0.0.1:8080/callbacks/crm --key-file crm.key\n" +
			"  receiver conformance --url http://127.0.0.1:3000/hook --key-file hook.key --scheme github --html card.html",
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
	f.StringVar(&c.scheme, "scheme", schemes[0], "how the sender signs: "+strings.Join(schemes, ", "))
	f.StringVar(&c.header, "header", "", "header with the signature, if not that of the scheme; base64 and hex need one")
	f.StringVar(&c.OtherURL, "other-url", "", "address of a second source at the same receiver")
	f.StringVar(&c.otherKeyFile, "other-key-file", "", "file with the key of the second source")
	f.BoolVar(&c.asJSON, "json", false, "write the card as JSON, an object a line")
	f.StringVar(&c.html, "html", "", "write the card to this file as a page, too")
	f.BoolVar(&c.all, "all", false, "show the cases that passed in full, too")
	f.StringSliceVar(&c.Only, "only", nil, "classes to run besides the control: "+strings.Join(conformance.Classes()[1:], ", "))
	f.DurationVar(&c.Time, "time", time.Minute, "time of the whole run at most")
	f.DurationVar(&c.CutOff, "cut-off", 40*time.Second, "time in which the receiver must end slow connections")
	f.IntVar(&c.Idle, "idle", 200, "connections of a crowd, 1 to 10000")
	f.StringVar(&c.restartCommand, "restart-command", "", "command line, run by sh, that restarts the receiver and then ends")
	f.StringVar(&c.resume, "resume", "", "file for a restart by hand: the first run writes it, the next one judges the replays")
	required(cmd, "url", "key-file")
	return cmd
}

func (c *conformanceCommand) run(ctx context.Context, a *app) error {
	if err := c.options(a); err != nil {
		return err
	}
	card, err := conformance.Run(ctx, c.Options)
	if errors.Is(err, conformance.ErrUse) {
		return usageError{err}
	}
	if failed := c.write(a, card); failed != nil {
		return failed
	}
	switch {
	case err != nil:
		return err
	case card.Count(conformance.Fail) > 0:
		return silentError{}
	case c.resume != "" && c.Earlier == nil:
		return c.keep(a, card)
	}
	return nil
}

// options completes what the flags say.
func (c *conformanceCommand) options(a *app) error {
	s, ok := conformance.FindScheme(c.scheme)
	if !ok {
		return usagef("there is no --scheme %q; see `receiver conformance --help`", c.scheme)
	}
	if c.header != "" {
		s.Header = c.header
	}
	switch {
	case s.Header == "" || strings.ContainsFunc(s.Header, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
		return usagef("--scheme %s needs --header with the name of a header", c.scheme)
	case (c.OtherURL == "") != (c.otherKeyFile == ""):
		return usagef("--other-url and --other-key-file go together")
	case c.restartCommand != "" && c.resume != "":
		return usagef("--restart-command and --resume do the same; give one of them")
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
	return c.earlier()
}

// earlier reads what the run before a restart left, if there was one.
func (c *conformanceCommand) earlier() error {
	if c.resume == "" {
		return nil
	}
	text, err := os.ReadFile(c.resume)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usagef("reading --resume: %w", err)
	}
	if err := json.Unmarshal(text, &c.Earlier); err != nil || c.Earlier == nil || c.Earlier.Body == "" {
		return usagef("%s is no file of conformance; remove it, or name another", c.resume)
	}
	if c.Earlier.URL != c.URL {
		return usagef("%s is of a run against %q; remove it to begin another", c.resume, c.Earlier.URL)
	}
	return nil
}

func (c *conformanceCommand) keep(a *app, card conformance.Card) error {
	text, err := json.Marshal(card.Kept)
	if err == nil {
		err = os.WriteFile(c.resume, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing --resume: %w", err)
	}
	a.say("restart the receiver, then run the same command again: it judges the replays by %s", c.resume)
	return nil
}

func (c *conformanceCommand) write(a *app, card conformance.Card) error {
	if c.html != "" {
		var page strings.Builder
		if err := card.WriteHTML(&page); err != nil {
			return err
		}
		if err := os.WriteFile(c.html, []byte(page.String()), 0o600); err != nil {
			return fmt.Errorf("writing --html: %w", err)
		}
	}
	if c.asJSON || a.output == "json" {
		return card.WriteJSON(a.out)
	}
	return card.WriteText(a.out, c.all)
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
