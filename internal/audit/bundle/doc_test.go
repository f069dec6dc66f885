package bundle_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
)

func page(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The bundle that docs/evidence.md shows is a real one, of the third of three records, and
// passes with the key that the page shows.
func TestThePagesBundlePasses(t *testing.T) {
	_, rest, _ := strings.Cut(page(t), "```json\n")
	shown, _, _ := strings.Cut(rest, "```")
	key := regexp.MustCompile(`receiver/test/JOBS\+[0-9a-f]{8}\+[0-9A-Za-z+/]+`).FindString(page(t))
	keys, err := audit.ParseKeys([]string{key}, nil)
	if err != nil {
		t.Fatalf("key %q: %v", key, err)
	}
	b, err := bundle.Parse([]byte(shown))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.Check(keys, nil); err != nil || c.Checkpoint.Tree.N != 3 {
		t.Errorf("Check: %d leaves, %v, want 3", c.Checkpoint.Tree.N, err)
	}

	w := audittest.NewWorld(t, 3)
	w.Seal(t)
	again, err := w.Log.Prove(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := bundle.Encode(again); shown != string(want) {
		t.Errorf("the page shows\n%s\nwant\n%s", shown, want)
	}
}

// The consistency proof that docs/evidence.md shows leads from the page's bundle to the checkpoint
// that the page shows.
func TestThePagesConsistencyProofPasses(t *testing.T) {
	w, all := grown(t, 7)
	c := consistency(t, w, all[3], all[7])
	want, err := bundle.EncodeConsistency(c)
	if err != nil {
		t.Fatal(err)
	}
	note := "    " + strings.TrimSuffix(strings.ReplaceAll(string(all[7].Note), "\n", "\n    "), "    ")
	for _, text := range []string{"```json\n" + string(want) + "```", strings.ReplaceAll(note, "\n    \n", "\n\n")} {
		if !strings.Contains(page(t), text) {
			t.Errorf("the page does not show\n%s", text)
		}
	}
	_, rest, _ := strings.Cut(page(t), "```json\n")
	shown, _, _ := strings.Cut(rest, "```")
	old, later, err := bundle.Ends([2][]byte{[]byte(shown), all[7].Note}, audittest.Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Check(old, later); err != nil {
		t.Error(err)
	}
}

// The key IDs that docs/evidence.md computes are those of the formula.
func TestThePagesKeyIDs(t *testing.T) {
	for _, key := range []string{audittest.Key(t).VerifierKey(audittest.Origin), strings.Replace(audittest.Key(t).VerifierKey("witness.example/w1"), "+AQ", "+BA", 1)} {
		name, rest, _ := strings.Cut(key, "+")
		_, encoded, _ := strings.Cut(rest, "+")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if id := fmt.Sprintf("`%08x`", audittest.KeyHash(name, raw)); !strings.Contains(page(t), "the ID "+id) {
			t.Errorf("the page does not show the ID %s of %s", id, name)
		}
	}
}
