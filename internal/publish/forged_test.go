package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// smuggled creates a folder with four attempts. The body of the second contains a whole forged
// record, under the sequence of the second.
func smuggled(t *testing.T) (folder, path string, records [][]byte) {
	t.Helper()
	record := func(folder string, bodies ...[]byte) {
		s := natstest.Start(t, folder)
		defer s.Stop()
		b := natstest.Open(t, s)
		defer func() { _ = b.Close(context.Background()) }()
		for _, body := range bodies {
			a := job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Received: time.Now()}, Body: body, Size: int64(len(body))}
			if err := b.Record(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	folder, _, path = stored(t)
	forged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	forged = forged[:recordLength(forged)]
	binary.LittleEndian.PutUint64(forged[4:], 5)
	forged[12]++
	key := sha256.Sum256([]byte("ATTEMPTS-1"))
	seal(t, key[:], forged)
	body := bytes.Join([][]byte{bytes.Repeat([]byte("x"), 100), forged, bytes.Repeat([]byte("y"), 100)}, nil)
	record(folder, []byte("{}"), body, []byte("{}"), []byte("{}"))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(data) > 0; data = data[recordLength(data):] {
		records = append(records, data[:recordLength(data)])
	}
	return folder, path, records
}

// attempts returns the sequences of ATTEMPTS.
func attempts(t *testing.T, s *natsserver.Server) (left []uint64) {
	t.Helper()
	b := natstest.OpenWith(t, s, conn.Options{ReadOnly: true})
	if err := b.Range(t.Context(), conn.AttemptsStream, 1, 100, func(m publish.Message) error { left = append(left, m.Sequence); return nil }); err != nil {
		t.Fatal(err)
	}
	return left
}

// The sender of a refused callback chooses its body, and knows how the server computes checksums.
func TestNoBodyBecomesARecord(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		change  func(records [][]byte) [][]byte
		refused bool // by Start
		left    string
	}{
		{"nothing", func(r [][]byte) [][]byte { return r }, false, "[1 2 3 4 5 6 7]"},
		{"torn behind the forged one", func(r [][]byte) [][]byte { r[4] = r[4][:len(r[4])-50]; return r[:5] }, false, "[1 2 3 4]"},
		{"damaged", func(r [][]byte) [][]byte { r[4][80] ^= 1; return r }, true, "[1 2 3 4 6 7]"},
		{"damaged at the end", func(r [][]byte) [][]byte { r[4][80] ^= 1; return r[:5] }, false, "[1 2 3 4]"},
		{"a longer length", func(r [][]byte) [][]byte { r[4][1] ^= 0x80; return r }, true, "[1 2 3 4 6 7]"},
		{"a length by much", func(r [][]byte) [][]byte { r[4][2] ^= 0x80; return r }, true, "[1 2 3 4 6 7]"},
		{"a length of nothing", func(r [][]byte) [][]byte { r[4][0], r[4][1] = 0, 0; return r }, true, "[1 2 3 4 6 7]"},
		{"a length longer by a byte", func(r [][]byte) [][]byte { r[4][0]++; return r }, true, "[1 2 3 4 6 7]"},
		{"the length of the subject", func(r [][]byte) [][]byte { r[4][21] ^= 0x40; return r }, true, "[1 2 3 4 6 7]"},
		{"the sequence", func(r [][]byte) [][]byte { r[4][10] ^= 1; return r }, true, "[1 2 3 4 6 7]"},
		{"damaged, and the one before", func(r [][]byte) [][]byte { r[3][80] ^= 1; r[4][80] ^= 1; return r }, true, "[1 2 3 6 7]"},
		{"damaged, and the one behind", func(r [][]byte) [][]byte { r[4][80] ^= 1; r[5][80] ^= 1; return r }, true, "[1 2 3 4 7]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			folder, path, records := smuggled(t)
			natstest.WriteLater(t, path, bytes.Join(row.change(records), nil))
			natstest.ForgetStop(t, folder)
			copied, err := natsserver.Inspect(folder, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			defer copied.Stop()
			if got := fmt.Sprint(attempts(t, copied)); got != row.left {
				t.Errorf("in the copy %s are left, want %s; damage: %q", got, row.left, copied.Damage())
			}
			s, err := natsserver.Start(natstest.Embedded(folder))
			if (err != nil) != row.refused {
				t.Fatalf("Start = %v, want it refused: %v", err, row.refused)
			}
			if row.refused {
				if done, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, job.Action{What: job.ActionMend}); err != nil || len(done.LeftOut) != 1 {
					t.Errorf("Mend = %v, %v, want one place", done, err)
				}
				s = natstest.Start(t, folder)
			}
			defer s.Stop()
			if got := fmt.Sprint(attempts(t, s)); got != row.left {
				t.Errorf("%s are left, want %s", got, row.left)
			}
		})
	}
}
