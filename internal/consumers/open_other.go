//go:build !unix

package consumers

const openFlags = 0
