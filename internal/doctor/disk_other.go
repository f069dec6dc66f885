//go:build !linux

package doctor

import (
	"errors"
	"runtime"
)

// MeasureDisk does not know this system.
func MeasureDisk(string) (Disk, error) {
	return Disk{}, errors.New("file systems are not known on " + runtime.GOOS)
}
