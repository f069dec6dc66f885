package publish

import "syscall"

// spaceOf returns how much of a folder's file system is free, and its size.
func spaceOf(folder string) (s space, known bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(folder, &st) != nil {
		return s, false
	}
	return space{
		free: int64(st.Bavail) * st.Bsize, total: int64(st.Blocks) * st.Bsize, files: int64(st.Ffree), mostFiles: int64(st.Files),
	}, true
}
