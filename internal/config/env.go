package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	envPrefix    = "RECEIVER_"
	pathVariable = envPrefix + "CONFIG"
)

// clientVariables are no settings: they name the receiver that commands ask by HTTP.
var clientVariables = []string{envPrefix + "URL", envPrefix + "CONTEXT", envPrefix + "TOKEN_FILE", envPrefix + "CA_FILE"}

// A setting is a place that a variable can set.
type setting struct {
	part *part
	name string   // the variable, without the prefix
	keys []string // the way to it
}

// settings lists what can be set beneath a part, the sources excepted.
func settings(p *part, name string, keys []string) []setting {
	var all []setting
	for _, c := range p.parts {
		s := setting{c, name + envName(c.key), append(slices.Clip(keys), c.key)}
		switch c.shape {
		case sectionShape:
			all = append(all, settings(c, s.name+"_", s.keys)...)
		case leafShape, listShape:
			all = append(all, s)
		}
	}
	return all
}

func envName(key string) string {
	return strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// readEnv returns the environment as a layer. file tells the sources that
// exist already.
func (l *loader) readEnv(file map[string]any) map[string]any {
	layer := map[string]any{}
	sources := sourceNames(file)
	referred := l.referred()
	links := l.serviceLinks(sources, referred)
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		short, ours := strings.CutPrefix(name, envPrefix)
		if !ours || name == pathVariable || slices.Contains(clientVariables, name) || l.secretVars[name] || links[name] {
			continue
		}
		found := match(short, sources)
		switch {
		case len(found) == 1:
			l.override(layer, found[0], name)
		case len(found) > 1:
			l.faultAt(origin{file: "environment " + name}, "", fmt.Sprintf("can mean %s or %s",
				strings.Join(found[0].keys, "."), strings.Join(found[1].keys, ".")), "set it in the file")
		case !referred[name]:
			l.unknownVariable(name, sources)
		}
	}
	return layer
}

// match returns what a variable can mean: one setting, none, or several where
// the names of sources make it ambiguous.
func match(name string, sources []string) []setting {
	for _, s := range settings(schema, "", nil) {
		if s.name == name {
			return []setting{s}
		}
	}
	rest, ok := strings.CutPrefix(name, envName(sourcesKey)+"_")
	if !ok {
		return nil
	}
	var known, fresh []setting
	for _, s := range settings(sourcePart, "", nil) {
		middle, ok := strings.CutSuffix(rest, "_"+s.name)
		source := strings.ToLower(strings.ReplaceAll(middle, "_", "-"))
		if !ok || !sourceName.MatchString(source) || envName(source) != middle {
			continue
		}
		s.keys = append([]string{sourcesKey, source}, s.keys...)
		if slices.Contains(sources, source) {
			known = append(known, s)
		} else {
			fresh = append(fresh, s)
		}
	}
	if len(known) > 0 || len(fresh) == 0 {
		return known
	}
	// CRM_CALLBACK_BASE_URL of no known source is callback_base_url of crm, not
	// base_url of crm-callback: the longest setting's name wins.
	return []setting{slices.MaxFunc(fresh, func(a, b setting) int { return len(a.name) - len(b.name) })}
}

// override puts the value of a variable into the layer.
func (l *loader) override(layer map[string]any, s setting, name string) {
	path := strings.Join(s.keys, ".")
	o := origin{file: "environment " + name}
	value := l.env[name]
	if isSecret(s.part) && value == "" {
		l.spoil(o, path, "is empty", "a secret, or unset the variable")
		return
	}
	for i, key := range s.keys[:len(s.keys)-1] {
		inner, ok := layer[key].(map[string]any)
		if !ok {
			inner = map[string]any{}
			layer[key] = inner
		}
		layer = inner
		if above := strings.Join(s.keys[:i+1], "."); l.at[above] == (origin{}) {
			l.at[above] = o
		}
	}
	maps.DeleteFunc(l.at, func(p string, _ origin) bool { return within(p, path) })
	l.at[path] = o
	if s.part.shape == listShape {
		layer[s.keys[len(s.keys)-1]] = l.list(s.part.elem, path, value, o)
	} else {
		layer[s.keys[len(s.keys)-1]] = l.leaf(s.part, path, value)
	}
}

// list splits the text of a variable at its commas.
func (l *loader) list(p *part, path, text string, o origin) []any {
	list := []any{}
	if text == "" {
		return list
	}
	for i, entry := range strings.Split(text, ",") {
		at := fmt.Sprintf("%s[%d]", path, i)
		l.at[at] = o
		// A plain secret keeps its spaces: they are bytes of a key.
		if trimmed := strings.TrimSpace(entry); !isSecret(p) || isReference(trimmed) {
			entry = trimmed
		}
		if short := p.short(); short != p {
			list = append(list, map[string]any{short.key: l.leaf(short, join(at, short.key), entry)})
		} else {
			list = append(list, l.leaf(p, at, entry))
		}
	}
	return list
}

func isSecret(p *part) bool {
	if p.shape == listShape {
		p = p.elem
	}
	return p.short().typ == secretType
}

// referredVariable returns the variable that a reference names, if it names one.
func referredVariable(text string) (string, bool) {
	return strings.CutPrefix(strings.TrimPrefix(text, quotedMark), envReference)
}

func isReference(text string) bool {
	text = strings.TrimPrefix(text, quotedMark)
	return strings.HasPrefix(text, envReference) || strings.HasPrefix(text, fileReference)
}

// referred returns the variables that the file, or another variable of ours, refers to.
func (l *loader) referred() map[string]bool {
	names := maps.Clone(l.secretVars)
	for other, value := range l.env {
		if !strings.HasPrefix(other, envPrefix) {
			continue
		}
		for entry := range strings.SplitSeq(value, ",") {
			if name, ok := referredVariable(strings.TrimSpace(entry)); ok {
				names[name] = true
			}
		}
	}
	return names
}

func (l *loader) unknownVariable(name string, sources []string) {
	all := settings(schema, "", nil)
	for _, source := range sources {
		all = append(all, settings(sourcePart, envName(sourcesKey)+"_"+envName(source)+"_", nil)...)
	}
	known := []string{pathVariable}
	for _, s := range all {
		known = append(known, envPrefix+s.name)
	}
	l.faultAt(origin{file: "environment " + name}, "", "is not the name of a setting"+meant(nearest(name, known)),
		"RECEIVER_ and the path of a setting, such as RECEIVER_NATS_MODE")
}
