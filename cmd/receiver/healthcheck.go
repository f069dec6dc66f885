package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/service/reach"
)

func newHealthcheck(a *app) *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Say whether the receiver on this machine serves",
		Long: `healthcheck asks the listeners of this configuration on this machine for /healthz and /readyz,
without a token. It does not ask a listener at systemd:name.

Exit codes: 0 it serves; 1 it does not, or the configuration has errors.`,
		Example: "  receiver healthcheck\n  receiver healthcheck --live",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return errors.New(err.Error()) // not a usage error: Docker reserves 2
			}
			text, err := reach.Health(cmd.Context(), cfg, !live)
			if err == nil {
				fmt.Fprintln(a.out, text)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "do not ask whether it is ready")
	return cmd
}
