package publish_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// stored creates a folder with three events and three attempts, and returns the files of their
// messages.
func stored(t *testing.T) (folder, jobs, attempts string) {
	t.Helper()
	folder = t.TempDir()
	s, err := natsserver.Start(natstest.Embedded(folder))
	if err != nil {
		t.Fatal(err)
	}
	b, err := publish.Open(t.Context(), s, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, fmt.Sprint(i), "COMPLETED")); err != nil {
			t.Fatal(err)
		}
		a := job.Attempt{Source: "demo", Verdict: "missing", Receipt: job.Receipt{Received: time.Now()}, Body: []byte("{}"), Size: 2}
		if err := b.Record(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	streams := filepath.Join(folder, "jetstream", "RECEIVER", "streams")
	return folder, filepath.Join(streams, "JOBS", "msgs", "1.blk"), filepath.Join(streams, "ATTEMPTS", "msgs", "1.blk")
}

// inspect returns the damage in a folder, and the remaining sequences of JOBS.
func inspect(t *testing.T, folder string) (damage []string, left []uint64) {
	t.Helper()
	s, err := natsserver.Inspect(folder, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	b := natstest.OpenWith(t, s, conn.Options{ReadOnly: true})
	err = b.Range(t.Context(), conn.JobsStream, 1, 10, func(m publish.Message) error {
		left = append(left, m.Sequence)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Damage(), left
}

// This test fails when nats-server changes the format of its files: change
// internal/natsserver/blockfile then.
func TestFilesOfTheServerHaveNoDamage(t *testing.T) {
	t.Parallel()
	folder, _, _ := stored(t)
	if damage, left := inspect(t, folder); len(damage) != 0 || len(left) != 3 {
		t.Errorf("damage %q, sequences %v, want none and 3", damage, left)
	}
}

func TestDamagedMessagesAreNamedAndLeftOut(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(file []byte, second int) []byte // second is where the second message begins
		want   string                               // in one line of damage; empty if the server must find it
		left   string
	}{
		{"length", flip(0), "after sequence 1: no message with a correct checksum", "[1 3]"},
		{"flag for headers", flip(3), "after sequence 1", "[1 3]"},
		{"sequence", flip(4), "after sequence 1", "[1 3]"},
		{"sequence, by billions", flip(8), "after sequence 1", "[1 3]"},
		{"erased flag", flip(11), "after sequence 1", "[1 3]"},
		{"time", flip(12), "after sequence 1", "[1 3]"},
		{"length of the subject", flip(20), "after sequence 1", "[1 3]"},
		{"subject", flip(22), "after sequence 1", "[1 3]"},
		{"length of the headers", flip(22 + len("jobs.demo.1.finished")), "after sequence 1", "[1 3]"},
		{"length of the headers, by much", flip(25 + len("jobs.demo.1.finished")), "after sequence 1", "[1 3]"},
		{"a header", flip(80), "after sequence 1", "[1 3]"},
		{"checksum", func(b []byte, second int) []byte {
			length := recordLength(b[second:])
			b[second+length-1] ^= 1
			return b
		}, "after sequence 1", "[1 3]"},
		{"cut short", func(b []byte, second int) []byte { return b[:second+100] }, "after sequence 1", "[1]"},
		{"cut between two", func(b []byte, second int) []byte { return b[:second] }, "", "[1]"},
		{"rubbish at the end", func(b []byte, _ int) []byte { return append(b, "rubbish"...) }, "after sequence 3", "[1 2 3]"},
		{"rubbish between two", func(b []byte, second int) []byte {
			return bytes.Join([][]byte{b[:second], []byte(strings.Repeat("rubbish", 9)), b[second:]}, nil)
		}, "after sequence 1", "[1 2 3]"},
		{"the first", func(b []byte, _ int) []byte { b[30] ^= 1; return b }, "bytes 0 to", "[2 3]"},
		{"all", func(b []byte, _ int) []byte { return make([]byte, len(b)) }, "bytes 0 to", "[]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			folder, jobs, _ := stored(t)
			file, err := os.ReadFile(jobs)
			if err != nil {
				t.Fatal(err)
			}
			second := recordLength(file)
			if err := os.WriteFile(jobs, row.change(file, second), 0o600); err != nil {
				t.Fatal(err)
			}
			damage, left := inspect(t, folder)
			got := strings.Join(damage, "\n")
			if row.want == "" && got != "" || row.want != "" && (len(damage) != 1 || !strings.HasPrefix(got, "JOBS: msgs/1.blk, ") || !strings.Contains(got, row.want)) {
				t.Errorf("damage %q, want one place with %q", damage, row.want)
			}
			if fmt.Sprint(left) != row.left {
				t.Errorf("sequences %v are left, want %s", left, row.left)
			}
		})
	}
}

func flip(offset int) func([]byte, int) []byte {
	return func(b []byte, second int) []byte {
		b[second+offset] ^= 1
		return b
	}
}

func TestDamageIsFoundInEveryStreamOfTheEvidence(t *testing.T) {
	t.Parallel()
	folder, _, attempts := stored(t)
	file, err := os.ReadFile(attempts)
	if err != nil {
		t.Fatal(err)
	}
	file[len(file)-20] ^= 1
	if err := os.WriteFile(attempts, file, 0o600); err != nil {
		t.Fatal(err)
	}
	damage, left := inspect(t, folder)
	if len(damage) != 1 || !strings.HasPrefix(damage[0], "ATTEMPTS: msgs/1.blk, ") || len(left) != 3 {
		t.Errorf("damage %q and events %v, want one place in ATTEMPTS and all 3 events", damage, left)
	}
}

// recordLength returns the length of the record that a block file begins with.
func recordLength(file []byte) int {
	return int(binary.LittleEndian.Uint32(file) &^ (1 << 31))
}
