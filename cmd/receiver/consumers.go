package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/publish"
)

func newConsumers(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumers",
		Short: "Say which programs may read events from the embedded NATS server",
		Long: `consumers says which programs may read events from the NATS server in this process, under
which name and by which durable. Nobody else gets in: the server has no access without
credentials. A consumer may take events from its own durables, acknowledge them, and read
the large bodies that they refer to, and nothing else. A receiver that runs needs no restart.

It is for nats.mode embedded and edge. In a cluster, whoever runs it says who may do what.`,
		Example: "  receiver consumers add orders\n  receiver consumers list\n  receiver consumers remove orders",
	}
	cmd.AddCommand(newConsumersAdd(a), newConsumersList(a), newConsumersRemove(a))
	return cmd
}

// consumersFolder is the store's folder, whose consumers a command is about.
func (a *app) consumersFolder() (*config.Config, string, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, "", err
	}
	if cfg.NATS.Mode == config.ModeExternal {
		return nil, "", usagef("nats.mode is external: whoever runs that cluster makes a user for each consumer, with the permissions in docs/events.md; `receiver consumers` is for embedded and edge")
	}
	return cfg, cfg.Abs(cfg.NATS.Embedded.Folder), nil
}

func newConsumersList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show who may read events, and how far each has come",
		Example: "  receiver consumers list\n  receiver consumers list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, folder, err := a.consumersFolder()
			if err != nil {
				return err
			}
			all, broken := consumers.List(folder)
			if len(all) == 0 {
				if broken == nil {
					a.say("nobody is admitted; `receiver consumers add NAME` does it")
				}
				return broken
			}
			bus, done, err := a.read(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer done()
			rows, err := listed(cmd.Context(), bus, all)
			if err != nil {
				return err
			}
			return errors.Join(a.printConsumers(rows), broken)
		},
	}
}

// listedDurable is a row of `consumers list`.
type listedDurable struct {
	Consumer string    `json:"consumer"`
	Key      string    `json:"key"`
	Made     time.Time `json:"made"`
	Durable  string    `json:"durable"`
	Missing  bool      `json:"missing,omitempty"`
	publish.Progress
}

func listed(ctx context.Context, bus *publish.Bus, all []consumers.Consumer) (rows []listedDurable, err error) {
	for _, c := range all {
		for _, d := range c.Durables {
			row := listedDurable{Consumer: c.Name, Key: c.Key, Made: c.Made, Durable: d}
			row.Progress, err = bus.Durable(ctx, d)
			row.Missing = errors.Is(err, publish.ErrNoDurable)
			if err != nil && !row.Missing {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (a *app) printConsumers(rows []listedDurable) error {
	if a.output == "json" {
		for _, r := range rows {
			if err := printJSON(a.out, r); err != nil {
				return err
			}
		}
		return nil
	}
	var cells [][]string
	for _, r := range rows {
		last := "never"
		if r.Last != nil {
			last = moment(*r.Last)
		}
		listening := "no"
		switch {
		case r.Missing:
			listening = "its durable is gone: remove and add it again"
		case r.Waiting > 0:
			listening = "yes"
		}
		cells = append(cells, []string{r.Consumer, r.Durable, strconv.FormatUint(r.Pending, 10), strconv.Itoa(r.Unacknowledged), listening, last, r.Key})
	}
	return table(a.out, []string{"CONSUMER", "DURABLE", "PENDING", "UNACKNOWLEDGED", "LISTENING", "LAST", "KEY"}, cells)
}

func newConsumersRemove(a *app) *cobra.Command {
	var who operatorFlags
	var keep bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Admit a program no longer, and remove its durables",
		Long: `remove makes a consumer's credentials worthless: a running receiver ends its connections
within a second. Its durables go too, and with them the place that they had come to; keep
them with --keep-durables for a consumer that you add next.`,
		Example: "  receiver consumers remove orders\n  receiver consumers remove orders --keep-durables && receiver consumers add orders2 --durable orders",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, folder, err := a.consumersFolder()
			if err != nil {
				return err
			}
			return a.removeConsumer(cmd.Context(), cfg, folder, args[0], who.action(job.ActionConsumerRemove), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-durables", false, "leave its durables, with the place that they have come to")
	who.flags(cmd)
	return cmd
}

func (a *app) removeConsumer(ctx context.Context, cfg *config.Config, folder, name string, action job.Action, keep bool) error {
	if unlock, err := consumers.Lock(ctx, folder); err == nil {
		defer unlock()
	} // else there is no store, or Remove tells what is wrong with it
	// First the key: what can be opened, recorded or removed no more must not keep somebody admitted.
	c, err := consumers.Remove(folder, name)
	if err != nil {
		return err
	}
	a.say("consumer %s is removed, and its credentials are worth nothing", name)
	bus, done, err := a.write(ctx, cfg)
	if err != nil {
		return fmt.Errorf("the durables %s stay, and ACTIONS has no record of it: %w", strings.Join(c.Durables, ", "), err)
	}
	defer done()
	if err := act(ctx, bus, action, map[string]any{"consumer": name, "durables": c.Durables, "kept": keep}); err != nil {
		return fmt.Errorf("the durables %s stay: %w", strings.Join(c.Durables, ", "), err)
	}
	for _, d := range c.Durables {
		if keep {
			a.say("durable %s is kept", d)
			continue
		}
		p, err := bus.Durable(ctx, d)
		if errors.Is(err, publish.ErrNoDurable) {
			continue
		}
		if err := errors.Join(err, bus.RemoveDurable(ctx, d)); err != nil {
			return err
		}
		a.say("durable %s is removed; %d events were before it, and %d with it that it had not acknowledged", d, p.Pending, p.Unacknowledged)
	}
	return nil
}
