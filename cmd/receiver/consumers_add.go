package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/service"
)

func newConsumersAdd(a *app) *cobra.Command {
	var c service.Admission
	var who operatorFlags
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a consumer and write its credentials",
		Long: `add makes a key and a durable for a program that reads events. The durable is a pull consumer
with explicit acknowledgement. add writes the credentials to a file that every NATS client
reads, and prints Go code that uses them. The file is a secret, and cannot be printed again:
remove the consumer, and add it again.

If the durable exists already, it keeps its settings and its position.`,
		Example: "  receiver consumers add orders\n" +
			"  receiver consumers add ledger --filter 'jobs.crm.>' --from new --creds ledger.creds\n" +
			"  receiver consumers add worker --durable imports --durable exports",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, folder, err := a.consumersFolder()
			if err != nil {
				return err
			}
			c.Name = args[0]
			if len(c.Durables) == 0 {
				c.Durables = []string{c.Name}
			}
			c.Credentials = cmp.Or(c.Credentials, c.Name+".creds")
			return a.addConsumer(cmd.Context(), cfg, folder, c, who.action(job.ActionConsumerAdd))
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.Durables, "durable", nil, "name of a durable (repeatable; default: NAME)")
	flags.StringArrayVar(&c.Filters, "filter", nil, "subject of the events (repeatable; default: jobs.*.*.finished)")
	flags.StringVar(&c.From, "from", "all", "first event: all (the oldest stored) or new (the next)")
	flags.StringVar(&c.Credentials, "creds", "", "new file for the credentials (default: NAME.creds)")
	who.flags(cmd)
	return cmd
}

func (a *app) addConsumer(ctx context.Context, cfg *config.Config, folder string, c service.Admission, action job.Action) error {
	if err := consumers.Check(c.Name, c.Durables); err != nil {
		return usagef("%w", err)
	}
	if c.From != "all" && c.From != "new" {
		return usagef("--from %q must be all or new", c.From)
	}
	store, done, err := a.opener(cfg).Write(ctx)
	if err != nil {
		return err
	}
	defer done()
	made, err := c.Admit(ctx, cfg, store, folder, action)
	if errors.Is(err, consumers.ErrCredentials) {
		return usagef("%w", err)
	}
	if err != nil {
		return err
	}
	return a.show().Added(cfg.NATS.Embedded.TLS.CAFile != "", consumers.Connection{
		Name: made.Name, Key: made.Key, Durables: made.Durables, Credentials: absolute(c.Credentials),
		InboxPrefix: consumers.Inbox(c.Name), URL: service.ConsumerURL(cfg), TLS: cfg.NATS.Embedded.TLS.On(),
	})
}

// absolute returns a path that is valid in other folders.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
