// Package setup makes the folder of a new installation: a commented configuration, and the secrets
// that it names, for their owner alone. It never overwrites anything, and leaves nothing behind if
// it fails.
package setup

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"receiver/internal/access"
	"receiver/internal/audit/logkey"
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/durable"
)

// The names of files. The secrets of a source begin with its name.
const (
	ConfigFile  = "config.yaml"
	tokenSecret = "token.secret"
	logKey      = "log.key"
	tokensFile  = "receiver-tokens.json"
	adminToken  = "admin.token"
	anchor      = "receiver-anchor" // a folder, made if its path is relative
	admin       = "admin"           // the name of that token
)

// Answers are what a new installation depends on.
type Answers struct {
	// Folder is where the files go. It is made if it is not there.
	Folder string
	// Source is the name of the source.
	Source string
	// BaseURL is the address of the platform's API, and Hub that of the connector.
	BaseURL, Hub string
	// CallbackURL is the address of the receiver, without /callbacks/…; empty if it submits no job.
	CallbackURL string
	// ElementToken, UserSecret and SignatureKey refer to secrets by env: or file:. Empty means
	// none, and a new signature key.
	ElementToken, UserSecret, SignatureKey string
	// Store is the folder of the embedded NATS server, and Anchor gets copies of the checkpoints.
	Store, Anchor string

	typed map[string]string // secrets by the file that they are written to
}

// Made is a new installation.
type Made struct {
	// Config is its configuration, and Files are all that were written, this one last.
	Config string   `json:"config"`
	Files  []string `json:"files"`
	Source string   `json:"source"`
	// Callback is the address of callbacks; empty if it is not known.
	Callback string `json:"callback_url,omitempty"`
	// Key says where the signature key is: in a file or in a variable.
	Key string `json:"signature_key"`
	// Token is the file with a token for the private listener.
	Token string `json:"admin_token_file"`
	// Missing are the secrets that are referred to and not there: variables and files.
	Missing []string `json:"missing"`
}

//go:embed config.yaml.tmpl
var configTemplate string

// ErrUse is returned for answers that make no valid configuration, and for a folder that has one.
var ErrUse = errors.New("nothing was written")

// domain is a name that the origin of a log can be.
var domain = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)

// text returns the configuration.
func (a *Answers) text(now time.Time) (string, error) {
	proxies, origin := "[]", config.Default().Audit.Origin
	if u, err := url.Parse(a.CallbackURL); err == nil && u.Scheme == "https" {
		proxies = "[127.0.0.1]"
		if host := strings.ToLower(u.Hostname()); domain.MatchString(host) && net.ParseIP(host) == nil {
			origin = host
		}
	}
	values := map[string]any{"Proxies": proxies, "Files": map[string]string{
		"TokenSecret": tokenSecret, "LogKey": logKey, "Tokens": tokensFile, "AdminToken": adminToken,
	}}
	for name, value := range map[string]string{
		"Source": a.Source, "BaseURL": a.BaseURL, "Hub": a.Hub, "CallbackURL": a.CallbackURL, "ElementToken": a.ElementToken,
		"UserSecret": a.UserSecret, "SignatureKey": cmp.Or(a.SignatureKey, "file:"+a.keyFile()), "KeyName": now.Format("2006-01"),
		"Store": a.Store, "Anchor": a.Anchor, "Origin": origin,
	} {
		scalar, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
		if err != nil {
			return "", err
		}
		values[name] = strings.TrimSuffix(string(scalar), "\n")
	}
	var text strings.Builder
	err := template.Must(template.New("config").Parse(configTemplate)).Execute(&text, values)
	return text.String(), err
}

// keyFile is the file of the signature key, also of a source called log.
func (a *Answers) keyFile() string {
	if name := a.Source + ".key"; name != logKey {
		return name
	}
	return a.Source + "-signature.key"
}

// keyPlace says, for people, where the signature key is.
func (a *Answers) keyPlace() string {
	if name, ok := strings.CutPrefix(a.SignatureKey, envReference); ok {
		return "the variable " + name
	}
	path := cmp.Or(strings.TrimPrefix(a.SignatureKey, fileReference), a.keyFile())
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.Folder, path)
	}
	return "the file " + path
}

