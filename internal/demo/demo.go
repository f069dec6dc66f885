// Package demo runs a demonstration: a receiver with its NATS server and a stand-in for the
// platform, in one process and on loopback, one job from its upload to the sealed record of it, and
// forgeries that are refused.
//
// It returns an error as soon as anything differs from what it should be. It prints nothing: each
// step is handed to the caller.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"text/template"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit/logkey"
	"receiver/internal/durable"
	"receiver/internal/job"
	"receiver/internal/logging"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/platform"
	"receiver/internal/simulator"
	"receiver/internal/submit"
)

const (
	// Source is the name of the demo's one source, and of its one consumer.
	Source = "demo"
	// configFile and credentials are files in the demo's folder.
	configFile  = "config.yaml"
	credentials = "demo.creds"
)

// left are the files that the demo leaves in its folder.
var left = []string{configFile, "signature.key", "log.key", credentials, "receiver-data", "receiver-checkpoints", "receiver-checkpoints.store"}

// Options are what a demo is started with.
type Options struct {
	// Folder keeps what the demo stores, and was given to Prepare; empty means a temporary one.
	Folder string
	// Action is recorded for the consumer that the demo adds.
	Action job.Action
	// Log takes the warnings and errors of the receiver.
	Log io.Writer
}

// Demo is a receiver and a platform that run. Close it.
type Demo struct {
	Folder   string
	Receiver *service.Instance
	Platform *simulator.Server

	client *submit.Client
	upload func(context.Context, submit.Upload) (job.Stored, error)
	key    string // fingerprint of the signature key
	undo   []func() error

	print     func(Step) error
	submitted job.Stored
	delivery  simulator.Delivery
	finished  publish.Message
}

// Prepare makes the folder, if need be, and returns an error if the demo would write over
// something in it.
func Prepare(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, name := range left {
		// A file there may be the only copy of a key, or of what a key has signed.
		_, err := os.Lstat(filepath.Join(folder, name))
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s contains %s, which is not overwritten; name an empty folder", folder, name)
		}
	}
	return nil
}

// Start starts a platform and a receiver.
func Start(ctx context.Context, o Options) (*Demo, error) { return startAt(ctx, o, Usual) }

func startAt(ctx context.Context, o Options, ports Ports) (*Demo, error) {
	d, err := start(ctx, o, ports)
	for tries := 0; errors.Is(err, syscall.EADDRINUSE) && tries < 3; tries++ {
		// Another program took an address since Write found it free, perhaps another demo.
		for _, name := range left {
			_ = os.RemoveAll(filepath.Join(d.Folder, name))
		}
		d, err = start(ctx, o, Any)
	}
	return d, err
}

func start(ctx context.Context, o Options, ports Ports) (_ *Demo, err error) {
	d := &Demo{Folder: o.Folder}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.Folder == "" {
		if d.Folder, err = os.MkdirTemp("", "receiver-demo-"); err != nil {
			return d, fmt.Errorf("making a temporary folder: %w", err)
		}
		d.undo = append(d.undo, func() error { _ = os.RemoveAll(d.Folder); return nil }) // the system cleans its temporary folder too
	}
	if err := Write(d.Folder, ports); err != nil {
		return d, err
	}
	// The environment is left out: the demo is the same on every machine.
	cfg, err := service.ReadConfig(filepath.Join(d.Folder, configFile), nil, nil)
	if err != nil {
		return d, err
	}
	s := cfg.Sources[Source]
	d.key = s.SignatureKeys[0].Value.Fingerprint()
	if d.client, err = platform.Client(Source, s); err != nil {
		return d, err
	}
	at, err := url.Parse(s.BaseURL)
	if err != nil {
		return d, err
	}
	if d.Platform, err = simulator.Listen(at.Host, simulator.Options{
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Hub: s.Hub, SignatureKey: s.SignatureKeys[0].Value.Reveal(),
		JobDuration: time.Second, Log: zerolog.Nop(), ErrorLog: logging.Std(zerolog.Nop(), "net/http"),
	}); err != nil {
		return d, err
	}
	d.undo = append(d.undo, d.Platform.Close)
	log, written := logging.Open(o.Log, cfg.Log.Level, cfg.Log.Format)
	d.undo = append(d.undo, func() error { written.Close(); return nil })
	// Warnings and errors only: the steps say what happens, to the forged callbacks, too.
	log = log.Level(zerolog.WarnLevel).Hook(zerolog.HookFunc(func(e *zerolog.Event, level zerolog.Level, message string) {
		if level == zerolog.WarnLevel && message == "callback processed" {
			e.Discard()
		}
	}))
	if d.Receiver, err = service.Start(ctx, cfg, log); err != nil {
		return d, err
	}
	d.undo = append(d.undo, d.Receiver.Stop)
	d.upload = func(ctx context.Context, u submit.Upload) (job.Stored, error) {
		return platform.Submit(ctx, cfg, d.client, d.Receiver.Store().Publish, Source, u)
	}
	consumer := service.Admission{Name: Source, Durables: []string{Source}, From: "all", Credentials: filepath.Join(d.Folder, credentials)}
	_, err = consumer.Admit(ctx, cfg, d.Receiver.Store(), cfg.Abs(cfg.NATS.Embedded.Folder), o.Action)
	return d, err
}

// Close stops what was started, and removes the folder if it is a temporary one.
func (d *Demo) Close() error {
	var errs []error
	for _, undo := range slices.Backward(d.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

//go:embed config.yaml.tmpl
var configTemplate string

// Ports are those of a demo: of its public and its private listener, of NATS and of the platform.
type Ports [4]string

// Usual are the ports of README and docs, and Any are some that are free.
var (
	Usual = Ports{"8080", "8081", "4222", "8090"}
	Any   = Ports{"0", "0", "0", "0"}
)

// Write writes a configuration into folder, with addresses on loopback, and the keys that it names:
// one that the platform signs callbacks with, and one that the receiver signs its logs with. A port
// that is in use is replaced by a free one.
func Write(folder string, ports Ports) error {
	log, err := logkey.Generate(Source)
	if err != nil {
		return err
	}
	var addresses [len(ports)]string
	for i, port := range ports {
		if addresses[i], err = freeAddress(port); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := template.Must(template.New("config").Parse(configTemplate)).Execute(&text, map[string]string{
		"Public": addresses[0], "Private": addresses[1], "NATS": addresses[2], "Platform": addresses[3],
		"Element": rand.Text(), "User": rand.Text(), "Token": rand.Text(),
	}); err != nil {
		return err
	}
	if err := errors.Join(
		durable.WriteNew(filepath.Join(folder, "signature.key"), []byte(rand.Text()+"\n")),
		log.Write(filepath.Join(folder, "log.key")),
		durable.WriteNew(filepath.Join(folder, configFile), text.Bytes()),
	); err != nil {
		return fmt.Errorf("writing the demo's configuration: %w", err)
	}
	return nil
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
