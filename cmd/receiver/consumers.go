package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/durables"
	"receiver/internal/service"
	"receiver/internal/words"
)

func newConsumers(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "consumers",
		Short: "Manage the programs that may read events from the embedded NATS server",
		Long: `A consumer is a program that reads events from the NATS server in this process. It has a name,
credentials, and one or more durables: named positions in the stream. A consumer may fetch and
acknowledge the events of its own durables, and read the large bodies that they refer to. It has
no other access, and the server accepts no connection without credentials. Changes need no
restart of the receiver.

These commands are for nats.mode embedded and edge. With an external cluster, its operator
manages access.`,
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
		return nil, "", usagef("nats.mode is external: make a user for each consumer in the cluster, with the permissions in docs/events.md; `receiver consumers` is for embedded and edge")
	}
	return cfg, cfg.Abs(cfg.NATS.Embedded.Folder), nil
}

func newConsumersList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the consumers and their positions",
		Long:    `list shows each consumer with its durables and the position of each durable in the stream.`,
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
					a.say("there are no consumers; add one with `receiver consumers add NAME`")
				}
				return broken
			}
			return a.openStore(cmd.Context(), cfg, service.Opener.Read, func(store *publish.Store) error {
				rows, err := service.ConsumerDurables(cmd.Context(), store, all)
				if err != nil {
					return err
				}
				return errors.Join(a.show().Consumers(rows), broken)
			})
		},
	}
}

func newConsumersRemove(a *app) *cobra.Command {
	var who operatorFlags
	var keep bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a consumer and its durables",
		Long: `remove makes the credentials of a consumer invalid. A running receiver closes its connections
within a second. The durables are deleted with their positions; --keep-durables keeps them for
a consumer that you add next.`,
		Example: "  receiver consumers remove orders\n" +
			"  receiver consumers remove orders --keep-durables\n" +
			"  receiver consumers add orders2 --durable orders",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, folder, err := a.consumersFolder()
			if err != nil {
				return err
			}
			return a.removeConsumer(cmd.Context(), cfg, folder, args[0], who.action(job.ActionConsumerRemove), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep-durables", false, "keep its durables and their positions")
	who.flags(cmd)
	return cmd
}

func (a *app) removeConsumer(ctx context.Context, cfg *config.Config, folder, name string, action job.Action, keep bool) error {
	if unlock, err := consumers.Lock(ctx, folder); err == nil {
		defer unlock()
	} // else there is no store, or Remove tells what is wrong with it
	// The key first: a consumer must not stay admitted if its files cannot be opened, recorded or
	// removed.
	c, err := consumers.Remove(folder, name)
	if err != nil {
		return err
	}
	a.say("consumer %s is removed, and its credentials are invalid", name)
	store, done, err := a.opener(cfg).Write(ctx)
	if err != nil {
		return fmt.Errorf("the durables %s are kept, and ACTIONS has no record of the removal: %w", strings.Join(c.Durables, ", "), err)
	}
	defer done()
	if err := service.RecordAction(ctx, store, action, map[string]any{"consumer": name, "durables": c.Durables, "kept": keep}); err != nil {
		return fmt.Errorf("the durables %s are kept: %w", strings.Join(c.Durables, ", "), err)
	}
	if keep {
		for _, d := range c.Durables {
			a.say("durable %s is kept", d)
		}
		return nil
	}
	return service.RemoveDurables(ctx, store, c, func(durable string, held durables.Progress) {
		a.say("durable %s is removed; it had %s pending, and %d delivered but not acknowledged", durable, words.Count(held.Pending, "event"), held.Unacknowledged)
	})
}
