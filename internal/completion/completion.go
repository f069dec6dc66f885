// Package completion completes words of a command line at a shell's prompt. It takes what the words
// may be from functions, in a bounded time, and says nothing besides: there is nobody to read it.
package completion

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/plain"
)

// Candidates returns what a word may be, each with a description behind a tab if there is one. It
// may depend on the flags that are given already. It returns nil if it does not know, and soon
// after ctx is done.
type Candidates func(ctx context.Context, c *cobra.Command) []string

// Fixed are candidates that are always the same.
func Fixed[S ~string](all []S) Candidates {
	texts := make([]string, 0, len(all))
	for _, s := range all {
		texts = append(texts, string(s))
	}
	return func(context.Context, *cobra.Command) []string { return texts }
}

// Words are the candidates of flags by their name, and of the first argument of a command by what
// its usage calls it in lower case: job for `show JOB`. One that is called NAME has the name of the
// group of commands, such as consumers.
type Words map[string]Candidates

// Register gives c and all commands below it their completions. Those of new names, as for `add`,
// are left out. More than timeout is not waited for.
func Register(c *cobra.Command, known Words, timeout time.Duration) {
	for _, sub := range c.Commands() {
		Register(sub, known, timeout)
	}
	flag := func(f *pflag.Flag) {
		if from, ok := known[f.Name]; ok {
			// The only error is a second completion of a flag.
			_ = c.RegisterFlagCompletionFunc(f.Name, complete(from, f.Value.Type() == "stringSlice", timeout))
		}
	}
	c.PersistentFlags().VisitAll(flag)
	c.Flags().VisitAll(flag)
	_, usage, _ := strings.Cut(c.Use, " ")
	called, _, _ := strings.Cut(strings.ToLower(strings.Trim(usage, "[]")), " ")
	if called == "name" && c.HasParent() {
		called = c.Parent().Name()
	}
	if from, ok := known[called]; ok && c.Name() != "add" {
		first := complete(from, false, timeout)
		c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return first(c, args, begun)
		}
	}
}

// complete returns the candidates that begin as the word does. In a list, the word is what stands
// behind the last comma.
func complete(from Candidates, list bool, timeout time.Duration) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx := c.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		found := make(chan []string, 1)
		go func() { found <- from(ctx, c) }()
		before := ""
		if i := strings.LastIndex(begun, ","); list && i >= 0 {
			before, begun = begun[:i+1], begun[i+1:]
		}
		var fit []string
		select {
		case all := <-found:
			for _, candidate := range all {
				word, about, described := strings.Cut(candidate, "\t")
				// A word from outside that no terminal shows as it is cannot be chosen, either.
				if !strings.HasPrefix(word, begun) || word == "" || plain.Text(word) != word || slices.Contains(fit, before+word) {
					continue
				}
				if described {
					word += "\t" + plain.Text(about)
				}
				fit = append(fit, before+word)
			}
		case <-ctx.Done():
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}
