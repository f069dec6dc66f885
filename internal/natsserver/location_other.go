//go:build !linux

package natsserver

import "os"

// hold opens nothing: on Windows the server could not remove an open file.
func hold(string) (*os.File, error) { return nil, nil }

// replaced is not known.
func replaced(*os.File) bool { return false }
