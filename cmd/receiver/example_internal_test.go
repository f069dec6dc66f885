package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestConfigPrintExampleIsTheShippedFile(t *testing.T) {
	want, err := os.ReadFile("../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out, talk bytes.Buffer
	t.Chdir(t.TempDir()) // there is no configuration
	if code := run(t.Context(), []string{"config", "print", "--example"}, strings.NewReader(""), &out, &talk); code != exitDone || !bytes.Equal(out.Bytes(), want) || talk.Len() > 0 {
		t.Errorf("config print --example = exit %d, %d bytes, %s, want the %d bytes of config.yaml", code, out.Len(), &talk, len(want))
	}
}
