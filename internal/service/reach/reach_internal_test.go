package reach

import "testing"

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		":8081": "127.0.0.1:8081", "0.0.0.0:8081": "127.0.0.1:8081", "[::]:8081": "[::1]:8081",
		"127.0.0.1:8081": "127.0.0.1:8081", "10.0.0.7:8081": "10.0.0.7:8081", "ops.example.com:8081": "ops.example.com:8081",
	} {
		if got := reachable(address); got != want {
			t.Errorf("reachable(%q) = %q, want %q", address, got, want)
		}
	}
}
