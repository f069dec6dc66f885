//go:build !linux

package publish

import "errors"

// memoryFor knows of no file system in memory.
func memoryFor(string) string { return "" }

func own(string) error { return errors.ErrUnsupported }
