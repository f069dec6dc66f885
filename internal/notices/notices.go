// Package notices collects the licences and notices of what the program is built with, from
// the module cache and the scripts of the page, for the file NOTICE. The program does not use it;
// the package's test holds NOTICE, and writes it with -update. It judges no licence.
package notices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// systems are those that the program is built for: each may add modules.
var systems = []string{"linux", "darwin", "windows"}

// file matches the names of files with licences and notices.
var file = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([._-].*)?$`)

// module is a module with the folders that may hold its licences.
type module struct {
	name, version string
	folders       map[string]bool
}

// Generate returns the notices of all modules that a package, such as ./cmd/receiver, is built
// with, seen from a folder. The same modules give the same bytes, on every system.
func Generate(ctx context.Context, folder, pkg string) ([]byte, error) {
	modules, err := list(ctx, folder, pkg)
	if err != nil {
		return nil, err
	}
	root, err := run(ctx, folder, nil, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	all := []*module{{name: "Go's standard library and runtime", folders: map[string]bool{strings.TrimSpace(root): true}}}
	for _, key := range slices.Sorted(maps.Keys(modules)) {
		all = append(all, modules[key])
	}
	scripts, err := filepath.Glob(filepath.Join(folder, "internal/page/assets/third_party/*"))
	if err != nil {
		return nil, err
	}
	for _, script := range scripts { // its name has the version in it
		all = append(all, &module{name: filepath.Base(script), folders: map[string]bool{script: true}})
	}
	return write(all)
}

// write writes the list of modules, and behind it each text once.
func write(all []*module) ([]byte, error) {
	var out, texts bytes.Buffer
	out.WriteString("Third-party notices of receiver: what it is built with, and under which of the licences and\n" +
		"notices below. Made by `go test ./internal/notices -update`; do not edit.\n\n")
	numbers := map[string]int{}
	for _, m := range all {
		found, err := m.texts()
		if err != nil {
			return nil, err
		}
		var marks []string
		for _, text := range found {
			if numbers[text] == 0 {
				numbers[text] = len(numbers) + 1
				fmt.Fprintf(&texts, "\n%s\n[%d]\n\n%s\n", strings.Repeat("-", 80), numbers[text], text)
			}
			marks = append(marks, fmt.Sprintf("[%d]", numbers[text]))
		}
		fmt.Fprintf(&out, "%s %s\n", strings.TrimSpace(m.name+" "+m.version), strings.Join(marks, " "))
	}
	out.Write(texts.Bytes())
	return out.Bytes(), nil
}

// texts returns what the files of a module say, each once, by the names of the files.
func (m *module) texts() ([]string, error) {
	var texts []string
	for _, folder := range slices.Sorted(maps.Keys(m.folders)) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", m.name, err)
		}
		for _, e := range entries {
			if e.IsDir() || !file.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", m.name, err)
			}
			if plain := normal(string(text)); !slices.Contains(texts, plain) {
				texts = append(texts, plain)
			}
		}
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s %s has no file with a licence: find its licence, and whether the program may use it", m.name, m.version)
	}
	return texts, nil
}

// normal is a text without what differs between copies of one licence and means nothing.
func normal(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\f")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n\ufeff")
}

// list returns the modules of a package on all systems, by name.
func list(ctx context.Context, folder, pkg string) (map[string]*module, error) {
	modules := map[string]*module{}
	for _, system := range systems {
		const format = "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}"
		out, err := run(ctx, folder, []string{"GOOS=" + system, "GOARCH=amd64", "CGO_ENABLED=0"}, "list", "-deps", "-f", format, pkg)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			part := strings.Split(strings.TrimSpace(line), "\t")
			if len(part) != 4 {
				continue // of this module, or the standard library
			}
			m := modules[part[0]]
			if m == nil {
				m = &module{name: part[0], version: part[1], folders: map[string]bool{}}
				modules[part[0]] = m
			}
			// A package may have been taken from elsewhere, with a licence of its own.
			for dir := part[3]; ; dir = filepath.Dir(dir) {
				m.folders[dir] = true
				if len(dir) <= len(part[2]) {
					break
				}
			}
		}
	}
	return modules, nil
}

func run(ctx context.Context, folder string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}
