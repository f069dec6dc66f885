package main

import (
	"errors"
	"fmt"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagMeant names the flag of c that was probably meant, if err is about one that c
// does not have.
func flagMeant(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	word, meant := unknown.GetSpecifiedName(), ""
	// Further away than that, a suggestion is a guess.
	least := max(2, len(word)/3) + 1
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := levenshtein.ComputeDistance(word, f.Name); d < least {
			meant, least = f.Name, d
		}
	})
	if meant == "" || len(word) == 1 {
		return ""
	}
	return fmt.Sprintf(" (did you mean --%s?)", meant)
}
