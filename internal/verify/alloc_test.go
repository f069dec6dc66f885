//go:build !race

package verify_test

import "testing"

// Left out of race builds, in which sync.Pool drops values at random.
func TestVerifyDoesNotAllocate(t *testing.T) {
	body := []byte(`{"id":"1","status":"COMPLETED"}`)
	v := newVerifier(t, newKey(t, "k", "secret"))
	values := []string{sign("secret", body)}
	if got := testing.AllocsPerRun(200, func() { v.Verify(values, body) }); got != 0 {
		t.Errorf("Verify allocates %v times, want 0", got)
	}
}
