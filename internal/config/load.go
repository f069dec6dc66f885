package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// Options say what Load reads.
type Options struct {
	// Path is the configuration file; empty means none: defaults and environment.
	Path string
	// Env is the environment in the form of os.Environ; nil means an empty one.
	Env []string
	// Check looks at what takes more than this package knows, such as the check sum of a
	// key. Of its faults it gives Path, Wrong and Allowed; Load says where that is. Nil
	// means that there is nothing more to look at.
	Check func(*Config) []Fault
	// Before is the configuration that a running program has in force; nil at a start. A fault in
	// the content of a file that only a start reads, or that the program reads again on its own, is
	// then a warning: it must not delay the keys.
	Before *Config
	// Lazy is for a command that uses some of the configuration: a secret that cannot be read is no
	// fault but not [Usable], and files that only a server reads are not looked at.
	Lazy bool
}

// A leaf is one value of a layer: where it belongs and the text that was given.
// Its fields are exported because koanf copies layers by reflection.
type leaf struct{ Path, Text string }

// loader is one run of Load.
type loader struct {
	report
	before *Config // as in Options
	lazy   bool    // as in Options
	dir    string
	env    map[string]string
	parts  map[string]*part // of every leaf, by path
	// secretVars are the variables that the file names by env:.
	secretVars map[string]bool
	files      []string // absolute, of all that is read: the file and those with secrets
	looked     []string // absolute, of all that is only looked at
}

// Load reads the file, lays the environment over it, follows secret references and checks the
// whole. Its error joins every [Fault] it found, in the order of the file's lines, those of the
// environment last; then there is no Config, and [FilesOf] returns the files in which the faults
// can be fixed. A file that is no YAML ends the search with that one fault.
func Load(o Options) (*Config, error) {
	l, err := newLoader(o)
	if err != nil {
		return nil, err
	}
	l.before, l.lazy = o.Before, o.Lazy
	c, err := l.load(o)
	if err != nil {
		return nil, loadError{err, slices.Concat(l.files, l.looked)}
	}
	return c, nil
}

// loadError is an error of Load with the files that were read or looked for.
type loadError struct {
	error
	files []string
}

func (e loadError) Unwrap() error { return e.error }

// FilesOf returns the absolute paths of the files that an error of [Load] may come from:
// those that were read or looked at, and those that could not be. It is nil for any other
// error.
func FilesOf(err error) []string {
	var e loadError
	errors.As(err, &e)
	return e.files
}

