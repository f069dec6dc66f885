//go:build !linux

package natsserver

import "errors"

// memoryFor knows of no file system in memory.
func memoryFor(string) string { return "" }

func own(string) error { return errors.ErrUnsupported }