// file is one that is written.
type file struct {
	name string
	data []byte
}

// files returns all that is written, the configuration last.
func (a *Answers) files(now time.Time) ([]file, error) {
	key, err := logkey.Generate(config.Default().Audit.Name)
	if err != nil {
		return nil, err
	}
	secret, token, err := access.New(admin, access.Scopes, now.UTC().Truncate(time.Second), time.Time{})
	if err != nil {
		return nil, err
	}
	tokens, err := access.Format([]access.Token{token})
	if err != nil {
		return nil, err
	}
	text, err := a.text(now)
	if err != nil {
		return nil, err
	}
	var all []file
	if a.SignatureKey == "" {
		all = append(all, file{a.keyFile(), random()})
	}
	for _, name := range a.typedFiles() {
		all = append(all, file{name, []byte(a.typed[name] + "\n")})
	}
	return append(all, file{tokenSecret, random()}, file{logKey, []byte(key.Secret() + "\n")},
		file{tokensFile, tokens}, file{adminToken, []byte(secret + "\n")}, file{ConfigFile, []byte(text)}), nil
}

func (a *Answers) typedFiles() (names []string) {
	for name := range a.typed {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// random returns a secret of 256 bits that every platform can store.
func random() []byte {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never returns an error
	return append(hex.AppendEncode(nil, secret[:]), '\n')
}

// Free returns an error if the folder cannot take a new installation. It says which files are
// there.
func (a *Answers) Free() error {
	a.Folder = cmp.Or(a.Folder, ".")
	info, err := os.Stat(a.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUse, err)
	case !info.IsDir():
		return fmt.Errorf("%w: %s is not a folder", ErrUse, a.Folder)
	}
	var there []string
	for _, name := range a.names() {
		if _, err := os.Lstat(filepath.Join(a.Folder, name)); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, name)
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: %s contains %s, and no file is overwritten; name an empty folder with --folder", ErrUse, a.Folder, strings.Join(there, ", "))
	}
	return nil
}

// names are those of all files that can be written.
func (a *Answers) names() []string {
	names := []string{tokenSecret, logKey, tokensFile, adminToken, ConfigFile}
	if a.makesAnchor() {
		names = append(names, a.Anchor)
	}
	if a.SignatureKey == "" {
		names = append(names, a.keyFile())
	}
	return append(names, a.typedFiles()...)
}

// makesAnchor is false for an anchor elsewhere: a share may not be mounted yet.
func (a *Answers) makesAnchor() bool { return a.Anchor != "" && !filepath.IsAbs(a.Anchor) }

