package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/input"
	"receiver/internal/plain"
	"receiver/internal/service/setup"
)

func newInit(a *app) *cobra.Command {
	var answers setup.Answers
	var yes bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the configuration and the secrets of a new installation",
		Long: `init writes a commented config.yaml and the secrets that it names into a folder: a signature key, a
secret for callback addresses, the key of the tamper-evident logs, and a token for the private
listener. Only you can read them: run it as the user that will run serve. It never overwrites a
file. Then it says what to enter at the platform.

On a terminal it asks for what is not given by flags; secrets are not shown. With all required
flags, or with --yes, it asks nothing. A secret is never given on the command line: flags say
where it is.

Exit codes: 0 done; 1 failed; 2 wrong usage, or a file exists. After 1 and 2 nothing was written.`,
		Example: "  receiver init\n" +
			"  receiver init --folder /etc/receiver --source crm --hub crm \\\n" +
			"    --base-url https://api.openconnectors.eu10.ext.hana.ondemand.com/elements/api-v2 \\\n" +
			"    --callback-base-url https://hooks.example.com \\\n" +
			"    --element-token env:CRM_ELEMENT_TOKEN --user-secret env:CRM_USER_SECRET",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.init(cmd, &answers, yes)
			if errors.Is(err, setup.ErrUse) {
				err = usagef("%w", err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&answers.Folder, "folder", ".", "folder for the files, which is made if need be")
	answers.Questions(func(q setup.Question, answer *string) {
		cmd.Flags().StringVar(answer, q.Flag, q.Default, q.Help)
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "ask nothing")
	return cmd
}

func (a *app) init(cmd *cobra.Command, answers *setup.Answers, yes bool) error {
	if a.config != "" {
		return usagef("init writes config.yaml into a folder: give --folder in place of --config")
	}
	if err := answers.Free(); err != nil {
		return err
	}
	given := cmd.Flags().Changed
	if missing := setup.Unanswered(given); len(missing) > 0 {
		if yes || a.output == "json" || !plain.IsTerminal(a.in) || !plain.IsTerminal(a.talk) {
			return usagef("%s: give these flags, or run `%s` on a terminal without --yes; see `%[2]s --help`", strings.Join(missing, ", "), cmd.CommandPath())
		}
		hidden := func() (string, error) { return input.ReadHidden(cmd.Context(), a.in) }
		if err := answers.Ask(setup.Terminal{In: a.in, Out: a.talk, Hidden: hidden}, given); err != nil {
			return err
		}
	}
	made, err := answers.Write(time.Now(), os.Environ())
	if err != nil {
		return err
	}
	if a.output == "json" {
		return printJSON(a.out, made)
	}
	_, err = io.WriteString(a.out, made.Text("receiver"))
	return err
}
