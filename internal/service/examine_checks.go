package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/certs"
	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/service/archiving"
	"receiver/internal/service/logs"
	"receiver/internal/service/memory"
	"receiver/internal/service/platform"
	"receiver/internal/service/reach"
	"receiver/internal/submit"
)

// examiner gathers the facts that the doctor judges.
type examiner struct {
	cfg      *config.Config
	log      zerolog.Logger
	monitors []string
}

// all are the checks of the command, those of the network among them.
func (x examiner) all() []doctor.Check {
	checks := []doctor.Check{
		{Name: "config", Run: x.config},
		{Name: "keys", Run: func(context.Context) []doctor.Finding { return doctor.Keys(x.keys()) }},
		{Name: "sealing", Run: func(context.Context) []doctor.Finding {
			return doctor.Sealing(!x.cfg.Audit.Key.Empty(), len(x.cfg.Audit.Anchors), logs.Near(x.cfg), logs.Forks(x.cfg))
		}},
		{Name: "archive", Run: x.archive},
		{Name: "encryption", Run: x.encryption},
		{Name: "nats", Run: x.nats},
		{Name: "port", Run: x.port},
		{Name: "fsync", Run: x.fsync},
	}
	if x.cfg.NATS.Mode == config.ModeEdge {
		checks = append(checks, doctor.Check{Name: "edge", Run: x.edge})
	}
	if len(x.cfg.Sinks) > 0 {
		checks = append(checks, doctor.Check{Name: "sinks", Run: x.sinks})
	}
	running := sync.OnceValue(x.running)
	for _, name := range x.cfg.SourceNames() {
		checks = append(checks,
			doctor.Check{Name: "callback", Run: func(ctx context.Context) []doctor.Finding { return x.callback(ctx, name, running) }},
			doctor.Check{Name: "platform", Run: func(ctx context.Context) []doctor.Finding { return x.platform(ctx, name) }},
		)
	}
	for i, a := range x.cfg.Audit.Anchors {
		if len(a.NATS.URLs) > 0 {
			checks = append(checks, doctor.Check{Name: "anchor", Run: func(ctx context.Context) []doctor.Finding { return x.anchor(ctx, i, a.NATS) }})
		}
	}
	return append(checks, x.here()...)
}

// quick are the checks that serve begins with: what it does not warn of anyway, from this
// machine alone.
func (x examiner) quick() []doctor.Check {
	checks := x.here()
	if x.embedded() {
		checks = append(checks, doctor.Check{Name: "disk", Run: x.disk})
	}
	return checks
}

// here are the checks that look at this machine and take no time.
func (x examiner) here() []doctor.Check {
	checks := []doctor.Check{
		{Name: "keys", Run: func(context.Context) []doctor.Finding { return doctor.Windows(x.keys(), time.Now()) }},
		{Name: "files", Run: func(context.Context) []doctor.Finding { return doctor.Files(x.files()) }},
		{Name: "listeners", Run: x.listeners},
		{Name: "open_files", Run: x.openFiles},
		{Name: "memory", Run: x.memory},
		{Name: "archive", Run: func(context.Context) []doctor.Finding { return archiving.ExamineFolder(x.cfg) }},
	}
	if x.embedded() {
		checks = append(checks, doctor.Check{Name: "sync", Run: x.sync})
	}
	return checks
}

// embedded says whether this machine keeps the streams.
func (x examiner) embedded() bool { return x.cfg.NATS.Mode != config.ModeExternal }

// config repeats the warnings of the configuration, but for those that the doctor gives.
func (x examiner) config(context.Context) []doctor.Finding {
	var found []doctor.Finding
	for _, w := range x.cfg.Warnings {
		if !strings.Contains(w, ".signature_keys[") && !strings.Contains(w, "nats.jobs_max_age") && !strings.Contains(w, "private.token: has ") && !strings.Contains(w, "without encryption.identity") {
			found = append(found, doctor.Finding{Severity: doctor.Warning, What: w, Why: "the configuration is valid, but this value is unusual", Change: "see the comments of the default config.yaml"})
		}
	}
	if len(found) == 0 {
		found = []doctor.Finding{{What: x.cfg.Name() + " is valid"}}
	}
	return found
}

func (x examiner) keys() []doctor.Key {
	var all []doctor.Key
	for _, name := range x.cfg.SourceNames() {
		for i, k := range x.cfg.Sources[name].SignatureKeys {
			value := k.Value.Reveal()
			sum := sha256.Sum256([]byte(value))
			all = append(all, doctor.Key{
				Source: name, Name: k.Name, Fingerprint: k.Value.Fingerprint(), Setting: fmt.Sprintf("sources.%s.signature_keys[%d].value", name, i),
				Bytes: len(value), Spaced: strings.TrimSpace(value) != value, Same: hex.EncodeToString(sum[:]),
				NotBefore: k.NotBefore, NotAfter: k.NotAfter,
			})
		}
	}
	return all
}

