package blockfile

import "strings"

// headerLine opens a block of headers; a status may follow it, which no stored message has.
const headerLine = "NATS/1.0"

// appendLines appends the headers of a block, as nats.go reads them, in their order. It reports
// false for a block that nats.go must read: a malformed one, or one with a status.
func appendLines(dst [][2]string, block string) ([][2]string, bool) {
	first, rest, ok := strings.Cut(block, "\n")
	if !ok || strings.TrimSuffix(first, "\r") != headerLine {
		return dst, false
	}
	for {
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			return dst, false
		}
		line := strings.TrimSuffix(rest[:end], "\r")
		rest = rest[end+1:]
		if line == "" { // bytes behind it are ignored
			return dst, true
		}
		colon := strings.IndexByte(line, ':')
		if colon < 0 {
			return dst, false
		}
		value := line[colon+1:]
		for value != "" && (value[0] == ' ' || value[0] == '\t') {
			value = value[1:]
		}
		if colon > 0 {
			dst = append(dst, [2]string{line[:colon], value})
		}
	}
}
