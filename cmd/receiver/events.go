package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/publish"
)

func newEvents(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Watch events as they come",
		Example: "  receiver events watch",
	}
	cmd.AddCommand(newEventsWatch(a))
	return cmd
}

func newEventsWatch(a *app) *cobra.Command {
	var subject, since string
	var count int
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print events as they come, until stopped",
		Long: `watch prints the messages of a stream: first those stored since --since, then each as it
comes. A subject that begins with attempts. shows refused and duplicate callbacks. With -o
json, data that is encrypted and cannot be decrypted here stands in Base64, marked hidden.`,
		Example: "  receiver events watch\n" +
			"  receiver events watch --subject 'jobs.*.*.finished' --since 24h -o json\n" +
			"  receiver events watch --subject 'attempts.>'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			bus, done, err := a.read(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			a.say("watching %s; Ctrl-C ends it", subject)
			return a.watch(cmd.Context(), bus, publish.Watch{Subjects: []string{subject}, Since: from, Follow: true}, count)
		},
	}
	a.identityFlag(cmd)
	cmd.Flags().StringVar(&subject, "subject", "jobs.>", "subject to watch, with NATS wildcards")
	cmd.Flags().StringVar(&since, "since", "", "begin with what was stored since: a duration (24h) or a time (2026-11-23T00:00:00Z); default from now on")
	cmd.Flags().IntVar(&count, "count", 0, "stop after so many events; 0 means never")
	return cmd
}

// parseSince reads a duration before now, or a moment; empty means now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	return sinceFlag("since", text, now)
}

func (a *app) watch(ctx context.Context, bus *publish.Bus, w publish.Watch, count int) error {
	seen := 0
	for m, err := range bus.Messages(ctx, w) {
		if err != nil {
			return err
		}
		if err := a.printMessage(m); err != nil {
			return err
		}
		if seen++; seen == count {
			return nil
		}
	}
	return nil
}

func (a *app) printMessage(m publish.Message) error {
	if a.output == "json" {
		return printJSON(a.out, messageJSON(m))
	}
	get := func(name string) string {
		if v := m.Header[name]; len(v) > 0 {
			return printable(v[0])
		}
		return "-"
	}
	_, err := fmt.Fprintf(a.out, "%s  %6d  %s  %s  %s\n", m.Time.UTC().Format(time.RFC3339), m.Sequence,
		printable(m.Subject), get("ce-result"), get("receiver-key-fingerprint"))
	return err
}

// wireMessage is a message as commands print it. Data is the payload itself if it is
// JSON, else it stands in Base64; it is still encrypted if it is hidden, and missing if it
// is lost.
type wireMessage struct {
	Subject  string            `json:"subject"`
	Sequence uint64            `json:"sequence"`
	Stored   time.Time         `json:"stored"`
	Headers  map[string]string `json:"headers"`
	Job      json.RawMessage   `json:"job,omitempty"`
	Data     json.RawMessage   `json:"data,omitempty"`
	Base64   []byte            `json:"data_base64,omitempty"`
	Hidden   bool              `json:"hidden,omitempty"`
	Lost     bool              `json:"lost,omitempty"`
}

func messageJSON(m publish.Message) wireMessage {
	w := wireMessage{
		Subject: m.Subject, Sequence: m.Sequence, Stored: m.Time.UTC(), Headers: map[string]string{}, Hidden: m.Hidden, Lost: m.Lost,
	}
	for name, values := range m.Header {
		if len(values) == 0 {
			continue
		}
		if name == "receiver-job" && json.Valid([]byte(values[0])) {
			w.Job = json.RawMessage(values[0])
			continue
		}
		w.Headers[name] = values[0]
	}
	if json.Valid(m.Data) {
		w.Data = m.Data
	} else {
		w.Base64 = m.Data
	}
	return w
}
