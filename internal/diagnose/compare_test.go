package diagnose_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"receiver/internal/diagnose"
)

// Each proof says how what came becomes what was signed, and shows no key.
func TestAProofIsShownAsAComparison(t *testing.T) {
	for _, tt := range rows() {
		f := explain(t, tt)[0]
		if f.Compared == nil {
			if tt.proved && tt.code != "accepted" {
				t.Errorf("%s: proved without a comparison", tt.name)
			}
			continue
		}
		c := f.Compared
		if !tt.proved {
			t.Errorf("%s: compared without a proof: %+v", tt.name, c)
		}
		var codes []string
		ofBody := false
		for _, d := range c.Differences {
			codes, ofBody = append(codes, d.Code), ofBody || d.Of == "body"
			if !strings.HasPrefix(d.Code, d.Of+"_") || !strings.Contains(strings.ToLower(f.Text), strings.ToLower(d.Text)) {
				t.Errorf("%s: difference %+v of %q", tt.name, d, f.Text)
			}
		}
		if strings.Join(codes, "+") != f.Code {
			t.Errorf("%s: differences %v of %s", tt.name, codes, f.Code)
		}
		if ofBody != (len(c.Regions) > 0) || c.Came.Size != len(tt.body) {
			t.Errorf("%s: %d regions, %d bytes came, want those of %s", tt.name, len(c.Regions), c.Came.Size, f.Code)
		}
		if signed, whole := applied(t, []byte(tt.body), c); whole && sum(signed) != c.Signed.SHA256 {
			t.Errorf("%s: the regions make %q, which was not signed: %+v", tt.name, signed, c.Regions)
		}
		text, err := json.Marshal(c)
		if err != nil || strings.Contains(string(text), tt.key) || strings.Contains(string(text), theirs) {
			t.Errorf("%s: the comparison shows a key: %s, %v", tt.name, text, err)
		}
	}
}

// applied puts what was signed in place of what came; false if not all of it is shown.
func applied(t *testing.T, came []byte, c *diagnose.Comparison) (signed []byte, whole bool) {
	t.Helper()
	at := 0
	for _, r := range c.Regions {
		if r.Size != len(r.Came) || r.SignedSize != len(r.Signed) || c.More {
			return nil, false
		}
		signed = append(signed, came[at:r.At]...)
		if len(signed) != r.SignedAt || !bytes.HasSuffix(signed, r.Before) || !bytes.HasPrefix(came[r.At:], r.Came) || !bytes.HasPrefix(came[r.At+r.Size:], r.After) {
			t.Errorf("region %+v does not stand where it says", r)
		}
		signed, at = append(signed, r.Signed...), r.At+r.Size
	}
	return append(signed, came[at:]...), true
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// A comparison is small, however large and different the bodies are.
func TestAComparisonIsBounded(t *testing.T) {
	signed := []byte(strings.Repeat("a line\n", 10_000))
	came := bytes.ReplaceAll(signed, []byte("\n"), []byte("\r\n"))
	for name, other := range map[string][]byte{"many small differences": signed, "one large one": bytes.Repeat([]byte("x"), 100_000)} {
		e := diagnose.Earlier{Label: "one before", Values: []string{signature(ours, string(other))}, Body: other}
		f := diagnose.Explain(diagnose.Question{
			Values: e.Values, Body: came, Keys: []diagnose.Candidate{diagnose.NewCandidate("", "k", []byte(ours))}, Earlier: []diagnose.Earlier{e},
		})[0]
		text, err := json.Marshal(f)
		if err != nil || f.Compared == nil || len(text) > 8<<10 {
			t.Fatalf("%s: %d bytes, %v, compared %v", name, len(text), err, f.Compared != nil)
		}
		if c := f.Compared; c.More != (name == "many small differences") || c.Regions[0].Size == 0 {
			t.Errorf("%s: more %v, first region %+v", name, c.More, c.Regions[0])
		}
	}
}
