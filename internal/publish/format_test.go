package publish_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/natstest"
)

// A file that may be sound in another format is not damaged: no server opens the store or a copy of
// it, and nothing is left out, in any file, whether the last server stopped or was killed.
func TestAnUnknownFormatIsNotMended(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, found string
		change      func(t *testing.T, file []byte) []byte
	}{
		{"a magic number and a version", "16 03", func(_ *testing.T, b []byte) []byte { return append([]byte{22, 3}, b...) }},
		{"four bytes", "do not begin", func(_ *testing.T, b []byte) []byte { return append([]byte{1, 0, 0, 0}, b...) }},
		{"a head as long as a record", "do not begin", func(_ *testing.T, b []byte) []byte {
			return append(bytes.Repeat([]byte("BLOCK/2 "), 80), b...)
		}},
		{"another compression", "method 2", func(_ *testing.T, b []byte) []byte { return append([]byte("cmp\x02"), b...) }},
		{"S2 that is damaged", "S2", func(t *testing.T, b []byte) []byte {
			b = packS2(t, b)
			b[len(b)/2] ^= 1
			return b
		}},
		{"S2 of another format", "S2", func(t *testing.T, b []byte) []byte { return packS2(t, append([]byte{22, 3}, b...)) }},
		{"other checksums", "checksum", otherChecksums},
		{"other bytes altogether", "do not begin", func(_ *testing.T, b []byte) []byte {
			sum := sha256.Sum256(b)
			return bytes.Repeat(sum[:], 1+len(b)/len(sum))
		}},
	} {
		for place, events := range []int{3, 3, 3, 1} { // the first, the middle, the last, the only one
			for _, killed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s in file %d of %d, killed %v", row.name, place%3+1, events, killed), func(t *testing.T) {
					t.Parallel()
					folder, files := spread(t, events)
					files.write(t, folder)
					path := filepath.Join(messages(folder), fmt.Sprintf("%d.blk", place%3+1))
					whole, err := os.ReadFile(path)
					natstest.Must(t, err)
					natstest.Must(t, os.WriteFile(path, row.change(t, whole), 0o600))
					if killed {
						natstest.Must(t, os.Rename(filepath.Join(folder, "receiver.stopped"), filepath.Join(folder, "receiver.running")))
					}
					refused(t, folder, path, row.found)
				})
			}
		}
	}
}

// A store that nats-server itself has encrypted is refused, too, and so is one that is encrypted
// file by file.
func TestAnEncryptedStoreIsNotMended(t *testing.T) {
	t.Parallel()
	folder, _, _ := stored(t)
	encrypt(t, folder)
	refused(t, folder, "streams/", "encrypted")
	for _, stream := range []string{"JOBS", "ATTEMPTS", "ACTIONS", "CHECKPOINTS", "WATCH", "SUBMISSIONS", "REPLAYS", "SINKS"} {
		if err := os.Remove(filepath.Join(folder, "jetstream", "RECEIVER", "streams", stream, server.JetStreamMetaFileKey)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	refused(t, folder, "1.blk", "1.key")
}

// If a newer nats-server has written the store, damage is not told from its format. Without any
// damage the store is opened, and the note of the newer version stays.
func TestDamageAfterANewerServerIsNotMended(t *testing.T) {
	t.Parallel()
	folder, jobs, _ := stored(t)
	note := filepath.Join(folder, "receiver.stopped")
	text, err := os.ReadFile(note)
	natstest.Must(t, err)
	newer := bytes.Replace(text, []byte(`"server":"`+natsserver.EmbeddedVersion), []byte(`"server":"99.1.0`), 1)
	if bytes.Equal(newer, text) {
		t.Fatalf("the note does not name the server: %.80s", text)
	}
	natstest.Must(t, os.WriteFile(note, newer, 0o600))
	natstest.Start(t, folder).Stop()
	whole, err := os.ReadFile(jobs)
	natstest.Must(t, err)
	natstest.WriteLater(t, jobs, flip(80)(bytes.Clone(whole), recordLength(whole)))
	refused(t, folder, "bytes ", "nats-server 99.1.0")
}

// refused expects that the store is refused everywhere, with these words and this program's version
// of the server, and that nothing changes.
func refused(t *testing.T, folder string, words ...string) {
	t.Helper()
	before := treeOf(t, folder)
	for name, try := range map[string]func() error{
		"Start": func() error {
			s, err := natsserver.Start(natstest.Embedded(folder))
			if err == nil {
				s.Stop()
			}
			return err
		},
		"Inspect": func() error {
			s, err := natsserver.Inspect(folder, zerolog.Nop())
			if err == nil {
				s.Stop()
			}
			return err
		},
		"Mend": func() error {
			_, err := storefolder.Mend(natstest.Embedded(folder).Store(), false, job.Action{})
			return err
		},
		"Mend with the loss accepted": func() error {
			_, err := storefolder.Mend(natstest.Embedded(folder).Store(), true, job.Action{})
			return err
		},
	} {
		err := try()
		if !errors.Is(err, storefolder.ErrUnknownFormat) {
			t.Errorf("%s = %v, want ErrUnknownFormat", name, err)
			continue
		}
		for _, word := range append(words, "this program has nats-server "+natsserver.EmbeddedVersion) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s = %v, want it to say %q", name, err, word)
			}
		}
		if after := treeOf(t, folder); after != before {
			t.Fatalf("%s changed the folder from\n%s\nto\n%s", name, before, after)
		}
	}
}

// treeOf lists the files of a folder with their digests; the lock is none of them.
func treeOf(t *testing.T, folder string) string {
	t.Helper()
	var list strings.Builder
	natstest.Must(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !d.Type().IsRegular() || d.Name() == "receiver.lock" {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&list, "%s %x\n", path, sha256.Sum256(data))
		return err
	}))
	return list.String()
}

func otherChecksums(_ *testing.T, file []byte) []byte {
	for at := 0; at < len(file); at += recordLength(file[at:]) {
		file[at+recordLength(file[at:])-1] ^= 1
	}
	return file
}

func packS2(t *testing.T, file []byte) []byte {
	t.Helper()
	info := &server.CompressionInfo{Algorithm: server.S2Compression, OriginalSize: uint64(len(file))}
	packed, err := server.S2Compression.Compress(file)
	natstest.Must(t, err)
	return append(info.MarshalMetadata(), packed...)
}

// encrypt runs a nats-server on the store that has a key of its own.
func encrypt(t *testing.T, folder string) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "server.conf")
	natstest.Must(t, os.WriteFile(config, fmt.Appendf(nil, "listen: 127.0.0.1:-1\njetstream { store_dir: %q, key: a-key-of-the-server }\naccounts { RECEIVER { jetstream: enabled, users: [{user: a, password: b}] } }\n", folder), 0o600))
	opts, err := server.ProcessConfigFile(config)
	natstest.Must(t, err)
	opts.NoLog, opts.NoSigs = true, true
	ns, err := server.NewServer(opts)
	natstest.Must(t, err)
	ns.Start()
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	ns.Shutdown()
	ns.WaitForShutdown()
}
