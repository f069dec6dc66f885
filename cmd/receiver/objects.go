package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/remote"
	"receiver/internal/submit"
)

func newObjects(a *app) *cobra.Command {
	var sourceName string
	cmd := &cobra.Command{
		Use:   "objects [OBJECT]",
		Short: "List the platform's objects, or the fields of one object",
		Long: `objects asks the platform which objects the account of a source has, such as contact. With the
name of an object it lists the fields of that object.`,
		Example: "  receiver objects --source crm\n" +
			"  receiver objects --source crm contact",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, show := cmd.Context(), a.show()
			if len(args) == 1 {
				return answer(ctx, a, sourceName, show.Fields,
					func(r *remote.Receiver, source string) (submit.Metadata, error) {
						return r.Metadata(ctx, source, args[0])
					},
					func() (submit.Metadata, error) {
						return asked(a, sourceName, func(c *submit.Client) (submit.Metadata, error) { return c.Metadata(ctx, args[0]) })
					})
			}
			return answer(ctx, a, sourceName, show.Objects,
				func(r *remote.Receiver, source string) ([]submit.Object, error) { return r.Objects(ctx, source) },
				func() ([]submit.Object, error) {
					return asked(a, sourceName, func(c *submit.Client) ([]submit.Object, error) { return c.Objects(ctx) })
				})
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "name of the configured source (default: the only one)")
	return cmd
}
