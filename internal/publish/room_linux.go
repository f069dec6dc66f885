package publish

import "syscall"

// freeSpace returns how much of a folder's file system is free, and its size, in bytes.
func freeSpace(folder string) (free, total int64, known bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(folder, &st) != nil {
		return 0, 0, false
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, true
}
