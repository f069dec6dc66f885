package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find returns the configuration file to read: explicit if given, else what
// RECEIVER_CONFIG names, else config.yaml in the working folder, else
// receiver/config.yaml in the user's configuration folder. A file that was
// named is never replaced by another. Without a file it returns "" if
// variables configure a source: then the environment is the configuration.
// Otherwise the error says where it looked and matches fs.ErrNotExist.
func Find(explicit string) (string, error) {
	if explicit != "" {
		return named(explicit, "--config")
	}
	if path := os.Getenv(pathVariable); path != "" {
		return named(path, pathVariable)
	}
	candidates := []string{"config.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(dir, "receiver", "config.yaml"))
	}
	for _, path := range candidates {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
	}
	if slices.ContainsFunc(os.Environ(), configuresSource) {
		return "", nil
	}
	return "", fmt.Errorf("no configuration: there is no %s; make one with `receiver init`, name one with --config or %s, or configure a source by variables %s…: %w",
		strings.Join(candidates, " and no "), pathVariable, sourcesPrefix, fs.ErrNotExist)
}

// sourcesPrefix begins the variables of sources.
const sourcesPrefix = envPrefix + "SOURCES_"

// configuresSource reports whether an entry of the environment is a setting of a source.
func configuresSource(entry string) bool {
	name, value, _ := strings.Cut(entry, "=")
	return strings.HasPrefix(name, sourcesPrefix) && !isServiceLink(name, value)
}

// Name is the file of a configuration; without one, words for the environment.
func (c *Config) Name() string {
	return cmp.Or(c.File, "the configuration in the environment")
}

func named(path, by string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("configuration %q named by %s: %w", path, by, cause(err))
	}
	return path, nil
}

// Relative returns path as a configuration in dir would name it: it is the reverse of [Config.Abs].
func Relative(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
