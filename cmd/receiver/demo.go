package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"receiver/examples"
	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/consumers"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	once, json bool
	keep       string
}

func newDemo(a *app) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole way once on this machine: submit, callback, proof, event",
		Long: `demo runs, in one process and on loopback, a stand-in for the platform, the receiver and
its NATS server on a temporary folder. It uploads a CSV of ten contacts, gets the signed
callback, shows the one event that came of it, and three forgeries being refused, and
seals what was received into tamper-evident logs. Then it stays up, so that you can try
it yourself, until Ctrl-C.`,
		Example: "  receiver demo\n" +
			"  receiver demo --once --json\n" +
			"  receiver demo --once --keep DIR && receiver --config DIR/config.yaml serve\n" +
			"  receiver --config DIR/config.yaml audit verify",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.json = f.json || a.output == "json"
			return a.demo(cmd.Context(), f)
		},
	}
	cmd.Flags().BoolVar(&f.once, "once", false, "exit when everything was shown; 0 only if all was as it should be")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object for each step on standard output")
	cmd.Flags().StringVar(&f.keep, "keep", "", "leave the store, config.yaml, the keys and a consumer's credentials in this folder")
	return cmd
}

func (a *app) demo(ctx context.Context, f demoFlags) (err error) {
	folder, cleanUp, err := demoFolder(f.keep)
	if err != nil {
		return err
	}
	defer cleanUp()
	cfg, err := demoConfig(folder)
	if err != nil {
		return err
	}
	source := cfg.Sources[demoSource]
	address, err := loopbackOf(demoSource, source)
	if err != nil {
		return err
	}
	o := simulated(source, zerolog.Nop())
	o.JobDuration = time.Second
	platform, err := startPlatform(address, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, platform.stop()) }()
	// Warnings and errors only: what happens is told step by step.
	log, written := lines(a.talk, cfg.Log)
	defer written.Close()
	in, err := start(ctx, cfg, log.Level(zerolog.WarnLevel))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	d := &demonstration{app: a, json: f.json, cfg: cfg, in: in, platform: platform, source: source}
	consumer := newConsumer{name: demoSource, durables: []string{demoSource}, from: "all", creds: filepath.Join(folder, demoCreds)}
	if _, err := consumer.admit(ctx, in.bus, cfg.Abs(cfg.NATS.Embedded.Folder)); err != nil {
		return fmt.Errorf("adding the demo's consumer: %w", err)
	}
	if err := d.run(ctx); err != nil || f.once {
		return err
	}
	d.invite(folder)
	return in.wait(ctx)
}

// demoFolder returns the folder to keep, or a temporary one that cleanUp removes.
func demoFolder(keep string) (folder string, cleanUp func(), err error) {
	if keep == "" {
		folder, err = os.MkdirTemp("", "receiver-demo-")
		if err != nil {
			return "", nil, fmt.Errorf("making a temporary folder: %w", err)
		}
		return folder, func() { _ = os.RemoveAll(folder) }, nil // the system cleans its temporary folder too
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return "", nil, usagef("--keep: %w", err)
	}
	for _, name := range demoFiles {
		// What stands there may be the only copy: of a key, or of what a key has signed.
		_, err := os.Lstat(filepath.Join(keep, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, usagef("--keep: %s holds %s already, and nothing is written over; name an empty folder", keep, name)
		}
	}
	return keep, func() {}, nil
}

// demoFiles are what the demo leaves in a folder.
var demoFiles = []string{"config.yaml", "signature.key", "log.key", demoCreds, "receiver-data", "receiver-checkpoints", "receiver-checkpoints.store"}

const (
	// demoSource is the name of the demo's one source, and of its one consumer.
	demoSource = "demo"
	// demoCreds is the file of the consumer's credentials.
	demoCreds = "demo.creds"
)

//go:embed demo.yaml.tmpl
var demoTemplate string

// demoConfig writes the demo's configuration and key, and reads them as serve would.
func demoConfig(folder string) (*config.Config, error) {
	if err := demoKeys(folder); err != nil {
		return nil, fmt.Errorf("writing the demo's keys: %w", err)
	}
	var addresses [4]string
	for i, port := range []string{"8080", "8081", "4222", "8090"} {
		address, err := freeAddress(port)
		if err != nil {
			return nil, err
		}
		addresses[i] = address
	}
	var text bytes.Buffer
	t := template.Must(template.New("config").Parse(demoTemplate))
	err := t.Execute(&text, map[string]string{
		"Public": addresses[0], "Private": addresses[1], "NATS": addresses[2], "Platform": addresses[3],
		"Element": rand.Text(), "User": rand.Text(), "Token": rand.Text(),
	})
	path := filepath.Join(folder, "config.yaml")
	if err == nil {
		err = writeNew(path, text.String())
	}
	if err != nil {
		return nil, fmt.Errorf("writing the demo's configuration: %w", err)
	}
	// The environment is left out: the demo is the same on every machine.
	return config.Load(config.Options{Path: path})
}

// demoKeys makes the key that the platform signs callbacks with, and the one that the
// receiver signs its logs with.
func demoKeys(folder string) error {
	log, err := audit.GenerateKey("demo")
	if err != nil {
		return err
	}
	return errors.Join(
		writeNew(filepath.Join(folder, "signature.key"), rand.Text()+"\n"),
		writeNew(filepath.Join(folder, "log.key"), log.Secret()+"\n"),
	)
}

// freeAddress returns the loopback address with the given port, or with a free one if
// that is taken.
func freeAddress(port string) (string, error) {
	for _, p := range []string{port, "0"} {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", p))
		if err == nil {
			return ln.Addr().String(), ln.Close()
		}
	}
	return "", errors.New("there is no free port on 127.0.0.1")
}

// sampleCSV is what the demo uploads: the ten contacts of the platform's own example.
var sampleCSV = examples.SampleCSV

// invite tells what to try while the demo stays up.
func (d *demonstration) invite(folder string) {
	key := filepath.Join(folder, "signature.key")
	config := filepath.Join(folder, "config.yaml")
	self := "go run ./cmd/receiver"
	if exe, err := os.Executable(); err == nil && !strings.Contains(exe, "go-build") {
		self = exe
	}
	consumer := added{Durables: []string{demoSource}, Credentials: absolute(filepath.Join(folder, demoCreds)), InboxPrefix: consumers.Inbox(demoSource), URL: d.in.natsURL()}
	var lines strings.Builder
	consumer.goLines(&lines, false)
	d.app.say(`
It stays up until Ctrl-C. Try it, in another terminal:

  # a callback of your own, signed as the platform signs
  printf '{"id":"7","status":"COMPLETED","recordsCount":1,"recordsFailedCount":0}' > body.json
  curl -si -H "$(%[1]s sign --key-file %[2]s body.json)" --data-binary @body.json http://%[3]s/callbacks/demo

  # the same again, and one that nobody signed
  curl -si -H "$(%[1]s sign --key-file %[2]s body.json)" --data-binary @body.json http://%[3]s/callbacks/demo
  curl -si --data-binary @body.json http://%[3]s/callbacks/demo

  # the events; and how a consumer takes them, by the nats command and in Go
  %[1]s --config %[4]s events watch --since 1h
  %[5]s
  %[8]s

  # that nothing of it was changed since
  %[1]s --config %[4]s audit verify

public  http://%[3]s   private http://%[6]s (/readyz, /metrics)   platform %[7]s
`, self, key, d.in.public.addr, config, consumer.command(false), d.in.private.addr, d.platform.url,
		strings.ReplaceAll(strings.TrimSpace(lines.String()), "\n", "\n  "))
}
