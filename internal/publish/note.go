package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// stopFile is written after each clean stop and says what the files were like: those
	// that are older were whole then. An earlier version left it empty.
	stopFile = "receiver.stopped"
	// runFile is there from the start of a server until its clean stop, and says what the
	// streams held when it had started.
	runFile = "receiver.running"

	indexFile = "index.db"
	// mostEnd is how much of each end of a block file a note remembers the digest of.
	mostEnd = 4 << 10
)

// storeNote is what is noted of the streams of a store, to hold them against at a start.
type storeNote struct {
	Time    time.Time             `json:"time"`
	Streams map[string]streamNote `json:"streams"`
}

// streamNote is what is noted of one stream.
type streamNote struct {
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Messages uint64 `json:"messages"`
	streamLimits
	// Meta and Index are digests of the stream's configuration and of the server's index.
	Meta  string     `json:"meta"`
	Index string     `json:"index"`
	Files []fileNote `json:"files"`
}

// streamLimits are what may remove the oldest messages of a stream.
type streamLimits struct {
	MaxAge   time.Duration `json:"max_age"`
	MaxBytes int64         `json:"max_bytes"`
	MaxMsgs  int64         `json:"max_msgs"`
}

// fileNote is what is noted of one block file.
type fileNote struct {
	Index uint32 `json:"index"`
	Size  int64  `json:"size"`
	// First and Time are of its first message; zero if there is none.
	First uint64    `json:"first"`
	Time  time.Time `json:"first_time"`
	// Ends is the digest of its first and its last bytes.
	Ends string `json:"ends"`
}

func (n fileNote) name() string { return fmt.Sprintf("msgs/%d.blk", n.Index) }

// deleted is how many sequences between the first and the last have no message.
func (s streamNote) deleted() uint64 {
	if s.Messages == 0 {
		return 0
	}
	return s.Last - s.First + 1 - min(s.Messages, s.Last-s.First+1)
}

// ends returns the last sequence that each noted file holds.
func (s streamNote) ends() []uint64 {
	ends, next := make([]uint64, len(s.Files)), s.Last+1
	for i, f := range slices.Backward(s.Files) {
		ends[i] = next - 1
		if f.First > 0 {
			next = f.First
		}
	}
	return ends
}

// streamsFolder is where the server keeps the streams of ours.
func streamsFolder(folder string) string {
	return filepath.Join(folder, "jetstream", ownerAccount, "streams")
}

