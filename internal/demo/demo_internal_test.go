package demo

import (
	"io"
	"net"
	"strings"
	"testing"

	"receiver/internal/job"
)

// An address that was free is in use when the demo comes to it, as beside another demo.
func TestADemoStartsBesideOthers(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	action := job.Action{What: job.ActionConsumerAdd, Operator: "a test"}
	for name, folder := range map[string]string{"in a temporary folder": "", "in a folder that is kept": t.TempDir()} {
		d, err := startAt(t.Context(), Options{Folder: folder, Action: action, Log: io.Discard}, Ports{"0", "0", port, port})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// With the last step and a prompt it fits on a terminal of 80 columns and 24 lines.
		rows := 3
		for line := range strings.Lines(d.Invitation()) {
			rows += 1 + (len(line)-2)/80
		}
		if rows > 24 {
			t.Errorf("%s: %d lines at the end of the demo, want 24 at most:\n%s", name, rows, d.Invitation())
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: Close = %v", name, err)
		}
	}
}
