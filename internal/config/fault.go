package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration. The error of [Load] joins
// them; none holds the value of a secret.
type Fault struct {
	// File is the configuration file as given to Load, or "environment NAME"
	// for a value that came from the variable NAME; empty for neither.
	File string
	// Line is the line in File, from 1; 0 where there is none to point at.
	Line int
	// Path names the setting, such as sources.crm.signature_keys[0].value.
	Path string
	// Wrong says what is wrong, and Allowed what would be right; Allowed may be empty.
	Wrong, Allowed string
}

// Error returns one line: file:line: path: what is wrong; allowed: what is right.
func (f Fault) Error() string {
	var b strings.Builder
	switch {
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	case f.File != "":
		b.WriteString(f.File + ": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Wrong)
	if f.Allowed != "" {
		b.WriteString("; allowed: " + f.Allowed)
	}
	return b.String()
}

// An origin is where a value was given.
type origin struct {
	file string
	line int
}

// A report collects faults and warnings, and knows where each path was given.
type report struct {
	file     string
	at       map[string]origin
	spoilt   []string // the paths whose values are wrong, and told to be
	faults   []Fault
	warnings []Fault
}

// fault records that the value at a path is wrong, unless a fault of a value at, above or beneath
// it is recorded: one mistake is reported once.
func (r *report) fault(path, wrong, allowed string) {
	for _, s := range r.spoilt {
		if within(path, s) || within(s, path) {
			return
		}
	}
	r.spoil(r.origin(path), path, wrong, allowed)
}

// spoil records that the value at a known place is wrong.
func (r *report) spoil(o origin, path, wrong, allowed string) {
	r.spoilt = append(r.spoilt, path)
	r.faultAt(o, path, wrong, allowed)
}

// faultAt records a fault that says nothing of the value that path has.
func (r *report) faultAt(o origin, path, wrong, allowed string) {
	r.faults = append(r.faults, Fault{File: o.file, Line: o.line, Path: path, Wrong: wrong, Allowed: allowed})
}

func (r *report) warn(path, wrong string) {
	o := r.origin(path)
	r.warnings = append(r.warnings, Fault{File: o.file, Line: o.line, Path: path, Wrong: wrong})
}

// origin returns where path was given, or the nearest thing around it.
func (r *report) origin(path string) origin {
	for path != "" {
		if o, ok := r.at[path]; ok {
			return o
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return origin{file: r.file}
}

// within says whether path is parent or lies beneath it.
func within(path, parent string) bool {
	if parent == "" || !strings.HasPrefix(path, parent) {
		return false
	}
	rest := path[len(parent):]
	return rest == "" || rest[0] == '.' || rest[0] == '['
}

// ordered sorts by line; what did not come from the file goes last.
func (r *report) ordered(faults []Fault) []Fault {
	line := func(f Fault) int {
		if f.File != r.file {
			return math.MaxInt
		}
		return f.Line
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), cmp.Compare(a.File, b.File))
	})
	return faults
}

// err joins the faults, or returns nil.
func (r *report) err() error {
	var errs []error
	for _, f := range r.ordered(r.faults) {
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}
