package doctor

import (
	"fmt"
	"syscall"
)

// Magic numbers of statfs(2).
var kinds = map[int64]string{
	0x01021994: inMemory, 0x858458f6: inMemory, // tmpfs, ramfs
	0x6969: onNetwork, 0x517b: onNetwork, 0xff534d42: onNetwork, 0xfe534d42: onNetwork, // NFS, SMB, CIFS, SMB2
	0x794c7630: inLayer, // overlayfs
}

// MeasureDisk looks at the file system that a folder is on.
func MeasureDisk(folder string) (Disk, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return Disk{}, fmt.Errorf("reading the file system of %s: %w", folder, err)
	}
	return Disk{Folder: folder, Free: int64(s.Bavail) * int64(s.Bsize), Kind: kinds[int64(s.Type)&0xffffffff]}, nil //nolint:unconvert // the types differ by architecture
}
