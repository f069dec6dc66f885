package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// KeyPlace says, for people, what to take out of the configuration to remove a key.
func KeyPlace(cfg *Config, source, key string) string {
	variable := sourcesPrefix + envName(source) + "_SIGNATURE_KEYS"
	if _, ok := os.LookupEnv(variable); ok {
		return "remove its entry from the environment variable " + variable + ", and restart"
	}
	index := slices.IndexFunc(cfg.Sources[source].SignatureKeys, func(k SignatureKey) bool { return k.Name == key })
	from, to, ok := keyLines(cfg.File, source, index)
	switch {
	case !ok:
		return fmt.Sprintf("remove its entry from sources.%s.signature_keys", source)
	case from == to:
		return fmt.Sprintf("remove its entry from line %d of %s", from, cfg.File)
	}
	return fmt.Sprintf("remove lines %d to %d of %s", from, to, cfg.File)
}

// keyLines returns the first and the last line of a source's key in a configuration file, and false
// if they are not known.
func keyLines(file, source string, index int) (from, to int, ok bool) {
	text, err := os.ReadFile(file)
	var document yaml.Node
	if err != nil || yaml.Unmarshal(text, &document) != nil || len(document.Content) == 0 {
		return 0, 0, false
	}
	n := document.Content[0]
	for _, name := range []string{"sources", source, "signature_keys"} {
		if n = member(n, name); n == nil {
			return 0, 0, false
		}
	}
	if n.Kind != yaml.SequenceNode || index < 0 || index >= len(n.Content) {
		return 0, 0, false
	}
	entry := n.Content[index]
	return entry.Line, lastLine(entry), true
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		last += strings.Count(n.Value, "\n")
	}
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}
