//go:build unix

package consumers

import "syscall"

// openFlags refuse a symbolic link, and open a pipe at once.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
