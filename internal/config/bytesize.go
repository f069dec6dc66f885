package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes, never negative.
type ByteSize int64

var units = []struct {
	name string
	size ByteSize
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// ParseByteSize reads a whole number of bytes such as 1048576, or of KiB, MiB,
// GiB or TiB such as 8MiB; without spaces, signs or fractions.
func ParseByteSize(s string) (ByteSize, error) {
	unit := ByteSize(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || ByteSize(n) > math.MaxInt64/unit {
		return 0, errors.New("not a size in bytes")
	}
	return ByteSize(n) * unit, nil
}

// String writes the size in the largest unit that divides it, as ParseByteSize
// reads it.
func (b ByteSize) String() string {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