// files are those that hold secrets, and those whose writer decides what is believed.
func (x examiner) files() []doctor.File {
	var all []doctor.File
	authorities := map[string]bool{}
	for _, s := range x.cfg.Sources {
		authorities[x.cfg.Abs(s.TLS.CAFile)] = true
	}
	for _, path := range x.cfg.Files {
		what, secret := "the secret file", true
		if authorities[path] {
			what, secret = "the file of authorities", false
		}
		if x.cfg.File != "" && filepath.Base(path) == filepath.Base(x.cfg.File) && len(all) == 0 {
			what, secret = "the configuration", holdsSecret(path, x.cfg)
		}
		all = append(all, doctor.Stat(path, what, secret))
	}
	if path := x.cfg.Abs(x.cfg.Private.TokensFile); tokensFound(path) {
		all = append(all, doctor.Stat(path, "the token file", true))
	}
	if e := publicEntrance(x.cfg); x.cfg.Public.TLS.ACME.On() {
		if _, err := os.Stat(e.KeyFile); err == nil { // else the check of listeners says so
			all = append(all, doctor.Stat(filepath.Dir(e.KeyFile), "the ACME folder", true), doctor.Stat(e.KeyFile, "the key of a listener's certificate", true))
		}
	}
	for _, key := range []config.Path{x.cfg.Public.TLS.KeyFile, x.cfg.Private.TLS.KeyFile} {
		if key != "" {
			all = append(all, doctor.Stat(x.cfg.Abs(key), "the key of a listener's certificate", true))
		}
	}
	credentials := []config.Path{x.cfg.NATS.CredentialsFile, x.cfg.NATS.TLS.KeyFile}
	for _, a := range x.cfg.Audit.Anchors {
		credentials = append(credentials, a.NATS.CredentialsFile, a.NATS.TLS.KeyFile)
	}
	for _, path := range credentials {
		if path != "" {
			all = append(all, doctor.Stat(x.cfg.Abs(path), "the NATS credentials", true))
		}
	}
	if x.embedded() {
		if key := x.cfg.NATS.Embedded.TLS.KeyFile; key != "" {
			all = append(all, doctor.Stat(x.cfg.Abs(key), "the key of the NATS port", true))
		}
		if ca := x.cfg.NATS.Embedded.TLS.CAFile; ca != "" {
			all = append(all, doctor.Stat(x.cfg.Abs(ca), "the file of authorities", false))
		}
		folder := x.cfg.Abs(x.cfg.NATS.Embedded.Folder)
		all = append(all, doctor.Stat(folder, "the store's folder", true), doctor.Stat(filepath.Join(folder, "owner.nk"), "the store's own key", true))
	}
	return all
}

// holdsSecret says whether a secret is written out in the file itself.
func holdsSecret(path string, cfg *config.Config) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return true // nothing is known to be harmless
	}
	all := []config.Secret{cfg.TokenSecret, cfg.Private.Token, cfg.Audit.Key, cfg.Encryption.Identity}
	for _, s := range cfg.Sources {
		all = append(all, s.ElementToken, s.UserSecret, s.OrganizationSecret, s.BasicAuth.Username, s.BasicAuth.Password)
		for _, k := range s.SignatureKeys {
			all = append(all, k.Value)
		}
	}
	for _, s := range all {
		if !s.Empty() && strings.Contains(string(text), s.Reveal()) {
			return true
		}
	}
	return false
}

func (x examiner) encryption(context.Context) []doctor.Finding {
	v, err := CipherOf(x.cfg)
	if err != nil {
		return doctor.Unseen(err.Error()) // the configuration was checked
	}
	e := doctor.Encryption{Recipients: len(x.cfg.Encryption.Recipients), Identity: v.Decrypts(), Readable: v.ReadsOwn()}
	for _, name := range x.cfg.SourceNames() {
		if x.cfg.Sources[name].UnexpectedJobs == config.UnexpectedQuarantine {
			e.Aside = append(e.Aside, name)
		}
	}
	return e.Findings()
}

// archive looks for records that are in no archive, in the store of the receiver that runs.
func (x examiner) archive(ctx context.Context) []doctor.Finding {
	if x.cfg.Audit.Key.Empty() {
		return nil
	}
	store, done, err := Opener{Config: x.cfg, Log: x.log}.Attach(ctx)
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	defer done()
	return archiving.Examine(ctx, x.cfg, store)
}