func (l *loader) load(o Options) (*Config, error) {
	file, ok := l.readFile(o.Path)
	if !ok {
		return nil, l.err()
	}
	env := l.readEnv(file)
	c, err := l.decode(file, env)
	if err != nil {
		return nil, err
	}
	c.File, c.Dir, c.Files = o.Path, l.dir, l.files
	addDefaults(c)
	l.check(c)
	if o.Check != nil {
		for _, f := range o.Check(c) {
			if p := l.parts[f.Path]; l.lazy && p != nil && p.typ == secretType {
				continue // its use says so
			}
			l.fault(f.Path, f.Wrong, f.Allowed)
		}
	}
	for _, w := range l.ordered(l.warnings) {
		c.Warnings = append(c.Warnings, w.Error())
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Default returns the configuration of an empty file: no sources, the values
// of the default tags. File, Dir and Warnings are empty.
func Default() Config {
	l := loader{parts: map[string]*part{}}
	c, _ := l.decode() // Nothing from outside is in it: a test holds that nothing fails.
	addDefaults(c)
	return *c
}

func newLoader(o Options) (*loader, error) {
	dir, err := filepath.Abs(filepath.Dir(o.Path))
	if err != nil {
		return nil, fmt.Errorf("finding the folder of the configuration: %w", err)
	}
	l := &loader{
		report:     report{file: o.Path, at: map[string]origin{}},
		dir:        dir,
		env:        map[string]string{},
		parts:      map[string]*part{},
		secretVars: map[string]bool{},
	}
	if o.Path != "" {
		l.files = []string{filepath.Join(dir, filepath.Base(o.Path))}
	}
	for _, entry := range o.Env {
		name, value, _ := strings.Cut(entry, "=")
		l.env[name] = value
	}
	return l, nil
}

// decode merges the layers, later over earlier, over the defaults.
func (l *loader) decode(layers ...map[string]any) (*Config, error) {
	names := map[string]bool{}
	for _, layer := range layers {
		for _, name := range sourceNames(layer) {
			names[name] = true
		}
	}
	defaults, _ := l.defaults(schema, "", slices.Sorted(maps.Keys(names))).(map[string]any)
	c := new(Config)
	k := koanf.New(".")
	for _, layer := range append([]map[string]any{defaults}, layers...) {
		if err := k.Load(confmap.Provider(layer, ""), nil); err != nil {
			return c, fmt.Errorf("merging the configuration: %w", err)
		}
	}
	err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{
		Tag:           "key",
		DecoderConfig: &mapstructure.DecoderConfig{DecodeHook: l.hook},
	})
	if err != nil {
		return c, fmt.Errorf("decoding the configuration: %w", err)
	}
	return c, nil
}

// hook is where mapstructure asks for the value of a leaf.
func (l *loader) hook(_, _ reflect.Type, data any) (any, error) {
	if lf, ok := data.(leaf); ok {
		return l.value(lf), nil
	}
	return data, nil
}

// value parses a leaf. A wrong one becomes a fault and is then taken for its
// default, so that the rules between values do not complain about it again.
func (l *loader) value(lf leaf) any {
	p := l.parts[lf.Path]
	v, wrong := l.parse(p, lf.Text)
	if wrong == nil {
		if s, ok := v.(Secret); ok {
			l.warnOfSecret(p, lf.Path, s.Reveal())
		}
		return v
	}
	if l.lazy && p.typ == secretType {
		o := l.origin(lf.Path)
		return Secret{wrong: Fault{File: o.file, Line: o.line, Path: lf.Path, Wrong: wrong.wrong, Allowed: wrong.allowed}}
	}
	l.fault(lf.Path, wrong.wrong, wrong.allowed)
	if text, ok := p.tag.Lookup("default"); ok {
		if v, wrong := l.parse(p, text); wrong == nil {
			return v
		}
	}
	return reflect.Zero(p.typ).Interface()
}

// leaf makes a value of a layer.
func (l *loader) leaf(p *part, path, text string) leaf {
	l.parts[path] = p
	return leaf{path, text}
}

// defaults makes the lowest layer: every default, for each of the sources named.
func (l *loader) defaults(p *part, path string, names []string) any {
	switch p.shape {
	case sectionShape:
		m := map[string]any{}
		for _, c := range p.parts {
			if v := l.defaults(c, join(path, c.key), names); v != nil {
				m[c.key] = v
			}
		}
		return m
	case namedShape:
		m := map[string]any{}
		for _, name := range names {
			m[name] = l.defaults(p.elem, join(path, name), names)
		}
		return m
	case listShape:
		return []any{}
	}
	if text, ok := p.tag.Lookup("default"); ok {
		return l.leaf(p, path, text)
	}
	return nil
}

func sourceNames(layer map[string]any) []string {
	sources, _ := layer[sourcesKey].(map[string]any)
	return slices.Sorted(maps.Keys(sources))
}

// The defaults of an anchor in a NATS account.
const (
	anchorStream  = "CHECKPOINTS"
	anchorSubject = "checkpoints"
)

// addDefaults fills in the defaults that depend on something else.
func addDefaults(c *Config) {
	if c.NATS.Embeds() && c.NATS.Sync == "" {
		c.NATS.Sync = SyncAlways
	}
	for i := range c.Audit.Anchors {
		if n := &c.Audit.Anchors[i].NATS; len(n.URLs) > 0 {
			n.Stream, n.Subject = cmp.Or(n.Stream, anchorStream), cmp.Or(n.Subject, anchorSubject)
		}
	}
	for i := range c.Sinks {
		c.Sinks[i].From = cmp.Or(c.Sinks[i].From, FromNew)
	}
	for _, s := range c.Sources {
		for i := range s.SignatureKeys {
			if s.SignatureKeys[i].Name == "" {
				s.SignatureKeys[i].Name = fmt.Sprintf("key-%d", i+1)
			}
		}
	}
}
