package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"receiver/internal/words"
)

// flagMeant names the flag of c that was probably meant, if err is about one that c
// does not have.
func flagMeant(c *cobra.Command, err error) string {
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
