//go:build browser

package checkpage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
)

// awkward is a record whose strings are hard to write as JSON.
func awkward(r *audit.Record) {
	r.Header = map[string][]string{
		"plain":       {"a", "", "b"},
		"none":        {},
		"<&>\u2028\"": {"\x00\x1f\x7f\t\\"},
		"latin \xe9":  {"\xff", "caf\u00e9", "\ufffd"},
	}
	r.Data = []byte{0, 0xff, '\r', '\n'}
}

// sealed returns a bundle of these records of a sealed log of n, after the changes.
func sealed(t *testing.T, n int, change map[uint64]func(*audit.Record), seqs ...uint64) []byte {
	t.Helper()
	w := audittest.NewWorld(t, n)
	for seq, f := range change {
		w.Stream.Change(seq, f)
	}
	w.Seal(t)
	b, err := w.Log.Prove(t.Context(), seqs...)
	if err != nil {
		t.Fatal(err)
	}
	return encoded(t, b)
}

// countless returns a bundle whose proof leads from its record to the root of a tree of so many
// leaves, the first of which is the record.
func countless(t *testing.T, leaves uint64) []byte {
	t.Helper()
	b := audit.Bundle{First: 1, Entries: []audit.Entry{{Record: audittest.Record(1)}}}
	node, err := b.Entries[0].LeafHash()
	if err != nil {
		t.Fatal(err)
	}
	for last := leaves - 1; last > 0; last >>= 1 {
		sibling := tlog.RecordHash([]byte{byte(last)})
		b.Entries[0].Proof, node = append(b.Entries[0].Proof, sibling), tlog.NodeHash(node, sibling)
	}
	b.Checkpoint = audittest.SignedNote(t, fmt.Sprintf("%s\n%d\n%s\n", audittest.Origin, leaves, node), audittest.Signer(t))
	return encoded(t, b)
}

func encoded(t *testing.T, b audit.Bundle) []byte {
	t.Helper()
	data, err := bundle.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func logKey(t *testing.T) string {
	t.Helper()
	return audittest.Key(t).VerifierKey(audittest.Origin)
}

var platformKey = file{"platform.key", []byte(audittest.PlatformKey)}

// Of bundles that were changed anywhere, the page says what the command says.
func TestThePageAgreesOnMutations(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	good := sealed(t, 300, map[uint64]func(*audit.Record){270: awkward}, 3, 270)
	var small bytes.Buffer
	if err := json.Compact(&small, sealed(t, 5, map[uint64]func(*audit.Record){2: awkward}, 1, 2)); err != nil {
		t.Fatal(err)
	}
	tokens := []string{`{`, `}`, `[`, `]`, `,`, `:`, `"`, `\`, `\u`, `null`, `true`, `1`, `-`, `0`, `e9`, `.`, " ", "\n", "\xff", "—", `""`, `{"base64":"AA=="}`, "=", "\\n", "\\ud800"}
	var checks []check
	for i := range 700 {
		bad := bytes.Clone([][]byte{good, small.Bytes()}[i%2])
		for range 1 + i%3/2 {
			at := random.IntN(len(bad))
			end := min(len(bad), at+1+random.IntN(12))
			switch random.IntN(6) {
			case 0:
				bad[at] ^= 1 << random.IntN(8)
			case 1:
				bad = append(bad[:at:at], bad[end:]...)
			case 2:
				bad = append(bad[:end:end], bad[at:]...)
			case 3:
				bad = append(bad[:at:at], append([]byte(tokens[random.IntN(len(tokens))]), bad[at:]...)...)
			case 4:
				bad = append(bad[:at:at], append([]byte(tokens[random.IntN(len(tokens))]), bad[end:]...)...)
			case 5:
				bad = bad[:at]
			}
		}
		checks = append(checks, check{name: fmt.Sprintf("mutation %d: %s", i, bad), Bundle: bad, LogKeys: []string{logKey(t)}, SignatureKeys: []file{platformKey}})
	}
	refused := 0
	for _, a := range agree(t, checks) {
		if a.Code == 1 {
			refused++
		}
	}
	if refused < 600 {
		t.Errorf("%d of %d mutations were refused: the test changes too little", refused, len(checks))
	}
}
