//go:build !linux

package publish

import "os"

// stillOpen is not known.
func stillOpen(string, os.FileInfo) bool { return false }
