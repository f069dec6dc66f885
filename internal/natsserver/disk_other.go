//go:build !linux

package natsserver

// diskSpaceOf knows nothing here; a store that has failed is restarted until it takes writes.
func diskSpaceOf(string) (diskSpace, bool) { return diskSpace{}, false }