// streamNames returns the streams that have a folder there.
func streamNames(folder string) ([]string, error) {
	entries, err := os.ReadDir(streamsFolder(folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") { // of a stream that is being removed
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// states returns what the running server says of our streams on disk.
func states(ns *server.Server) (map[string]server.StreamState, error) {
	if !ns.JetStreamEnabled() {
		return nil, errors.New("the embedded NATS server has turned JetStream off")
	}
	all := map[string]server.StreamState{}
	for name, d := range streamsOf(ns) {
		if d.Config == nil || d.Config.Storage == server.FileStorage {
			all[name] = d.State
		}
	}
	return all, nil
}

// takeNote notes what is in a folder whose server said last what the streams hold.
func takeNote(folder string, states map[string]server.StreamState) (storeNote, error) {
	n := storeNote{Time: time.Now(), Streams: map[string]streamNote{}}
	names, err := streamNames(folder)
	if err != nil {
		return n, err
	}
	for name := range states {
		if !slices.Contains(names, name) {
			return n, fmt.Errorf("the folder of stream %s is gone", name)
		}
	}
	for _, name := range names {
		state, ok := states[name]
		if !ok {
			if _, err := os.Stat(filepath.Join(streamsFolder(folder), name, server.JetStreamMetaFile)); errors.Is(err, fs.ErrNotExist) {
				continue // a folder of nothing, which no stream was ever made of
			}
			return n, fmt.Errorf("the server did not open stream %s", name)
		}
		s, err := noteStream(folder, name)
		if err != nil {
			return n, fmt.Errorf("looking at the files of stream %s: %w", name, err)
		}
		s.First, s.Last, s.Messages = state.FirstSeq, state.LastSeq, state.Msgs
		n.Streams[name] = s
	}
	return n, nil
}

// keepJobs keeps what the note before says of JOBS if that was removed, or made anew with less
// in it, while the server ran: the next start asks for an operator's word, as after a kill. A
// copy that is to be JOBS again has all of it.
func (n storeNote) keepJobs(folder string) error {
	before, err := readNote(filepath.Join(folder, runFile))
	if err != nil || before == nil {
		return err
	}
	if _, copied := n.Streams[JobsStream+copySuffix]; !copied && before.Streams[JobsStream].Last > n.Streams[JobsStream].Last {
		n.Streams[JobsStream] = before.Streams[JobsStream]
	}
	return nil
}

func noteStream(folder, name string) (s streamNote, err error) {
	path := filepath.Join(streamsFolder(folder), name)
	if s.streamLimits, err = limitsOf(path); err != nil {
		return s, err
	}
	if s.Meta, err = metaDigest(path); err != nil {
		return s, err
	}
	msgs := blockFolder{filepath.Join(path, "msgs"), name}
	if s.Index, err = digestOf(filepath.Join(msgs.path, indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	indexes, err := blockFiles(msgs.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	for _, index := range indexes {
		f := fileNote{Index: index}
		info, err := os.Stat(msgs.name(index))
		if err != nil {
			return s, err
		}
		f.Size = info.Size()
		if f.Ends, err = endsOf(msgs.name(index), f.Size); err != nil {
			return s, err
		}
		f.First, f.Time = msgs.first(index)
		s.Files = append(s.Files, f)
	}
	return s, nil
}

// limitsOf reads the limits of a stream whose server does not run. The error is about a
// configuration that the server could not read either.
func limitsOf(path string) (streamLimits, error) {
	text, err := os.ReadFile(filepath.Join(path, server.JetStreamMetaFile))
	if err != nil {
		return streamLimits{}, err
	}
	var c jetstream.StreamConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return streamLimits{}, fmt.Errorf("%s: %w", server.JetStreamMetaFile, err)
	}
	return streamLimits{c.MaxAge, max(c.MaxBytes, 0), max(c.MaxMsgs, 0)}, nil
}

// metaDigest is the digest of a stream's configuration and of the checksum beside it.
func metaDigest(path string) (string, error) {
	h := sha256.New()
	for _, name := range []string{server.JetStreamMetaFile, server.JetStreamMetaFileSum} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return "", err
		}
		h.Write(fmt.Appendf(nil, "%d\n%s", len(text), text)) // a hash never returns an error
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// soundMeta reports whether a stream's configuration has the checksum beside it, as the
// server checks it.
func soundMeta(path string) (bool, error) {
	meta, err := os.ReadFile(filepath.Join(path, server.JetStreamMetaFile))
	if err == nil {
		var sum []byte
		if sum, err = os.ReadFile(filepath.Join(path, server.JetStreamMetaFileSum)); err == nil {
			key := sha256.Sum256([]byte(filepath.Base(path)))
			h, err := highwayhash.New64(key[:])
			if err != nil {
				return false, err
			}
			h.Write(meta) // a hash never returns an error
			return hex.EncodeToString(h.Sum(nil)) == string(sum), nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, err
}

func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// endsOf is the digest of both ends of a file of which only so many bytes are looked at.
func endsOf(path string, size int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h, n := sha256.New(), min(size, mostEnd)
	for _, at := range []int64{0, size - n} {
		if _, err := io.Copy(h, io.NewSectionReader(file, at, n)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// write puts a note in the place of the one in a file. When it returns it is on disk.
func (n storeNote) write(path string) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return replaceFile(path, data)
}

// replaceFile has either the old or the new bytes in a file, also after the loss of power.
func replaceFile(path string, data []byte) error {
	half := path + ".new"
	out, err := os.OpenFile(half, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(half))
	}
	if err := os.Rename(half, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// readNote returns the note in a file, nil if it holds none: it is not there, it is an
// earlier version's, or the loss of power took it.
func readNote(path string) (*storeNote, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var n storeNote
	if json.Unmarshal(data, &n) != nil || n.Streams == nil {
		return nil, nil
	}
	return &n, nil
}

// names returns the noted streams in one order.
func (n storeNote) names() []string { return slices.Sorted(maps.Keys(n.Streams)) }
