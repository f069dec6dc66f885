package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Find returns the configuration file to read: explicit if given, else what
// RECEIVER_CONFIG names, else config.yaml in the working folder, else
// receiver/config.yaml in the user's configuration folder. A file that was
// named is never replaced by another. The error says where it looked and
// matches fs.ErrNotExist when there is none.
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
	return "", fmt.Errorf("no configuration: there is no %s; name one with --config or %s: %w",
		strings.Join(candidates, " and no "), pathVariable, fs.ErrNotExist)
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
