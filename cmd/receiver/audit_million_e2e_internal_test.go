//go:build e2e

package main

import "testing"

// TestVerifyOfAMillion is TestVerifyOfManyRecords in full size.
func TestVerifyOfAMillion(t *testing.T) { verifyRecords(t, 1_000_000) }
