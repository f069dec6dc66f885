// Command mutate shows what the tests of a package do not hold. It makes mutants of the package:
// copies in which one operator is another one. Tests that pass with a mutant do not hold what the
// operator does.
//
//	go run ./internal/mutate job verify
//
// It fails for each mutant with which the tests of internal/<package> pass and that docs/testing.md
// does not list, and for each entry there without such a mutant. It changes no file of the module.
//
// All mutants of a package are in one test binary, and the environment says which of them is
// active; mutants of constants need a binary each.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The bounds of one run of the tests, which take a tenth of a second: a mutant that loops ends by
// them, however busy the machine is. The tests that measure growth and memory do not run: what they
// find depends on the machine.
const (
	script = `ulimit -v 8000000 && ulimit -t 3 && exec "$0" -test.failfast -test.timeout 20s -test.skip 'Grow|MemoryOf'`
	list   = "docs/testing.md"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, packages []string) error {
	if len(packages) == 0 {
		return errors.New("name packages of internal/, such as job; run it in the folder with go.mod")
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var wrong []string
	for _, name := range packages {
		dir := filepath.Join("internal", name)
		survivors, total, err := survivors(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		_, _ = fmt.Fprintf(os.Stdout, "%s: %d mutants, %d of them pass the tests\n", name, total, len(survivors))
		wrong = append(wrong, compare(survivors, entries(text, dir))...)
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

var entry = regexp.MustCompile("(?m)^- `([^`]+)` `([A-Z_]+)` (`+) ?(.+?) ?`+: *\\S")

// entries returns those of a package in the list.
func entries(text []byte, dir string) (all []string) {
	for _, m := range entry.FindAllSubmatch(text, -1) {
		if filepath.Dir(string(m[1])) == dir {
			all = append(all, formatEntry(string(m[1]), string(m[2]), string(m[4])))
		}
	}
	return all
}

func formatEntry(file, kind, line string) string {
	ticks, space := "`", ""
	if strings.Contains(line, "`") {
		ticks, space = "``", " "
	}
	return "- `" + file + "` `" + kind + "` " + ticks + space + line + space + ticks
}

// compare says what differs between the survivors and the list.
func compare(survivors []mutant, listed []string) (wrong []string) {
	where := map[string][]string{}
	for _, m := range survivors {
		e := formatEntry(m.file, m.kind, m.text)
		where[e] = append(where[e], fmt.Sprintf("%s:%d:%d", m.file, m.line, m.column))
	}
	for _, e := range slices.Sorted(maps.Keys(where)) {
		if !slices.Contains(listed, e) {
			wrong = append(wrong, strings.Join(where[e], ", ")+": the tests pass with this mutant; kill it by a test, or list it in "+list+":\n  "+e+": REASON")
		}
	}
	for _, e := range listed {
		if where[e] == nil {
			wrong = append(wrong, list+": the tests fail with this mutant, so remove the entry:\n  "+e)
		}
	}
	return wrong
}

// survivors returns the mutants of a package with which its tests pass, and how many there are.
func survivors(ctx context.Context, dir string) (alive []mutant, total int, err error) {
	scratch, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	p, err := parse(dir)
	if err != nil {
		return nil, 0, err
	}
	binary, err := compile(ctx, dir, scratch, p.switched())
	if err != nil {
		return nil, 0, err
	}
	if err := test(ctx, dir, binary, 0); err != nil {
		return nil, 0, fmt.Errorf("the tests fail without a mutant: %w", err)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	var next atomic.Int64
	for range runtime.NumCPU() {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(p.mutants) || ctx.Err() != nil {
					return
				}
				m := p.mutants[i]
				if killed(ctx, dir, scratch, binary, i+1, m) {
					continue
				}
				mu.Lock()
				alive = append(alive, m)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return alive, len(p.mutants), ctx.Err()
}

// killed reports whether a mutant does not compile, or makes a test fail.
func killed(ctx context.Context, dir, scratch, binary string, id int, m mutant) bool {
	if m.source != nil {
		folder := filepath.Join(scratch, strconv.Itoa(id))
		var err error
		if binary, err = compile(ctx, dir, folder, map[string][]byte{filepath.Base(m.file): m.source}); err != nil {
			return true
		}
		defer func() { _ = os.RemoveAll(folder) }()
	}
	return test(ctx, dir, binary, id) != nil
}

// compile compiles the tests of a package, with other contents for some of its files.
func compile(ctx context.Context, dir, folder string, files map[string][]byte) (binary string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	var overlay []string
	for name, source := range files {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, source, 0o600); err != nil {
			return "", err
		}
		overlay = append(overlay, fmt.Sprintf("%q: %q", filepath.Join(dir, name), path))
	}
	replace := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(replace, []byte(`{"Replace": {`+strings.Join(overlay, ", ")+"}}"), 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(folder, "tests")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", replace, "-o", binary, ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

// test runs the tests of a package with one mutant, or with none for 0.
func test(ctx context.Context, dir, binary string, id int) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", script, binary)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), fmt.Sprintf("%s=%d", variable, id))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out[max(0, len(out)-1000):])
	}
	return nil
}
