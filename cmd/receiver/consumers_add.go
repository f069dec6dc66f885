package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/certs"
	"receiver/internal/config"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/publish"
)

// newConsumer is what `consumers add` is told.
type newConsumer struct {
	operatorFlags
	name              string
	durables, filters []string
	creds, from       string
}

func newConsumersAdd(a *app) *cobra.Command {
	var c newConsumer
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Admit a program, and write its credentials",
		Long: `add makes a key for a program that reads events, and the durable that it takes them from:
one that is pulled from, each event to be acknowledged. It writes the credentials into a
file that every NATS client reads, and prints the lines by which a program in Go uses them.
The file is as good as a password and cannot be had again: remove the consumer, and add it.

A durable that is there already, as from before consumers had names, is taken over with its
settings and the place that it has come to.`,
		Example: "  receiver consumers add orders\n" +
			"  receiver consumers add ledger --filter 'jobs.crm.>' --from new --creds /etc/ledger/nats.creds\n" +
			"  receiver consumers add worker --durable imports --durable exports",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, folder, err := a.consumersFolder()
			if err != nil {
				return err
			}
			c.name = args[0]
			if len(c.durables) == 0 {
				c.durables = []string{c.name}
			}
			c.creds = cmp.Or(c.creds, c.name+".creds")
			return a.addConsumer(cmd.Context(), cfg, folder, c)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.durables, "durable", nil, "name of its durable; may be repeated (default NAME)")
	flags.StringArrayVar(&c.filters, "filter", nil, "subject of the events that it gets; may be repeated (default jobs.*.*.finished)")
	flags.StringVar(&c.from, "from", "all", "all: it gets the events that are kept, too; new: those from now on")
	flags.StringVar(&c.creds, "creds", "", "file for the credentials, which must not be there yet (default NAME.creds)")
	c.flags(cmd)
	return cmd
}

