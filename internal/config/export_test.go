package config

import "testing"

// The keys in tables of other things are short.
func init() { leastKey, safeKey = 1, 1 }

// KeyLengths makes a test have the lengths of keys that users have.
func KeyLengths(t *testing.T) {
	t.Helper()
	least, safe := leastKey, safeKey
	leastKey, safeKey = 8, 16
	t.Cleanup(func() { leastKey, safeKey = least, safe })
}
