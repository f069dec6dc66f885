package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
)

// Profile begins to profile this process. Stop ends it, and leaves three files in the
// folder, replacing what is there: NAME.cpu, and NAME.allocs with, for the option -base of
// `go tool pprof`, NAME.allocs-before, as allocations are counted from the start of the
// process. Characters of the name that are no letters or digits become dashes. One
// profile can be made at a time.
func Profile(folder, name string) (stop func() error, err error) {
	path := filepath.Join(folder, strings.Map(fileChar, name))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making a folder for profiles: %w", err)
	}
	if err := writeAllocs(path + ".allocs-before"); err != nil {
		return nil, err
	}
	cpu, err := os.Create(path + ".cpu")
	if err != nil {
		return nil, fmt.Errorf("writing a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("profiling: %w", err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return errors.Join(cpu.Close(), writeAllocs(path+".allocs"))
	}, nil
}

func fileChar(r rune) rune {
	if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
		return r
	}
	return '-'
}

func writeAllocs(path string) error {
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing a profile: %w", err)
	}
	return nil
}