func (x examiner) listeners(context.Context) []doctor.Finding {
	d := doctor.Listeners{
		Public: x.cfg.Public.Address, Private: x.cfg.Private.Address,
		PrivateTLS: x.cfg.Private.TLS.CertFile != "", ClientCerts: x.cfg.Private.TLS.ClientCAFile != "",
		Token: len(x.cfg.Private.Token.Bytes()), Proxies: len(x.cfg.Public.TrustedProxies),
	}
	tokens, found, err := access.ReadFile(x.cfg.Abs(x.cfg.Private.TokensFile))
	d.Tokens, d.Expired = found, expired(tokens)
	for _, name := range x.cfg.SourceNames() {
		d.Callbacks = append(d.Callbacks, x.cfg.Sources[name].CallbackBaseURL)
	}
	all := d.Findings()
	if err != nil {
		all = append(all, doctor.Finding{
			Severity: doctor.Error, What: err.Error(), Why: "serve does not start with this file; a running receiver keeps its previous tokens",
			Setting: "private.tokens_file", Change: "a file written by `receiver tokens add`",
		})
	}
	for _, e := range []entrance{publicEntrance(x.cfg), privateEntrance(x.cfg)} {
		if e.CertFile == "" {
			continue
		}
		c := doctor.Certificate{Listener: e.name}
		pair, err := certs.Load(e.CertFile, e.KeyFile)
		if c.Err = err; err == nil {
			c.Leaf = pair.Certificate().Leaf
		}
		if e.name == "public" {
			c.Callbacks, c.Ordered, c.Address = d.Callbacks, x.cfg.Public.TLS.ACME.On(), e.Address
		}
		all = append(all, c.Findings()...)
	}
	return all
}

// running says whether a receiver answers at the public listener's address.
func (x examiner) running() bool {
	ctx, cancel := context.WithTimeout(context.Background(), reach.Timeout)
	defer cancel()
	client, base, err := reach.Public(x.cfg).Client()
	if err != nil {
		return false
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	return errors.Join(answer.Body.Close()) == nil && answer.StatusCode == http.StatusOK
}

func (x examiner) callback(ctx context.Context, name string, running func() bool) []doctor.Finding {
	s := x.cfg.Sources[name]
	return doctor.Callback{Source: name, BaseURL: s.CallbackBaseURL, Prefix: x.cfg.Public.Prefix, PlatformURL: s.BaseURL, Running: running()}.Look(ctx)
}

func (x examiner) platform(ctx context.Context, name string) []doctor.Finding {
	s := x.cfg.Sources[name]
	watch := &dated{clock: doctor.Clock{Whose: "the platform of source " + name, Precision: time.Second}}
	p := doctor.Platform{
		Source: name, BaseURL: s.BaseURL, Secrets: !s.ElementToken.Empty() && !s.UserSecret.Empty(),
		Refused: func(err error) bool { return errors.Is(err, submit.ErrUnauthorized) },
		Objects: func(ctx context.Context) (int, error) {
			o := platform.Options(name, s)
			o.UserAgent, o.Retries = "receiver/doctor", submit.Retries{Tries: 1, TooMany: 1}
			o.Around = func(next http.RoundTripper) http.RoundTripper { return dating{watch, next} }
			client, err := submit.New(o)
			if err != nil {
				return 0, err
			}
			objects, err := client.Objects(ctx)
			return len(objects), err
		},
	}
	found := append(doctor.Proxy(name, s.BaseURL, http.ProxyFromEnvironment), p.Look(ctx)...)
	for _, f := range watch.read().Findings() {
		f.Check = "clock"
		found = append(found, f)
	}
	return found
}

// dated is the time that answers told.
type dated struct {
	mu    sync.Mutex
	clock doctor.Clock
}

// dating reads the time off the answers that pass.
type dating struct {
	*dated
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (d dating) RoundTrip(r *http.Request) (*http.Response, error) {
	before := time.Now()
	answer, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if theirs, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.clock.Theirs, d.clock.Before, d.clock.After = theirs, before, time.Now()
	}
	return answer, nil
}

func (d *dated) read() doctor.Clock {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

// memory judges how much memory there is.
func (x examiner) memory(context.Context) []doctor.Finding {
	m := memory.Of(x.cfg)
	return doctor.Memory{Total: m.Total, By: m.From, Bodies: int64(x.cfg.Limits.Bodies), Used: m.Bodies}.Findings()
}

// openFiles judges how the file descriptors are shared out.
func (x examiner) openFiles(context.Context) []doctor.Finding {
	return connectionsOf(x.cfg).findings(x.cfg.Limits.Connections)
}

// findings judge the shares, where so many connections are wanted.
func (c connections) findings(wanted int) []doctor.Finding {
	if c.files == 0 {
		return doctor.Unseen("the limit of open files is unknown here")
	}
	f := doctor.FileLimit(uint64(c.files))
	f.What += fmt.Sprintf(": connections: %d public, %d private, %d to the NATS port, %d reserved for the store and the rest", c.public, c.private, c.nats, c.reserve)
	if c.public < wanted {
		f.Severity = max(f.Severity, doctor.Warning)
		f.What += fmt.Sprintf("; limits.connections is %d", wanted)
		f.Why, f.Setting = "more connections would leave too few files for the store", "limits.connections"
		f.Change = fmt.Sprintf("limits.connections: %d, or LimitNOFILE=%d in the service's unit", c.public, 2*wanted+mostReserve+mostNATS)
	}
	return []doctor.Finding{f}
}
