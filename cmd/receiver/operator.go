package main

import (
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"receiver/internal/job"
)

// operatorFlags say who does something that is recorded, and why.
type operatorFlags struct{ operator, reason string }

func (o *operatorFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.operator, "operator", "", "who does it, for the record (default your name on this machine)")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why, for the record")
}

// action is what is recorded.
func (o operatorFlags) action(what string) job.Action {
	a := job.Action{What: what, Operator: o.operator, Reason: o.reason}
	if a.Operator == "" {
		a.Operator = userHere()
	}
	return a
}

// userHere is whom the system takes us for.
func userHere() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