// Write makes the installation. After an error everything is as before.
func (a *Answers) Write(now time.Time, env []string) (made Made, err error) {
	if err := errors.Join(a.Free(), a.problems()); err != nil {
		return made, err
	}
	all, err := a.files(now)
	if err != nil {
		return made, err
	}
	if a.Folder, err = filepath.Abs(a.Folder); err != nil {
		return made, err
	}
	var undo []string
	defer func() {
		if err != nil {
			for _, path := range slices.Backward(undo) {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	if err := os.Mkdir(a.Folder, 0o700); err == nil {
		undo = append(undo, a.Folder)
	} else if !errors.Is(err, fs.ErrExist) {
		return made, fmt.Errorf("%w: %w", ErrUse, err)
	}
	if a.makesAnchor() {
		path := filepath.Join(a.Folder, a.Anchor)
		if err := os.Mkdir(path, 0o700); err != nil {
			return made, fmt.Errorf("no file of the new installation is left: %w", err)
		}
		undo = append(undo, path)
	}
	for _, f := range all {
		path := filepath.Join(a.Folder, f.name)
		if err := durable.WriteNew(path, f.data); err != nil {
			return made, fmt.Errorf("no file of the new installation is left: %w", err)
		}
		undo = append(undo, path)
		made.Files = append(made.Files, path)
	}
	made.Config, made.Token = made.Files[len(made.Files)-1], filepath.Join(a.Folder, adminToken)
	made.Source, made.Key = a.Source, a.keyPlace()
	if a.CallbackURL != "" {
		made.Callback = callback.Address(strings.TrimRight(a.CallbackURL, "/"), nil, callback.Grant{Source: a.Source})
	}
	made.Missing, err = a.missing(made.Config, env)
	return made, err
}

// Text says what was made and what to do next, without a secret; program is what to run.
func (m Made) Text(program string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "The new installation is in %s:\n", filepath.Dir(m.Config))
	for _, path := range m.Files {
		fmt.Fprintf(&b, "  %s\n", filepath.Base(path))
	}
	fmt.Fprintf(&b, `
Enter at the platform, for the connector instance of source %s:
  Callback Notification Signature Key   the content of %s
  (event.notification.signature.key)    without the newline at its end
`, m.Source, m.Key)
	if m.Callback != "" {
		fmt.Fprintf(&b, `
Jobs that this receiver submits have callback addresses of their own, which end in a token. For
jobs that other programs submit, the header Elements-Async-Callback-Url is
  %s
`, m.Callback)
	}
	fmt.Fprintf(&b, "\nThe private listener takes the token in %s:\n  %s jobs list --url http://127.0.0.1:8081 --token-file %[1]s\n", m.Token, program)
	if len(m.Missing) > 0 {
		fmt.Fprintf(&b, "\nStill missing:\n  %s\n", strings.Join(m.Missing, "\n  "))
	}
	fmt.Fprintf(&b, "\nNext:\n")
	for _, command := range []string{"config check", "doctor", "serve"} {
		fmt.Fprintf(&b, "  %s --config %s %s\n", program, m.Config, command)
	}
	return b.String()
}

// missing reads the configuration as serve will. A secret that was referred to may still be made;
// any other fault is an error.
func (a *Answers) missing(path string, env []string) ([]string, error) {
	missing := []string{}
	var wrong []error
	_, err := config.Load(config.Options{Path: path, Env: env})
	for _, f := range faults(err) {
		if q, ok := questionOf(f.Path); ok && q.secret && !a.isTyped(q) {
			missing = append(missing, *q.value(a)+": "+f.Wrong)
			continue
		}
		wrong = append(wrong, inWords(f))
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrUse, errors.Join(wrong...))
	}
	return missing, nil
}

// problems checks the answers without the environment and without any secret.
func (a *Answers) problems() error {
	var wrong []error
	for _, q := range questions {
		if err := q.refused(*q.value(a)); err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, f := range a.faults() {
		wrong = append(wrong, inWords(f))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w:\n%w", ErrUse, errors.Join(wrong...))
	}
	return nil
}

// faults are those of the configuration that the answers make.
func (a *Answers) faults() []config.Fault {
	folder, err := os.MkdirTemp("", "receiver-init-")
	if err != nil {
		return []config.Fault{{Wrong: err.Error()}}
	}
	defer func() { _ = os.RemoveAll(folder) }() // it is in the system's temporary folder
	text, err := a.text(time.Now())
	path := filepath.Join(folder, ConfigFile)
	if err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600)); err != nil {
		return []config.Fault{{Wrong: err.Error()}}
	}
	_, err = config.Load(config.Options{Path: path, Lazy: true})
	return faults(err)
}

// faults takes an error of config.Load apart.
func faults(err error) (all []config.Fault) {
	var joined interface{ Unwrap() []error }
	var one config.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &joined):
		for _, err := range joined.Unwrap() {
			all = append(all, faults(err)...)
		}
		return all
	case errors.As(err, &one):
		return []config.Fault{one}
	}
	return []config.Fault{{Wrong: err.Error()}}
}

// inWords says which flag is wrong, and why.
func inWords(f config.Fault) error {
	f.File, f.Line = "", 0
	if q, ok := questionOf(f.Path); ok {
		f.Path = "--" + q.Flag
	}
	return f
}

// isTyped reports whether a secret was typed on the terminal.
func (a *Answers) isTyped(q Question) bool {
	_, typed := a.typed[strings.TrimPrefix(*q.value(a), fileReference)]
	return typed
}
