package main

import (
	"io"

	"github.com/spf13/cobra"

	"receiver"
)

func newLicenses(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "licenses",
		Short: "Print the licences of all modules in this program",
		Long: `licenses prints the third-party notices: each module that the program contains, its version,
and the texts of its licences and notices, each text once. The output is the file NOTICE of the
source code.`,
		Example: "  receiver licenses\n  receiver licenses > NOTICE",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, receiver.Notice)
			return err
		},
	}
}
