package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/internal/cli"
	"receiver/internal/completion"
	"receiver/internal/config"
	"receiver/internal/logging"
	"receiver/internal/publish"
	"receiver/internal/reference"
	"receiver/internal/remote"
	"receiver/internal/service"
	"receiver/internal/service/candidates"
	"receiver/internal/service/platform"
	"receiver/internal/submit"
	"receiver/internal/version"
	"receiver/internal/words"
)

// app is what every command shares: the streams it talks on and the global flags.
type app struct {
	in        io.Reader
	out, talk io.Writer // results go to out, everything else to talk
	config    string
	output    string
	identity  string // file with the key that bodies are decrypted with
	json      bool   // the same as output json
	far       remote.Flags
	archived  bool // archives are read, whichever receiver was chosen
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "receiver",
		Short: "Verify job callbacks of SAP Open Connectors and publish one event for each job",
		Long: `receiver submits bulk jobs to SAP Open Connectors (formerly Cloud Elements) and accepts their
callbacks. It verifies the HMAC signature of each callback, and publishes exactly one event
for each finished job to NATS JetStream, a server that stores messages in streams.

"The platform" below is SAP Open Connectors. A "source" is one account at the platform, as
configured under "sources". Results go to standard output; messages and logs go to standard error.

Exit codes: 0 done; 1 failed, or the answer is no; 2 wrong usage or configuration, nothing was
done; 3 not known: a job that is waited for goes on, or what was asked for may have happened.`,
		Example:       "  receiver demo\n  receiver config check\n  receiver serve",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if a.output, err = cli.Output(cmd, a.output, a.json); err != nil {
				return err
			}
			return a.checkFar(cmd)
		},
	}
	root.Version, _ = version.Read()
	root.SetVersionTemplate(versionText())
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.talk)
	root.SetFlagErrorFunc(cli.WrongFlag)
	root.PersistentFlags().StringVar(&a.config, "config", "",
		"configuration file (default: config.yaml in this folder,\nthen receiver/config.yaml in the user's configuration folder)")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "output format: table or json")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "the same as --output json; errors are JSON, too")
	a.farFlags(root)
	root.AddCommand(
		newInit(a), newServe(a), newDemo(a), newSimulate(a),
		newObjects(a), newSubmit(a), newJobs(a), newEvents(a), newConsumers(a), newKeys(a), newSources(a), newSinks(a), newTokens(a), newBackfill(a), newAudit(a),
		newSign(a), newVerify(a), newConformance(a), newDoctor(a), newHealthcheck(a), newStreams(a), newConfig(a), newContexts(a), newLicenses(a), newVersion(a), reference.Command(),
	)
	cli.MarkUsage(root)
	completion.Register(root, a.completions(), completionTime)
	return root
}

// completionTime bounds a completion: somebody waits for it at a prompt.
const completionTime = 2 * time.Second

// completions are the words that the shell completes.
func (a *app) completions() completion.Words {
	return candidates.Finder{
		Config: func() (*config.Config, error) { return a.silent().load() },
		Attach: func(ctx context.Context, cfg *config.Config) (*publish.Store, func(), error) {
			return a.silent().opener(cfg).Attach(ctx)
		},
		Receiver: func() (*remote.Receiver, error) { return a.silent().receiver() },
		Contexts: func() []string {
			all, _ := a.contexts()
			return all.Names()
		},
	}.Words()
}

// silent has the app say nothing: at a prompt there is nobody to read it.
func (a *app) silent() *app {
	quiet := *a
	quiet.talk = io.Discard
	return &quiet
}

// load reads the configuration that the flags name, for a command that uses some of its secrets.
// A secret that cannot be read is an error of its use.
func (a *app) load() (*config.Config, error) { return a.read(service.ReadConfigLazily) }

// loadAll is load for a command that needs all secrets.
func (a *app) loadAll() (*config.Config, error) {
	return a.read(func(path string, env []string) (*config.Config, error) { return service.ReadConfig(path, env, nil) })
}

func (a *app) read(how func(path string, env []string) (*config.Config, error)) (*config.Config, error) {
	far, err := a.chosen()
	if err == nil && far != nil && far.By != remote.Current {
		err = usagef("this command works on the machine of the receiver only, and %s names %s; unset it, or give --config", far.By, far.URL)
	}
	if err != nil {
		return nil, err
	}
	path, err := config.Find(a.config)
	if err != nil {
		return nil, usagef("%w", err)
	}
	c, err := how(path, os.Environ())
	if err != nil {
		return nil, usagef("the configuration has errors:\n%w", err)
	}
	return c, a.useIdentity(c)
}

// source returns the named source of the configuration; an empty name means the only one.
func source(c *config.Config, name string) (string, config.Source, error) {
	names := c.SourceNames()
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	s, ok := c.Sources[name]
	switch {
	case ok:
		return name, s, nil
	case len(names) == 0:
		return "", s, usagef("%s configures no source; add one under sources", c.Name())
	case name == "":
		return "", s, usagef("several sources are configured; give --source with one of: %s", strings.Join(names, ", "))
	}
	return "", s, usagef("--source: in %s %w", c.Name(), words.Check(name, names))
}

// logger returns the log that the configuration asks for, on talk.
func (a *app) logger(l config.Log) zerolog.Logger { return logging.New(a.talk, l.Level, l.Format) }

// client returns the client for the source that a command names.
func (a *app) client(sourceName string) (*submit.Client, string, *config.Config, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, "", nil, err
	}
	name, s, err := source(cfg, sourceName)
	if err != nil {
		return nil, "", nil, err
	}
	client, err := platform.Client(name, s)
	return client, name, cfg, err
}
