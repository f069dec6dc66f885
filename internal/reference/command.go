package reference

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// Command returns the hidden command docs, for those who make packages of the program.
func Command() *cobra.Command {
	docs := &cobra.Command{
		Use:     "docs",
		Short:   "Write the manual of this program",
		Example: "  receiver docs man man1",
		Hidden:  true,
	}
	docs.AddCommand(&cobra.Command{
		Use:   "man FOLDER",
		Short: "Write a manual page for each command into a folder",
		Long: `man writes a manual page of section 1 for each command into a folder, for packages. The pages
have the date of today, or of SOURCE_DATE_EPOCH, which makes the same pages each time.`,
		Example: "  receiver docs man man1\n  SOURCE_DATE_EPOCH=1796083200 receiver docs man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			date := time.Now()
			if text := os.Getenv("SOURCE_DATE_EPOCH"); text != "" {
				seconds, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					return fmt.Errorf("SOURCE_DATE_EPOCH is %q, which is no number of seconds since 1970", text)
				}
				date = time.Unix(seconds, 0)
			}
			return WriteMan(c.Root(), args[0], date)
		},
	})
	return docs
}
