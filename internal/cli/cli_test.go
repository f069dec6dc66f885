package cli_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"receiver/internal/cli"
)

func TestTheExitCodeSaysHowACommandEnded(t *testing.T) {
	for name, row := range map[string]struct {
		err      error
		question bool
		want     int
	}{
		"done":                               {nil, false, 0},
		"failed":                             {errors.New("x"), false, 1},
		"the answer no":                      {errors.Join(cli.SilentError{}), true, 1},
		"wrong use":                          {fmt.Errorf("a: %w", cli.Usagef("x")), false, 2},
		"wrong use of a question":            {cli.Usagef("x"), true, 2},
		"not known":                          {cli.Unknownf("x"), false, 3},
		"not known, because of wrong use":    {cli.Unknownf("a: %w", cli.Usagef("x")), false, 3},
		"a question that was never answered": {errors.New("x"), true, 3},
	} {
		if got := cli.Code(row.err, row.question); got != row.want {
			t.Errorf("%s: exit code %d, want %d", name, got, row.want)
		}
	}
}

func TestWrongUseNamesTheHelp(t *testing.T) {
	for name, row := range map[string]struct{ args, want string }{
		"an unknown command":     {"liszt", "unknown command \"liszt\" (did you mean list?); see `program --help`"},
		"an argument too many":   {"list a", "unknown command \"a\" for \"program list\"; see `program list --help`"},
		"a missing flag":         {"list", "--key is required; see `program list --help`"},
		"an unknown flag":        {"list --kex a", "unknown flag: --kex (did you mean --key?); see `program list --help`"},
		"an unknown output":      {"list --key a --output csv", `--output "csv" is not table or json`},
		"two outputs":            {"list --key a --output table --json", "--json and --output table are both given; leave one out"},
		"what is right":          {"list --key a --json", ""},
		"the name of a group is": {"", ""},
	} {
		var output string
		var json bool
		root := &cobra.Command{Use: "program", SilenceErrors: true, SilenceUsage: true}
		root.PersistentFlags().StringVar(&output, "output", "table", "")
		root.PersistentFlags().BoolVar(&json, "json", false, "")
		list := &cobra.Command{Use: "list", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			_, err := cli.Output(c, output, json)
			return err
		}}
		list.Flags().String("key", "", "")
		cli.Required(list, "key")
		root.AddCommand(list)
		root.SetFlagErrorFunc(cli.WrongFlag)
		cli.MarkUsage(root)
		root.SetArgs(strings.Fields(row.args))
		root.SetOut(new(strings.Builder))
		err := root.Execute()
		if got := fmt.Sprint(err); got != row.want && (row.want != "" || err != nil) || err != nil && cli.Code(err, false) != cli.Usage {
			t.Errorf("%s: %s, exit %d; want %q as a usage error", name, got, cli.Code(err, false), row.want)
		}
	}
}