func (a *app) addConsumer(ctx context.Context, cfg *config.Config, folder string, c newConsumer) error {
	if err := consumers.Check(c.name, c.durables); err != nil {
		return usagef("%w", err)
	}
	if c.from != "all" && c.from != "new" {
		return usagef("--from %q is neither all nor new", c.from)
	}
	bus, done, err := a.write(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	unlock, err := consumers.Lock(ctx, folder)
	if err != nil {
		return err
	}
	defer unlock()
	if err := consumers.Free(folder, c.name, c.durables); err != nil {
		return err
	}
	made, err := c.admit(ctx, bus, folder)
	if err != nil {
		return fmt.Errorf("consumer %s is not added: %w", c.name, err)
	}
	return a.printAdded(added{made.Name, made.Key, made.Durables, absolute(c.creds), consumers.Inbox(c.name), consumerURL(cfg)}, cfg)
}

// admit makes a consumer: the file for its credentials, its durables, the record of it, and last
// its key. Of what fails nothing but the record is left, so that nobody is admitted and it can
// be tried again.
func (c newConsumer) admit(ctx context.Context, bus *publish.Bus, folder string) (made consumers.Consumer, err error) {
	var undo []func(context.Context) error
	defer func() {
		if err == nil {
			return
		}
		for _, step := range slices.Backward(undo) {
			err = errors.Join(err, step(context.WithoutCancel(ctx)))
		}
	}()
	file, err := os.OpenFile(c.creds, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return made, usagef("%s is there already, and nothing is written over it; name another file by --creds", c.creds)
	}
	if err != nil {
		return made, fmt.Errorf("making the file for its credentials: %w", err)
	}
	undo = append(undo, func(context.Context) error { return errors.Join(file.Close(), os.Remove(c.creds)) })
	for _, d := range c.durables {
		existed, err := c.durable(ctx, bus, d)
		if err != nil {
			return made, err
		}
		if !existed {
			undo = append(undo, func(ctx context.Context) error { return bus.RemoveDurable(ctx, d) })
		}
	}
	action := c.action(job.ActionConsumerAdd)
	if err := act(ctx, bus, action, map[string]any{"consumer": c.name, "durables": c.durables, "filters": c.filters, "from": c.from}); err != nil {
		return made, err
	}
	made, creds, err := consumers.Add(folder, c.name, c.durables, time.Now())
	if err != nil {
		return made, err
	}
	undo = append(undo, func(context.Context) error { _, err := consumers.Remove(folder, c.name); return err })
	if _, err := file.Write(creds); err != nil {
		return made, fmt.Errorf("writing its credentials: %w", err)
	}
	if err := file.Sync(); err != nil {
		return made, fmt.Errorf("writing its credentials: %w", err)
	}
	return made, file.Close()
}

// durable makes a durable, or takes one over.
func (c newConsumer) durable(ctx context.Context, bus *publish.Bus, name string) (existed bool, err error) {
	d := publish.Durable{Name: name, Filters: c.filters, New: c.from == "new"}
	_, err = bus.Durable(ctx, name)
	switch {
	case err == nil && d.New:
		return true, usagef("durable %s is there, and has the place that it has come to; leave --from out, or name another", name)
	case errors.Is(err, publish.ErrNoDurable) && len(d.Filters) == 0:
		d.Filters = []string{"jobs.*.*." + string(job.Finished)}
	}
	return bus.AddDurable(ctx, d)
}

// added is what `consumers add` says.
type added struct {
	Name        string   `json:"name"`
	Key         string   `json:"key"`
	Durables    []string `json:"durables"`
	Credentials string   `json:"credentials"`
	InboxPrefix string   `json:"inbox_prefix"`
	URL         string   `json:"url"`
}

// printAdded prints the lines that a consumer needs, and tells what else there is to know.
func (a *app) printAdded(c added, cfg *config.Config) error {
	tls := cfg.NATS.Embedded.TLS
	a.say("consumer %s may take events from %s; its credentials are in %s", c.Name, strings.Join(c.Durables, ", "), c.Credentials)
	if tls.CAFile != "" {
		a.say("note: it needs a certificate of nats.embedded.tls.ca_file besides")
	}
	if a.output == "json" {
		return printJSON(a.out, c)
	}
	c.goLines(a.out, tls.On())
	a.say("by the nats command: %s", c.command(tls.On()))
	return nil
}

// command is how the nats command takes an event.
func (c added) command(tls bool) string {
	first := ""
	if tls {
		first = " --tlsfirst"
	}
	return fmt.Sprintf("nats --server %s%s --creds %s --inbox-prefix %s consumer next JOBS %s", c.URL, first, c.Credentials, c.InboxPrefix, c.Durables[0])
}

// goLines prints how a program in Go takes events, a line for each durable behind the first two.
func (c added) goLines(w io.Writer, tls bool) {
	first := ""
	if tls {
		first = ", nats.TLSHandshakeFirst()"
	}
	fmt.Fprintf(w, "nc, err := nats.Connect(%q, nats.UserCredentials(%q), nats.CustomInboxPrefix(%q)%s)\n", c.URL, c.Credentials, c.InboxPrefix, first)
	fmt.Fprintf(w, "js, err := jetstream.New(nc)\n")
	for i, d := range c.Durables {
		name := "events"
		if i > 0 {
			name += fmt.Sprint(i + 1)
		}
		fmt.Fprintf(w, "%s, err := js.Consumer(ctx, \"JOBS\", %q)\n", name, d)
	}
}

// consumerURL is where consumers connect, by a name that is in the certificate if there is one.
func consumerURL(cfg *config.Config) string {
	e := cfg.NATS.Embedded
	host, port, _ := net.SplitHostPort(e.Address) // which is checked
	scheme := "nats://"
	if e.TLS.On() {
		scheme = "tls://"
		if pair, err := certs.Load(cfg.Abs(e.TLS.CertFile), cfg.Abs(e.TLS.KeyFile)); err == nil {
			host = certified(pair.Certificate().Leaf, host)
		}
	}
	if port == "0" {
		port = "PORT" // another one at each start
	}
	return scheme + net.JoinHostPort(cmp.Or(host, "HOST"), port)
}

// certified returns the host if a certificate is for it, else one that it is for.
func certified(leaf *x509.Certificate, host string) string {
	if leaf.VerifyHostname(host) == nil {
		return host
	}
	for _, name := range leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	if len(leaf.IPAddresses) > 0 {
		return leaf.IPAddresses[0].String()
	}
	return host
}

// absolute is a path for whoever is in another folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
