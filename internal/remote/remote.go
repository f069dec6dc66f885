// Package remote asks a receiver by HTTP, so that the commands work on any machine: it chooses the
// receiver, asks, repeats what may be repeated, and says in words what the receiver refuses. It
// keeps the addresses of receivers and the paths of their tokens, each under a name, in a file of
// the user's configuration folder.
//
// It needs no configuration and no store, prints nothing, and its file holds no token.
package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"receiver/api/client"
	"receiver/internal/durable"
)

// Context says how to reach one receiver.
type Context struct {
	// URL is the address of its private listener.
	URL string `yaml:"url" json:"url"`
	// TokenFile holds the token, and CAFile the certificates of authorities in PEM; both may be
	// empty.
	TokenFile string `yaml:"token_file,omitempty" json:"token_file,omitempty"`
	CAFile    string `yaml:"ca_file,omitempty" json:"ca_file,omitempty"`
}

// Contexts are those of a user.
type Contexts struct {
	// Current names the one that commands use if nothing else is given; empty means none.
	Current  string             `yaml:"current,omitempty" json:"current"`
	Contexts map[string]Context `yaml:"contexts" json:"contexts"`
}

// ErrUse is in the chain of errors that another flag or file would avoid.
var ErrUse = errors.New("the receiver was not asked")

// contextName is what a context may be called.
var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Path is where the contexts of the user are.
func Path() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("%w: there is no folder for contexts: %w", ErrUse, err)
	}
	return filepath.Join(dir, "receiver", "contexts.yaml"), nil
}

// Read reads a file of contexts. One that is missing holds none.
func Read(path string) (Contexts, error) {
	all := Contexts{Contexts: map[string]Context{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, fmt.Errorf("%w: %w", ErrUse, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		return all, fmt.Errorf("%w: %s: %w", ErrUse, path, err)
	}
	if all.Contexts == nil {
		all.Contexts = map[string]Context{}
	}
	return all, nil
}

// Write replaces a file of contexts.
func Write(path string, all Contexts) error {
	text, err := yaml.Marshal(all)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return durable.WriteFile(path, text)
}

// Change has the user's contexts changed.
func Change(change func(*Contexts) error) error {
	path, err := Path()
	if err != nil {
		return err
	}
	all, err := Read(path)
	if err != nil {
		return err
	}
	if err := change(&all); err != nil {
		return err
	}
	return Write(path, all)
}

// Set adds a context or replaces it. Its files must be absolute.
func (c *Contexts) Set(name string, to Context) error {
	if !contextName.MatchString(name) {
		return fmt.Errorf("%w: %q is no name for a context: use letters, digits, dots, dashes and underscores", ErrUse, name)
	}
	for _, file := range []string{to.TokenFile, to.CAFile} {
		if file != "" && !filepath.IsAbs(file) {
			return fmt.Errorf("%w: %q is not an absolute path", ErrUse, file)
		}
	}
	if _, err := to.Open(""); err != nil {
		return err
	}
	c.Contexts[name] = to
	return nil
}

// Named returns the context of a name; an empty one is the current. Without either it returns
// false.
func (c Contexts) Named(name string) (Context, bool, error) {
	if name == "" {
		name = c.Current
	}
	if name == "" {
		return Context{}, false, nil
	}
	found, there := c.Contexts[name]
	if !there {
		return found, false, fmt.Errorf("%w: there is no context %q; there are: %s", ErrUse, name, strings.Join(c.Names(), ", "))
	}
	return found, true, nil
}

// Names are the names of all contexts, sorted.
func (c Contexts) Names() []string { return slices.Sorted(maps.Keys(c.Contexts)) }

// Open returns the client of a context. The files are read now.
func (c Context) Open(userAgent string) (*client.Client, error) {
	o := client.Options{URL: c.URL, UserAgent: userAgent}
	if c.TokenFile != "" {
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("%w: the file of the token: %w", ErrUse, err)
		}
		if o.Token = strings.TrimSpace(string(text)); o.Token == "" {
			return nil, fmt.Errorf("%w: %s holds no token", ErrUse, c.TokenFile)
		}
	}
	if c.CAFile != "" {
		var err error
		if o.Authorities, err = os.ReadFile(c.CAFile); err != nil {
			return nil, fmt.Errorf("%w: the file of authorities: %w", ErrUse, err)
		}
	}
	made, err := client.Open(o)
	if err != nil {
		return nil, wrong{err}
	}
	return made, nil
}
