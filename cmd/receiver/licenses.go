package main

import (
	"io"

	"github.com/spf13/cobra"

	"receiver"
)

func newLicenses(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "licenses",
		Short: "Print the licences and notices of everything that the program is built with",
		Long: `licenses prints the third-party notices: each module that the program is built with, its version,
and the texts of its licences and notices, each text once. It is the file NOTICE of the source.`,
		Example: "  receiver licenses\n  receiver licenses > NOTICE",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, receiver.Notice)
			return err
		},
	}
}
