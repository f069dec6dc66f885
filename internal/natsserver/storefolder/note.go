package storefolder

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

	"receiver/internal/durable"
	"receiver/internal/natsserver/blockfile"
	"receiver/internal/publish/conn"
)

const (
	// stopFile is written after each clean stop and describes the files: files that are older than
	// it were whole then. An earlier version left it empty.
	stopFile = "receiver.stopped"
	// runFile exists from the start of a server until its clean stop, and describes what the
	// streams held.
	runFile = "receiver.running"

	// maxEnd is how many bytes at each end of a block file a note has a digest of.
	maxEnd = 4 << 10
)

// storeNote is a note of the streams of a store, which the next start compares them with.
type storeNote struct {
	Time time.Time `json:"time"`
	// Server is the newest version of nats-server that wrote the store.
	Server  string                `json:"server,omitempty"`
	Streams map[string]streamNote `json:"streams"`
}

// streamNote is the note of one stream.
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

// streamLimits are the limits by which the oldest messages of a stream may be removed.
type streamLimits struct {
	MaxAge   time.Duration `json:"max_age"`
	MaxBytes int64         `json:"max_bytes"`
	MaxMsgs  int64         `json:"max_msgs"`
}

// fileNote is the note of one block file.
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

// streamsFolder is where the server keeps the streams of the owner.
func streamsFolder(folder string) string {
	return filepath.Join(folder, "jetstream", OwnerAccount, "streams")
}

// Messages returns where the messages of a stream are.
func Messages(folder, stream string) blockfile.Folder {
	return messagesIn(filepath.Join(streamsFolder(folder), stream))
}

// messagesIn returns where the messages of the stream in a folder of its own are.
func messagesIn(path string) blockfile.Folder {
	stream := filepath.Base(path)
	f := blockfile.Folder{Path: filepath.Join(path, "msgs"), Stream: stream, Unpack: unpack}
	if stream == objectsOfTiles || stream == conn.WatchStream || stream == conn.SubmissionsStream || stream == conn.SinksStream {
		f.LargestJump = 1 << 28 // old messages stay while the younger around them are replaced
	}
	return f
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

// States returns what the running server reports of the streams on disk.
func States(ns *server.Server) (map[string]server.StreamState, error) {
	if !ns.JetStreamEnabled() {
		return nil, errors.New("the embedded NATS server has disabled JetStream")
	}
	all := map[string]server.StreamState{}
	for name, d := range StreamsOf(ns) {
		if d.Config == nil || d.Config.Storage == server.FileStorage {
			all[name] = d.State
		}
	}
	return all, nil
}

// takeNote describes the files in a folder, and what the server reported last of the streams.
func takeNote(folder string, states map[string]server.StreamState) (storeNote, error) {
	n := storeNote{Time: time.Now(), Server: newestServer(folder), Streams: map[string]streamNote{}}
	names, err := streamNames(folder)
	if err != nil {
		return n, err
	}
	for name := range states {
		if !slices.Contains(names, name) {
			return n, fmt.Errorf("the folder of stream %s is missing", name)
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
			return n, fmt.Errorf("checking the files of stream %s: %w", name, err)
		}
		s.First, s.Last, s.Messages = state.FirstSeq, state.LastSeq, state.Msgs
		n.Streams[name] = s
	}
	return n, nil
}

// keepJobs keeps the part about JOBS of the note before, if JOBS was removed, or created again with
// less in it, while the server ran: the next start then asks an operator to accept the loss, as
// after a kill. A copy that is about to become JOBS is complete.
func (n storeNote) keepJobs(folder string) error {
	before, err := readNote(filepath.Join(folder, runFile))
	if err != nil || before == nil {
		return err
	}
	if _, copied := n.Streams[conn.JobsStream+conn.CopySuffix]; !copied && before.Streams[conn.JobsStream].Last > n.Streams[conn.JobsStream].Last {
		n.Streams[conn.JobsStream] = before.Streams[conn.JobsStream]
	}
	return nil
}

func noteStream(folder, name string) (s streamNote, err error) {
	path := filepath.Join(streamsFolder(folder), name)
	if s.streamLimits, _, err = limitsOf(path); err != nil {
		return s, err
	}
	if s.Meta, err = metaDigest(path); err != nil {
		return s, err
	}
	msgs := Messages(folder, name)
	if s.Index, err = digestOf(filepath.Join(msgs.Path, blockfile.IndexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	indexes, err := msgs.Indexes()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	for _, index := range indexes {
		f := fileNote{Index: index}
		info, err := os.Stat(msgs.File(index))
		if err != nil {
			return s, err
		}
		f.Size = info.Size()
		if f.Ends, err = endsOf(msgs.File(index), f.Size); err != nil {
			return s, err
		}
		f.First, f.Time = msgs.First(index)
		s.Files = append(s.Files, f)
	}
	return s, nil
}

// limitsOf reads the limits of a stream whose server does not run, and since when it exists. It
// returns an error for a configuration that the server could not read either.
func limitsOf(path string) (l streamLimits, created time.Time, err error) {
	text, err := os.ReadFile(filepath.Join(path, server.JetStreamMetaFile))
	if err != nil {
		return l, created, err
	}
	var c struct {
		jetstream.StreamConfig
		Created time.Time `json:"created"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return l, created, fmt.Errorf("%s: %w", server.JetStreamMetaFile, err)
	}
	return streamLimits{c.MaxAge, max(c.MaxBytes, 0), max(c.MaxMsgs, 0)}, conn.Began(c.StreamConfig, c.Created), nil
}

// metaDigest is the digest of a stream's configuration and of its checksum file.
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

// soundMeta reports whether a stream's configuration matches its checksum file, by the rule of the
// server.
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

// endsOf is the digest of both ends of the first so many bytes of a file.
func endsOf(path string, size int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h, n := sha256.New(), min(size, maxEnd)
	for _, at := range []int64{0, size - n} {
		if _, err := io.Copy(h, io.NewSectionReader(file, at, n)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// save replaces the note in a file of the folder, and the copy outside of it. That the copy cannot
// be written, each start says.
func (n storeNote) save(e Store, file string) error {
	if err := n.write(filepath.Join(e.Folder, file)); err != nil {
		return err
	}
	if i, err := readIdentity(e); err == nil && i.known.Store != "" && i.known.Store == i.have {
		i.known.Note = &n
		_ = i.known.write(i.file)
	}
	return nil
}

// noteOutside returns the copy of the note that is kept outside of the folder, if it is of this
// store.
func (e Store) noteOutside() *storeNote {
	i, err := readIdentity(e)
	if err != nil || i.known.Store != i.have || i.known.Note == nil || i.known.Note.Streams == nil {
		return nil
	}
	return i.known.Note
}

// write replaces the note in a file. When it returns, the note is on disk.
func (n storeNote) write(path string) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return durable.WriteFile(path, data)
}

// readNote returns the note in a file; nil if there is none, because the file is missing, is an
// earlier version's, or was lost with the power.
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

// names returns the noted streams, sorted.
func (n storeNote) names() []string { return slices.Sorted(maps.Keys(n.Streams)) }
