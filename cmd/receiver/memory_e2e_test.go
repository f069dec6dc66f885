//go:build e2e

package main_test

import "testing"

// TestUploadOfOneGiBTakesLittleMemory is TestUploadTakesLittleMemory in full size.
func TestUploadOfOneGiBTakesLittleMemory(t *testing.T) { uploads(t, 1<<30) }
