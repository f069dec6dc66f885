package config

import "fmt"

// A signature key under leastKey bytes, as they are used, is refused, and one under safeKey is
// warned of. Tests of other things have short keys, and lower both.
var leastKey, safeKey = 8, 16

// byteCount is a length in words; this package imports none that has them.
func byteCount(n int) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func (l *loader) checkKey(path string, key Secret, used map[string]string) {
	value := key.Reveal()
	if Usable(key) != nil {
		return
	}
	if value == "" {
		l.fault(path, "is empty", secretAllowed)
		return
	}
	switch n := len(value); {
	case n < leastKey:
		l.fault(path, fmt.Sprintf("has only %s: anyone with one signed callback can guess it", byteCount(n)),
			fmt.Sprintf("a key of at least %d bytes, better %d or more: make one with `openssl rand -hex 32`, and change it here and at the platform, as described in docs/keys.md", leastKey, safeKey))
	case n < safeKey:
		l.warn(path, fmt.Sprintf("the key has %d bytes, and anyone with one signed callback can guess it: replace it by a key of %d bytes or more, as described in docs/keys.md",
			n, safeKey))
	}
	if len(value) > maxPlatformKey {
		l.warn(path, fmt.Sprintf("the key has %d bytes, but the platform stores at most %d", len(value), maxPlatformKey))
	}
	if first, shared := used[value]; shared {
		l.warn(path, fmt.Sprintf("is the same key as %s (%s)", first, key.Fingerprint()))
		return
	}
	used[value] = path
}
