package natsserver

import "syscall"

// diskSpaceOf returns how much of a folder's file system is free, and its size.
func diskSpaceOf(folder string) (s diskSpace, known bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(folder, &st) != nil {
		return s, false
	}
	return diskSpace{
		free: int64(st.Bavail) * st.Bsize, total: int64(st.Blocks) * st.Bsize, files: int64(st.Ffree), totalFiles: int64(st.Files),
	}, true
}
