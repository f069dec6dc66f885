package completion

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/words"
)

// FlagMeant names the flag of c that was probably meant, if err is about one that c
// does not have.
func FlagMeant(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) == 1 {
		return ""
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if meant := words.Nearest(unknown.GetSpecifiedName(), known); meant != "" {
		return fmt.Sprintf(" (did you mean --%s?)", meant)
	}
	return ""
}

// CommandMeant names the commands below c that were probably meant by a word.
func CommandMeant(c *cobra.Command, word string) string {
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(word); len(s) > 0 {
		return fmt.Sprintf(" (did you mean %s?)", strings.Join(s, " or "))
	}
	return ""
}
