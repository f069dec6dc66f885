package main

import (
	"context"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/deliveries"
)

func newSinks(a *app) *cobra.Command {
	r, who := deliveries.Replay{}, operatorFlags{}
	list := &cobra.Command{
		Use:     "list [SINK]",
		Short:   "List sinks, or the jobs whose events a sink has not accepted",
		Long:    "list counts events still to be posted, jobs whose events are posted again, and events given up.",
		Example: "  receiver sinks list\n  receiver sinks list orders -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), service.Opener.Read, func(cfg *config.Config, store *publish.Store) error {
				reports, header, rows, err := deliveries.Table(cmd.Context(), cfg, store, append(args, "")[0])
				if err != nil {
					return err
				}
				return a.show().Table(reports, header, rows)
			})
		},
	}
	replay := &cobra.Command{
		Use:   "replay SINK",
		Short: "Post events again that a sink has not accepted",
		Long: `replay has the running receiver post events again at once: those that it gave up, and those of
jobs whose next try is due later. First it records the operator and the reason in ACTIONS.`,
		Example: "  receiver sinks replay orders --all\n  receiver sinks replay orders --source crm --job 42114492",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.All == (r.Job != "") || r.All == (r.Source != "") {
				return usagef("give either --all, or both --source and --job")
			}
			r.Sink, r.Say = args[0], a.say
			return a.withStore(cmd.Context(), service.Opener.Write, func(cfg *config.Config, store *publish.Store) error {
				r.Record = func(ctx context.Context, details map[string]any) error {
					return service.RecordAction(ctx, store, who.action(job.ActionSinkReplay), details)
				}
				return r.Do(cmd.Context(), cfg, store)
			})
		},
	}
	replay.Flags().StringVar(&r.Source, "source", "", "name of the job's source")
	replay.Flags().StringVar(&r.Job, "job", "", "id of the job")
	replay.Flags().BoolVar(&r.All, "all", false, "everything that the sink has not accepted")
	who.flags(replay)
	cmd := &cobra.Command{Use: "sinks", Short: "Show and replay what sinks have not accepted", Example: "  receiver sinks list"}
	cmd.AddCommand(list, replay)
	return cmd
}
