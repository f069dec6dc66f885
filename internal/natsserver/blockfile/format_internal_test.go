package blockfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"
)

// The format of a file shows in its first record, however long that is; what follows is not read.
func TestTheFirstRecordTellsTheFormat(t *testing.T) {
	for _, size := range []int{0, 3 << 10, 4 << 10, 5 << 10, 1 << 20} {
		f := Folder{Path: t.TempDir(), Stream: "S"}
		record := withContent(t, f, size)
		for name, tail := range map[string][]byte{"alone": nil, "before rubbish": bytes.Repeat([]byte{0xfe}, 64<<10), "before zeros": make([]byte, 100)} {
			if err := os.WriteFile(f.File(1), append(bytes.Clone(record), tail...), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := f.CheckFormat(1); err != nil {
				t.Errorf("a record of %d bytes %s: %v, want a known format", len(record), name, err)
			}
		}
		for name, cut := range map[string][]byte{"cut": record[:len(record)-1], "of zeros": make([]byte, len(record)), "that is empty": nil} {
			if err := os.WriteFile(f.File(1), cut, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := f.CheckFormat(1); err != nil {
				t.Errorf("a file %s: %v, want what a crash leaves", name, err)
			}
		}
		record[len(record)-1] ^= 1
		if err := os.WriteFile(f.File(1), record, 0o600); err != nil {
			t.Fatal(err)
		}
		if unknown := (*UnknownFormatError)(nil); !errors.As(f.CheckFormat(1), &unknown) || unknown.File != f.File(1) {
			t.Errorf("a record of %d bytes with another checksum: %v, want an unknown format", len(record), unknown)
		}
	}
}

// withContent makes a sound record with so many bytes of data.
func withContent(t *testing.T, f Folder, size int) []byte {
	t.Helper()
	b, err := f.block(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	record := make([]byte, blockHead, blockHead+size+blockChecksum)
	binary.LittleEndian.PutUint32(record, uint32(cap(record)))
	binary.LittleEndian.PutUint64(record[4:], 1)
	binary.LittleEndian.PutUint64(record[12:], uint64(time.Now().UnixNano()))
	record = append(record, bytes.Repeat([]byte{'a'}, size)...)
	b.hash.Write(record[4:20])
	b.hash.Write(record[blockHead:])
	return b.hash.Sum(record)
}
