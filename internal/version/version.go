// Package version says which version of the program this is.
package version

import (
	"cmp"
	"runtime/debug"
)

// The linker sets these in a release: -ldflags "-X receiver/internal/version.version=v1.2.3 …".
var version, commit, date string

// Read returns the values of the linker, and otherwise those that the Go toolchain recorded.
func Read() (program, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return cmp.Or(version, info.Main.Version, "unknown"), cmp.Or(commit, setting(info, "vcs.revision"), "unknown")
}

// Date returns when the commit was made, as RFC 3339; "unknown" if it is not recorded.
func Date() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return cmp.Or(date, setting(info, "vcs.time"), "unknown")
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
