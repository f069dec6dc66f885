package main

import (
	"github.com/spf13/cobra"

	"receiver/internal/submit"
)

func newObjects(a *app) *cobra.Command {
	var sourceName string
	cmd := &cobra.Command{
		Use:   "objects [OBJECT]",
		Short: "List the platform's objects, or the fields of one object",
		Long: `objects asks the platform which objects the account of a source has, such as contact. With the
name of an object it lists the fields of that object.`,
		Example: "  receiver objects --source crm\n" +
			"  receiver objects --source crm contact",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, _, err := a.client(sourceName)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				m, err := client.Metadata(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.printFields(m)
			}
			objects, err := client.Objects(cmd.Context())
			if err != nil {
				return err
			}
			return a.printObjects(objects)
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "name of the configured source (default: the only one)")
	return cmd
}

func (a *app) printObjects(objects []submit.Object) error {
	rows := make([][]string, 0, len(objects))
	for _, o := range objects {
		rows = append(rows, []string{o.Name, o.VendorName, o.Type})
	}
	return a.printTable(objects, []string{"OBJECT", "VENDOR NAME", "TYPE"}, rows)
}

func (a *app) printFields(m submit.Metadata) error {
	rows := make([][]string, 0, len(m.Fields))
	for _, f := range m.Fields {
		required := ""
		if f.VendorRequired != nil && *f.VendorRequired {
			required = "required"
		}
		rows = append(rows, []string{f.VendorPath, f.Type, required, f.VendorDisplayName})
	}
	return a.printTable(m, []string{"FIELD", "TYPE", "", "DISPLAY NAME"}, rows)
}
