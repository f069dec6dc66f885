package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestLicensesPrintsTheNotice(t *testing.T) {
	var out, talk bytes.Buffer
	if code := run(t.Context(), []string{"licenses"}, strings.NewReader(""), &out, &talk); code != exitDone || talk.Len() > 0 {
		t.Fatalf("licenses = exit %d and %q, want 0 and nothing", code, &talk)
	}
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), notice) || !strings.Contains(out.String(), "github.com/nats-io/nats-server/v2 v") {
		t.Errorf("licenses prints %d bytes, want the %d of NOTICE", out.Len(), len(notice))
	}
}
