package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/completion"
)

// The annotations of commands.
const (
	// Question marks a command that prints its answer; see Code.
	Question = "question"
	// Outputs lists the forms that a command prints in, if they are more than table and json.
	Outputs = "outputs"
)

// UsualExitCodes ends the help of each command that has no exit codes of its own.
const UsualExitCodes = "\n\nExit codes: 0 done; 1 failed; 2 wrong usage or configuration."

// MarkUsage makes wrong arguments and unknown commands usage errors, for c and all commands below.
func MarkUsage(c *cobra.Command) {
	if !c.HasSubCommands() && !strings.Contains(c.Long, "Exit codes:") {
		c.Long += UsualExitCodes
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return Usagef("%w; see `%s --help`", err, c.CommandPath())
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return Usagef("unknown command %q%s; see `%s --help`", args[0], completion.CommandMeant(c, args[0]), c.CommandPath())
		}
		c.RunE = func(c *cobra.Command, _ []string) error {
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		MarkUsage(sub)
	}
}

// WrongFlag is a flag error in the words of a usage error.
func WrongFlag(c *cobra.Command, err error) error {
	return Usagef("%w%s; see `%s --help`", err, completion.FlagMeant(c, err), c.CommandPath())
}

// Required marks flags without which a command is wrong use.
func Required(cmd *cobra.Command, names ...string) {
	inner := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		for _, n := range names {
			if !c.Flags().Changed(n) {
				return Usagef("--%s is required; see `%s --help`", n, c.CommandPath())
			}
		}
		if inner != nil {
			return inner(c, args)
		}
		return nil
	}
}

// OutputForms are those that a command prints in.
func OutputForms(cmd *cobra.Command) []string {
	return strings.Fields(cmp.Or(cmd.Annotations[Outputs], "table json"))
}

// Output returns the form that a command prints in: that of the flag output, or json if the flag
// json is set. It refuses a form that the command does not print in.
func Output(cmd *cobra.Command, output string, json bool) (string, error) {
	if json {
		if output != "json" && cmd.Flags().Changed("output") {
			return "", Usagef("--json and --output %s are both given; leave one out", output)
		}
		output = "json"
	}
	if forms := OutputForms(cmd); !slices.Contains(forms, output) {
		return "", Usagef("--output %q is not %s", output, strings.Join(forms, " or "))
	}
	return output, nil
}
