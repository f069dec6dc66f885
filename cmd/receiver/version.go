package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"receiver/internal/version"

	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Long:    `version prints the version of the program and of the Go release that built it.`,
		Example: "  receiver version\n  receiver version -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.output == "json" {
				program, revision := version.Read()
				return json.NewEncoder(a.out).Encode(map[string]string{
					"version": program, "revision": revision, "date": version.Date(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			_, err := fmt.Fprint(a.out, versionText())
			return err
		},
	}
}

// versionText is what the command and the flag --version print.
func versionText() string {
	program, revision := version.Read()
	return fmt.Sprintf("receiver %s (%s, %s, %s, %s/%s)\n", program, revision, version.Date(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
