package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"receiver/internal/remote"
)

func newContexts(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contexts",
		Short: "Name the receivers that commands ask by HTTP",
		Long: `A context is the address of a receiver's private listener, with the files of the token and of the
certificate authorities for it. Contexts are kept in receiver/contexts.yaml in the user's
configuration folder, which holds no token. The flag --context names one. The current context is
asked if nothing else is named and there is no configuration; a command then says whom it asks.`,
		Example: "  receiver contexts add prod --url https://receiver:8081 --token-file ~/.receiver-token --use\n" +
			"  receiver jobs list --context prod",
	}
	cmd.AddCommand(newContextsAdd(a), newContextsList(a), newContextsUse(a), newContextsRemove(a))
	return cmd
}

func newContextsAdd(a *app) *cobra.Command {
	var use bool
	cmd := &cobra.Command{
		Use:   "add NAME --url URL",
		Short: "Add a context, or replace it",
		Long: `add writes the address and the paths of the files. It reads the files, and sends nothing. A token
is sent by https only, or to an address of this machine.`,
		Example: "  receiver contexts add prod --url https://receiver:8081 --token-file ~/.receiver-token",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			to := remote.Context{URL: a.far.URL}
			var err error
			for _, file := range []struct {
				to   *string
				from string
			}{{&to.TokenFile, a.far.TokenFile}, {&to.CAFile, a.far.CAFile}} {
				if file.from == "" {
					continue
				}
				if *file.to, err = filepath.Abs(file.from); err != nil {
					return usagef("%w", err)
				}
			}
			if err := remote.Change(func(all *remote.Contexts) error {
				if use {
					all.Current = args[0]
				}
				return all.Set(args[0], to)
			}); err != nil {
				return err
			}
			a.say("context %s is %s", args[0], to.URL)
			return nil
		},
	}
	cmd.Flags().BoolVar(&use, "use", false, "make it the current context")
	return cmd
}

func newContextsList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the contexts",
		Long:    `list shows the contexts of the user. A star marks the current one.`,
		Example: "  receiver contexts list\n  receiver contexts list -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := a.contexts()
			if err != nil {
				return err
			}
			return a.show().Contexts(all)
		},
	}
}

func newContextsUse(_ *app) *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:     "use [NAME]",
		Short:   "Make a context the current one",
		Long:    `use makes a context the current one. With --none commands work on this machine.`,
		Example: "  receiver contexts use prod\n  receiver contexts use --none",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if none == (len(args) == 1) {
				return usagef("give the name of a context, or --none")
			}
			return remote.Change(func(all *remote.Contexts) error {
				if all.Current = ""; none {
					return nil
				}
				_, _, err := all.Named(args[0])
				all.Current = args[0]
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "make no context the current one")
	return cmd
}

func newContextsRemove(_ *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a context",
		Long:    `remove removes a context; the file of its token stays.`,
		Example: "  receiver contexts remove prod",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return remote.Change(func(all *remote.Contexts) error {
				if _, _, err := all.Named(args[0]); err != nil {
					return err
				}
				delete(all.Contexts, args[0])
				if all.Current == args[0] {
					all.Current = ""
				}
				return nil
			})
		},
	}
}
