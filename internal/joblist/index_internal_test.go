package joblist

import (
	"fmt"
	"testing"
)

// Jobs are distinguished whether their hashes differ or not, also if others are left out.
func TestAnIndexTellsJobsApart(t *testing.T) {
	for name, hash := range map[string]func(key) uint32{
		"hashes as they are":    newIndex().hash,
		"one hash for all":      func(key) uint32 { return 7 },
		"a few hashes":          func(k key) uint32 { return uint32(len(k.id)) },
		"one hash for a source": func(k key) uint32 { return k.source },
	} {
		t.Run(name, func(t *testing.T) {
			x := newIndex()
			x.hash = hash
			var records []row
			at := func(position int) row { return records[position] }
			for i := range 200 {
				k := key{uint32(i % 3), fmt.Sprint(i / 3)}
				if position, there := x.find(k, at); there {
					t.Fatalf("%v is at %d before it was put there", k, position)
				}
				records = append(records, row{&record{source: k.source}, []byte(k.id)})
				x.put(k, uint32(i))
			}
			for left := range 200 {
				for i, r := range records {
					position, there := x.find(r.key(), at)
					if there != (i >= left) || there && position != uint32(i) {
						t.Fatalf("with %d left out, job %d is at %d, %v", left, i, position, there)
					}
				}
				x.remove(records[left].key(), uint32(left))
			}
			if len(x.hashes)+len(x.others) != 0 {
				t.Errorf("%d are still in it, want none", len(x.hashes)+len(x.others))
			}
		})
	}
}
