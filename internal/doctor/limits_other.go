//go:build !unix

package doctor

import (
	"errors"
	"runtime"
)

// MaxFiles is not known here.
func MaxFiles() (uint64, error) {
	return 0, errors.New("there is no limit of open files on " + runtime.GOOS)
}
