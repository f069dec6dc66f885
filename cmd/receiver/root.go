package main

import (
	"bytes"
	"fmt"
	"io"
	std "log"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"receiver/internal/config"
	"receiver/internal/logging"
	"receiver/internal/plain"
)

// app is what every command shares: the streams it talks on and the global flags.
type app struct {
	in        io.Reader
	out, talk io.Writer // results go to out, everything else to talk
	config    string
	output    string
	identity  string // file with the key that bodies are decrypted with
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "receiver",
		Short: "Verified completion events for SAP Open Connectors bulk jobs",
		Long: `receiver submits bulk jobs to SAP Open Connectors (formerly Cloud Elements), accepts
the callbacks, proves by HMAC that the platform sent them, and publishes exactly
one verified event for each job to NATS JetStream.

Results go to standard output, everything else to standard error.
Exit codes: 0 done, 1 failed, 2 wrong use or configuration.`,
		Example:           "  receiver demo\n  receiver config check\n  receiver serve",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return checkOutput(cmd, a.output) },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.talk)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w%s; see `%s --help`", err, flagMeant(c, err), c.CommandPath())
	})
	root.PersistentFlags().StringVar(&a.config, "config", "",
		"configuration file (default config.yaml, then receiver/config.yaml in the user's configuration folder)")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "form of results: table or json")
	root.AddCommand(
		newServe(a), newDemo(a), newSimulate(a),
		newObjects(a), newSubmit(a), newJobs(a), newEvents(a), newConsumers(a), newKeys(a), newSources(a), newTokens(a), newBackfill(a), newAudit(a),
		newSign(a), newVerify(a), newConformance(a), newBench(a), newDoctor(a), newStreams(a), newConfig(a), newLicenses(a), newVersion(a),
	)
	markUsage(root)
	return root
}

// markUsage makes wrong arguments and unknown commands wrong use, for every command.
func markUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usagef("%w; see `%s --help`", err, c.CommandPath())
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usagef("there is no command %q%s; see `%s --help`", args[0], suggestion(c, args[0]), c.CommandPath())
		}
		c.RunE = func(c *cobra.Command, _ []string) error {
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		markUsage(sub)
	}
}

func suggestion(c *cobra.Command, word string) string {
	c.SuggestionsMinimumDistance = 2
	if s := c.SuggestionsFor(word); len(s) > 0 {
		return fmt.Sprintf(" (did you mean %s?)", strings.Join(s, " or "))
	}
	return ""
}

// load reads the configuration that the flags name and warns of what is odd in it.
func (a *app) load() (*config.Config, error) {
	path, err := config.Find(a.config)
	if err != nil {
		return nil, usageError{err}
	}
	c, err := readConfig(path, nil)
	if err != nil {
		return nil, usagef("the configuration has faults:\n%w", err)
	}
	return c, a.useIdentity(c)
}

// readConfig reads a configuration and looks at all of it; before is what is in force, if
// the program runs.
func readConfig(path string, before *config.Config) (*config.Config, error) {
	return config.Load(config.Options{Path: path, Env: os.Environ(), Check: checkEncryption, Before: before})
}

// source returns the named source of the configuration; an empty name means the only one.
func source(c *config.Config, name string) (string, config.Source, error) {
	names := names(c)
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	s, ok := c.Sources[name]
	switch {
	case ok:
		return name, s, nil
	case len(names) == 0:
		return "", s, usagef("%s configures no source", c.File)
	case name == "":
		return "", s, usagef("which source? say --source with one of: %s", strings.Join(names, ", "))
	}
	return "", s, usagef("%s configures no source %q; there is: %s", c.File, name, strings.Join(names, ", "))
}

// names returns the names of the configured sources, sorted.
func names(c *config.Config) []string { return slices.Sorted(maps.Keys(c.Sources)) }

// lines returns the log that the configuration asks for, written to w without holding up anybody,
// and its writer, to be closed. What libraries write to the log of the standard library goes there.
func lines(w io.Writer, l config.Log) (zerolog.Logger, *logging.Writer) {
	terminal := isTerminal(w)
	to := logging.NewWriter(w, func(lines uint64) []byte {
		var note bytes.Buffer
		log := logger(&note, terminal, l)
		log.WithLevel(zerolog.WarnLevel).Uint64("lines", lines).Msg("lines of the log were dropped: it could not be written")
		return note.Bytes()
	})
	log := logger(to, terminal, l)
	std.SetFlags(0)
	std.SetOutput(logging.Std(log, "library").Writer())
	return log, to
}

// logger returns the log that the configuration asks for, on talk.
func (a *app) logger(l config.Log) zerolog.Logger { return logger(a.talk, isTerminal(a.talk), l) }

// logger returns a log to w, in colour and for people on a terminal.
func logger(w io.Writer, terminal bool, l config.Log) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil {
		level = zerolog.InfoLevel // the configuration is checked; this is for the zero value
	}
	if l.Format == "console" || l.Format != "json" && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: "15:04:05.000", FormatPrepare: plainLine}
	} else {
		w = plainLines{w}
	}
	return zerolog.New(w).Level(level).Hook(stamp{})
}

// plainLines writes lines of JSON in which nothing that strangers sent stands raw which a terminal
// or a reader of the log could obey.
type plainLines struct{ w io.Writer }

// Write implements io.Writer.
func (p plainLines) Write(line []byte) (int, error) {
	if _, err := p.w.Write(plain.JSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// plainLine does so for a line that is written for people, whose other texts zerolog quotes.
func plainLine(line map[string]any) error {
	for name, value := range line {
		if _, text := value.(string); !text || name == zerolog.MessageFieldName {
			line[name] = plainValue(value)
		}
	}
	return nil
}

// plainValue returns a JSON value with its texts, and the names of its members, escaped.
func plainValue(value any) any {
	switch v := value.(type) {
	case string:
		return plain.Text(v)
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case map[string]any:
		escaped := make(map[string]any, len(v))
		for name, member := range v {
			escaped[plain.Text(name)] = plainValue(member)
		}
		return escaped
	}
	return value
}

// stamp gives a line of the log its time.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	var room [len("2006-01-02T15:04:05.000Z")]byte
	e.Bytes(zerolog.TimestampFieldName, appendTime(room[:0], time.Now()))
}

// appendTime appends a time as RFC 3339 in UTC with milliseconds, since callbacks come
// faster than once a second. By a layout of our own it would be formatted at three times the
// price.
func appendTime(to []byte, at time.Time) []byte {
	at = at.UTC()
	to = at.AppendFormat(to, time.RFC3339)
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(to[:len(to)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

func isTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// say tells the person in front of the terminal; it is no result.
func (a *app) say(format string, args ...any) {
	fmt.Fprint(a.talk, plain.Lines(fmt.Sprintf(format+"\n", args...)))
}
