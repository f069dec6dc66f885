package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Effective returns c as YAML with every key, in the order of config.yaml and
// sources by name. Secrets are fingerprints, which Load refuses as values.
func (c *Config) Effective() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(encode(schema, reflect.ValueOf(*c))); err != nil {
		return nil, fmt.Errorf("printing the configuration: %w", err)
	}
	return b.Bytes(), nil
}

func encode(p *part, v reflect.Value) *yaml.Node {
	switch p.shape {
	case sectionShape:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, c := range p.parts {
			n.Content = append(n.Content, scalar(c.key), encode(c, v.Field(c.index)))
		}
		return n
	case namedShape:
		n := &yaml.Node{Kind: yaml.MappingNode}
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			n.Content = append(n.Content, scalar(name.String()), encode(p.elem, v.MapIndex(name)))
		}
		return n
	case listShape:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, encode(p.elem, v.Index(i)))
		}
		return n
	}
	n := scalar(show(v.Interface()))
	if v.Kind() != reflect.String && n.Value != "" {
		n.Tag = "" // Numbers, sizes and times need no quotes.
	}
	return n
}

// show writes a value as parse reads it; a secret as its fingerprint.
func show(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return shortDuration(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(time.RFC3339)
	case netip.Prefix:
		if v.IsSingleIP() {
			return v.Addr().String()
		}
		return v.String()
	}
	return fmt.Sprint(v)
}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if text == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
