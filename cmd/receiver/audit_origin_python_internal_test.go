//go:build python

package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// python runs a checker of examples/ and gives its exit code and all that it prints.
func (o *origins) python(script string, args ...string) (int, string) {
	o.t.Helper()
	out, err := exec.CommandContext(o.t.Context(), "python3", append([]string{"../../examples/" + script}, args...)...).CombinedOutput()
	exit := new(exec.ExitError)
	if err != nil && !errors.As(err, &exit) {
		o.t.Fatalf("running python3: %v", err)
	}
	return max(exit.ExitCode(), 0), string(out)
}

// TestBothCheckersAgree holds that the checker in Python, which was written from docs/evidence.md,
// comes to the conclusion of audit check on every kind of record, and to its exit code.
func TestBothCheckersAgree(t *testing.T) {
	t.Parallel()
	o := newOrigins(t)
	for _, c := range o.all() {
		for _, key := range [][]string{{"--signature-key-file", o.path("signature.key")}, nil} {
			if key == nil && c.code == exitDone {
				continue // without a key there is less that could differ
			}
			args := append(append([]string{o.bundle(c.record), "--log-key", o.logKey(c.record)}, key...), c.args...)
			code, out := o.run(append([]string{"audit", "check"}, args...)...)
			if key != nil && (code != c.code || !strings.Contains(out, string(c.want))) {
				t.Errorf("%s: audit check = exit %d, want %d and %q\n%s", c.name, code, c.code, c.want, out)
			}
			if c.inGo {
				continue
			}
			other, said := o.python("check_bundle.py", args...)
			if other != code || key != nil && !strings.Contains(said, string(c.want)) {
				t.Errorf("%s: check_bundle.py = exit %d, want %d and %q\n%s\naudit check:\n%s", c.name, other, code, c.want, said, out)
			}
		}
	}
}
