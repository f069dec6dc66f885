package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"receiver/api"
	"receiver/internal/demo"
	"receiver/internal/job"
	"receiver/internal/plain"
	"receiver/internal/service/records"
)

func newDemo(a *app) *cobra.Command {
	var once bool
	var keep string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show submit, callback, verification and event on this machine",
		Long: `demo starts a simulated platform, the receiver and its NATS server in one process, on loopback
addresses and in a temporary folder. It uploads a CSV file with ten contacts, receives the
signed callback, shows the resulting event, shows that three forged callbacks are refused, and
seals the records in tamper-evident logs. It prints commands that you can try, and last the
result. Then it keeps running until Ctrl-C; with --once it ends.

Exit codes: 0 every step had the expected result; 1 a step failed; 2 wrong usage.`,
		Example: "  receiver demo\n" +
			"  receiver demo --once --json\n" +
			"  receiver demo --once --keep DIR && receiver --config DIR/config.yaml serve\n" +
			"  receiver --config DIR/config.yaml audit verify",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), keep, once)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "exit after the last step")
	cmd.Flags().StringVar(&keep, "keep", "", "keep the store, config.yaml, keys and credentials in this folder")
	return cmd
}

func (a *app) demo(ctx context.Context, keep string, once bool) (err error) {
	if keep != "" {
		if err := demo.Prepare(keep); err != nil {
			return usagef("--keep: %w", err)
		}
	}
	d, err := demo.Start(ctx, demo.Options{Folder: keep, Log: a.talk, Action: operatorFlags{}.action(job.ActionConsumerAdd)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	err = d.Run(ctx, func(s demo.Step) error {
		if s.Name == "done" && !once { // the result comes last, where a terminal shows it
			a.say("%s", d.Invitation())
		}
		return a.printStep(s)
	})
	if err != nil || once {
		return err
	}
	return d.Receiver.Wait(ctx)
}

// printStep prints one step, for people in words, for machines as JSON.
func (a *app) printStep(s demo.Step) error {
	if a.output == "json" {
		line := map[string]any{"step": s.Name, "text": s.Text}
		maps.Copy(line, s.Facts)
		if s.Event != nil {
			line["event"] = records.JSON(*s.Event)
		}
		var logs []api.Checkpoint
		for _, cp := range s.Checkpoints {
			logs = append(logs, records.Checkpoint(cp))
			line["logs"] = logs
		}
		return printJSON(a.out, line)
	}
	colour := map[string]plain.Colour{"event": plain.Green, "forgery": plain.Yellow, "done": plain.Green}[s.Name]
	if err := plain.Paint(a.out, colour, fmt.Sprintf("%-11s", s.Name)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.out, strings.ReplaceAll(s.Text, "\n", "\n           "))
	return err
}
