package verify_test

import (
	"testing"

	"receiver/internal/growth"
	"receiver/internal/verify"
)

// The work for a forged request is linear in its header and body.
func TestVerifyGrowsWithItsInput(t *testing.T) {
	key, err := verify.NewKey("one", []byte("the-key-of-the-growth-test"), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	shapes := growth.Bytes()
	shapes["sha256= and a run"] = growth.Around("sha256=", "A", "=")
	shapes["schemes"] = growth.Repeat("sha256=,sha1=,")
	growth.Linear(t, 16<<10, shapes, func(s string) {
		v.Verify([]string{s}, []byte(s))
		v.Verify([]string{s, s}, nil)
	})
}
