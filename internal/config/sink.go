package config

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Values of Sink.From.
const (
	// FromNew begins with the events that are stored after the sink was configured.
	FromNew = "new"
	// FromAll begins with the oldest event that is kept.
	FromAll = "all"
)

// Sink is an address to which events are posted, signed as Standard Webhooks.
type Sink struct {
	// Name is unique, and names the sink's position for good.
	Name string `key:"name" form:"log name"`
	// URL is https, or http on loopback; it may have a query.
	URL string `key:"url" form:"sink" short:"true"`
	// Secret signs, and never is empty. PreviousSecret signs too, while a key is rotated.
	Secret         Secret `key:"secret" form:"sink secret"`
	PreviousSecret Secret `key:"previous_secret" form:"sink secret"`
	// Sources and Kinds select the events; none means all.
	Sources []string `key:"sources"`
	Kinds   []string `key:"kinds" oneof:"submitted,progress,finished,conflict,overdue,lost,errors,unrecognised"`
	// From is FromNew or FromAll.
	From string `key:"from" oneof:"new,all"`
}

// Secrets are the keys that sign, the current one first.
func (s Sink) Secrets() [][]byte {
	var keys [][]byte
	for _, secret := range []Secret{s.Secret, s.PreviousSecret} {
		if key, err := sinkKey(secret.Reveal()); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// sinkPrefix begins a secret of Standard Webhooks.
const sinkPrefix = "whsec_"

// sinkKey returns the bytes of a secret of Standard Webhooks.
func sinkKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, sinkPrefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %s", sinkPrefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	switch {
	case err != nil:
		return nil, fmt.Errorf("is not base64 after %s", sinkPrefix)
	case len(key) < 24 || len(key) > 64:
		return nil, fmt.Errorf("has %d bytes after %s", len(key), sinkPrefix)
	}
	return key, nil
}

func readSinkSecret(text string) (string, string) {
	if _, err := sinkKey(text); err != nil {
		return "", err.Error()
	}
	return text, ""
}

// readSinkURL keeps the text as it is: a slash at its end and a query are the endpoint's. The query
// may hold a token, so it is not repeated.
func readSinkURL(text string) (string, string) {
	bare, _, _ := strings.Cut(text, "?")
	u, wrong := readURL(bare)
	if wrong != "" {
		return "", wrong
	}
	if _, err := url.Parse(text); err != nil || strings.Contains(text, "#") {
		return "", "has a fragment, or a query that is not valid"
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", quote(bare) + " is not https"
	}
	return text, ""
}

func (l *loader) checkSinks(c *Config) {
	names := map[string]bool{}
	for i, s := range c.Sinks {
		at := fmt.Sprintf("sinks[%d]", i)
		switch {
		case s.Name == "":
			l.fault(at+".name", "is empty, but the sink's position is kept under it", "1 to 32 of a-z 0-9 -")
		case names[s.Name]:
			l.fault(at+".name", quote(s.Name)+" is the name of another sink", "a unique name")
		}
		names[s.Name] = true
		if s.URL == "" {
			l.fault(at+".url", "is empty", forms["sink"].allowed)
		}
		if s.Secret.Empty() {
			l.fault(at+".secret", "is empty, so the endpoint could not tell an event from a forgery", forms["sink secret"].allowed)
		}
		for j, name := range s.Sources {
			if _, known := c.Sources[name]; !known {
				l.fault(fmt.Sprintf("%s.sources[%d]", at, j), quote(name)+" is not a source of this configuration"+meant(nearest(name, c.SourceNames())),
					cmp.Or(strings.Join(slices.Sorted(maps.Keys(c.Sources)), ", "), "none: configure the source first"))
			}
		}
	}
}
