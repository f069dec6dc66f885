package main

import (
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/job"
)

// operatorFlags name the operator of a recorded action, and the reason.
type operatorFlags struct{ operator, reason string }

func (o *operatorFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.operator, "operator", "", "operator's name for the record (default: USER@HOST)")
	cmd.Flags().StringVar(&o.reason, "reason", "", "reason for the record")
}

// action is what is recorded.
func (o operatorFlags) action(what string) job.Action {
	a := job.Action{Time: time.Now(), What: what, Operator: o.operator, Reason: o.reason}
	if a.Operator == "" {
		a.Operator = currentUser()
	}
	return a
}

// currentUser is the name of the system's user of this process.
func currentUser() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
