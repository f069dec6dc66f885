package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/remote"
	"receiver/internal/submit"
	"receiver/internal/version"
)

// byHTTP are the commands that can ask a receiver by HTTP.
var byHTTP = map[string]bool{
	"submit": true, "objects": true, "sources status": true,
	"jobs list": true, "jobs show": true, "jobs status": true, "jobs errors": true, "jobs result": true,
	"jobs cancel": true, "jobs release": true, "jobs poll": true, "jobs replay": true,
	"audit list": true, "audit show": true, "audit prove": true,
	"events watch": true, "keys list": true, "doctor": true,
}

// farFlags name the receiver that a command asks by HTTP.
func (a *app) farFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&a.far.URL, "url", "", "ask the receiver with this private.address by HTTP, such as\nhttps://receiver:8081, and use nothing of this machine")
	f.StringVar(&a.far.Context, "context", "", "ask the receiver of this name by HTTP; see receiver contexts")
	f.StringVar(&a.far.TokenFile, "token-file", "", "file with the token for --url or --context")
	f.StringVar(&a.far.CAFile, "ca-file", "", "file with the certificate authorities of --url or --context in\nPEM (default: those of the system)")
}

// checkFar refuses flags that a command cannot heed.
func (a *app) checkFar(cmd *cobra.Command) error {
	far := byHTTP[commandName(cmd)]
	if a.archived = cmd.Flags().Changed("export"); a.archived {
		if a.far.Given() {
			return usagef("--export reads archives of this machine; leave out --url, --context, --token-file and --ca-file")
		}
		return nil
	}
	if a.far.Given() && !far && (commandName(cmd) != "contexts add" || a.far.Context != "") {
		return usagef("`%s` cannot ask a receiver by HTTP; run it on the machine of the receiver, without --url, --context, --token-file and --ca-file",
			cmd.CommandPath())
	}
	if !far || a.identity == "" && !cmd.Flags().Changed("operator") {
		return nil
	}
	if c, err := a.chosen(); err != nil || c == nil {
		return err
	}
	return usagef("--identity-file and --operator are for the store of this machine: by HTTP no body is decrypted here, and the operator is the token; leave them out")
}

// commandName is a command without the name of the program.
func commandName(cmd *cobra.Command) string {
	_, name, _ := strings.Cut(cmd.CommandPath(), " ")
	return name
}

// chosen returns the receiver that is asked by HTTP; nil if the command works here.
func (a *app) chosen() (*remote.Chosen, error) {
	return a.far.Choose(remote.Around{
		Config: a.config, Getenv: os.Getenv,
		Here: func() bool {
			_, err := config.Find("")
			return !errors.Is(err, fs.ErrNotExist)
		},
		Contexts: a.contexts,
	})
}

// contexts reads those of the user; without a folder for them there are none.
func (a *app) contexts() (remote.Contexts, error) {
	path, err := remote.Path()
	if err != nil {
		return remote.Contexts{}, nil //nolint:nilerr // as for no file
	}
	return remote.Read(path)
}

// receiver returns the receiver that is asked by HTTP, and says which it is unless its address was
// given; nil if the command works here.
func (a *app) receiver() (*remote.Receiver, error) {
	if a.archived {
		return nil, nil
	}
	c, err := a.chosen()
	if err != nil || c == nil {
		return nil, err
	}
	if c.By != "--url" {
		a.say("asking %s (%s)", c.URL, c)
	}
	program, _ := version.Read()
	return c.Receiver("receiver/" + program)
}

// answer prints an answer about a source: that of the receiver that is asked by HTTP, or that of
// this machine.
func answer[T any](ctx context.Context, a *app, source string, print func(T) error, far func(*remote.Receiver, string) (T, error), here func() (T, error)) error {
	r, err := a.receiver()
	if err != nil {
		return err
	}
	var made T
	if r == nil {
		made, err = here()
	} else if source, err = r.Source(ctx, source); err == nil {
		made, err = far(r, source)
	}
	if err != nil {
		return err
	}
	return print(made)
}

// asked asks the platform of a configured source.
func asked[T any](a *app, source string, question func(*submit.Client) (T, error)) (made T, err error) {
	client, _, _, err := a.client(source)
	if err != nil {
		return made, err
	}
	return question(client)
}
