package blockfile

import (
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

// FuzzLines holds appendLines to what nats.go reads out of the same bytes.
func FuzzLines(f *testing.F) {
	for _, block := range []string{
		"NATS/1.0\r\nce-id: 1\r\nce-type:x\r\n\r\n",
		"NATS/1.0\r\na: 1\r\na:  2\t\r\nA:\r\n:nobody\r\nb:c:d\r\n\r\nrest",
		"NATS/1.0\na: 1\n\n", "NATS/1.0 503 No Responders\r\n\r\n", "NATS/1.0 \r\n\r\n", "NATS/1.0\r\nnocolon\r\n\r\n",
		"NATS/1.0\r\na: 1", "NATS/1.1\r\n\r\n", "NATS/1.0\r\r\n\r\n", "",
	} {
		f.Add(block)
	}
	f.Fuzz(func(t *testing.T, block string) {
		lines, ok := appendLines(nil, block)
		want, err := nats.DecodeHeadersMsg([]byte(block))
		if !ok {
			return // left to nats.go
		}
		if err != nil {
			t.Fatalf("appendLines(%q) = %q, which nats.go refuses: %v", block, lines, err)
		}
		got := make(map[string][]string)
		for _, l := range lines {
			got[l[0]] = append(got[l[0]], l[1])
		}
		if !maps.EqualFunc(got, map[string][]string(want), slices.Equal[[]string]) {
			t.Errorf("appendLines(%q) = %q, want %q", block, got, want)
		}
	})
}

func TestUsualHeadersAreReadFromTheFile(t *testing.T) {
	lines, ok := appendLines(nil, "NATS/1.0\r\nce-id: 1\r\nce-type:x\r\nce-id: 2\r\n\r\n")
	want := [][2]string{{"ce-id", "1"}, {"ce-type", "x"}, {"ce-id", "2"}}
	if !ok || !slices.Equal(lines, want) {
		t.Errorf("appendLines = %q, %v, want %q", lines, ok, want)
	}
}
