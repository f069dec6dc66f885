package web

import "syscall"

// lend returns memory of the system, of which nothing is used before it is written to.
func lend(n int64) ([]byte, error) {
	m, err := syscall.Mmap(-1, 0, int(n), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err == nil {
		// A huge page would be used whole for its first byte. Kernels without them refuse.
		_ = syscall.Madvise(m, syscall.MADV_NOHUGEPAGE)
	}
	return m, err
}

// unlend gives lent memory back.
func unlend(m []byte) { _ = syscall.Munmap(m) } // it fails for what was not lent only
