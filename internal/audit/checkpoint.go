package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var (
	// ErrCheckpoint is returned for bytes that are no checkpoint of ours: not a signed note,
	// not three lines, or not in the one form we write.
	ErrCheckpoint = errors.New("malformed checkpoint")

	// ErrSignature is returned for a checkpoint that no configured log key signed, or on
	// which the signature of a configured key is wrong. Either it was replaced, or the key
	// to check it with is another one.
	ErrSignature = errors.New("checkpoint is not signed by a configured log key")

	// ErrCosignature is returned for a checkpoint on which the cosignature of a configured
	// witness is wrong: the line was changed, or the key given for the witness is another one.
	ErrCosignature = errors.New("a cosignature of the checkpoint is wrong")
)

// Keys are the public keys that checkpoints are judged by.
type Keys struct {
	Log       []note.Verifier // a checkpoint must be signed by one whose name is its origin
	Witnesses []note.Verifier // their cosignatures are verified where present
}

// ParseKeys reads C2SP verifier keys: plain Ed25519 ones for logs, cosignature/v1 ones for
// witnesses. The error names a key by its place and does not repeat it: it may be a secret
// one that was given by mistake.
func ParseKeys(log, witnesses []string) (Keys, error) {
	var k Keys
	for i, vkey := range log {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return Keys{}, fmt.Errorf("log key %d of %d is not a public key: %w%s", i+1, len(log), err, secretHint(vkey))
		}
		k.Log = append(k.Log, v)
	}
	for i, vkey := range witnesses {
		v, err := NewCosignatureVerifier(vkey)
		if err != nil {
			return Keys{}, fmt.Errorf("witness key %d of %d is not a public key: %w%s", i+1, len(witnesses), err, secretHint(vkey))
		}
		k.Witnesses = append(k.Witnesses, v)
	}
	return k, nil
}

// secretHint says what to do about a secret key in the place of a public one.
func secretHint(vkey string) string {
	if strings.Contains(vkey, "PRIVATE+KEY+") {
		return "; it is a secret key: `receiver audit keys` prints the public ones"
	}
	return ""
}

// verifiers lists every key once: a key given twice would be refused as ambiguous.
func (k Keys) verifiers() note.Verifiers {
	var list []note.Verifier
	for _, v := range slices.Concat(k.Log, k.Witnesses) {
		same := func(o note.Verifier) bool { return o.Name() == v.Name() && o.KeyHash() == v.KeyHash() }
		if !slices.ContainsFunc(list, same) {
			list = append(list, v)
		}
	}
	return note.VerifierList(list...)
}

func (k Keys) mayOpen(origin string) bool {
	for _, v := range k.Log {
		if v.Name() == origin {
			return true
		}
	}
	return false
}

func (k Keys) isLog(sig note.Signature, origin string) bool {
	for _, v := range k.Log {
		if v.Name() == sig.Name && v.KeyHash() == sig.Hash && v.Name() == origin {
			return true
		}
	}
	return false
}

// blame names the key by which a note could not be opened.
func (k Keys) blame(err error) error {
	var wrong *note.InvalidSignatureError
	if errors.As(err, &wrong) && slices.ContainsFunc(k.Witnesses, func(w note.Verifier) bool { return w.Name() == wrong.Name && w.KeyHash() == wrong.Hash }) {
		return fmt.Errorf("%w: that of witness %s, key %08x; its line was changed, or the given key is not the witness's", ErrCosignature, wrong.Name, wrong.Hash)
	}
	return fmt.Errorf("%w: %v", ErrSignature, err)
}

// Checkpoint is a verified commitment to the first Tree.N leaves of a log.
type Checkpoint struct {
	Origin       string
	Tree         tlog.Tree
	Key          string        // the log key that signed it, as <name>+<key ID>; of a verified one only
	Cosignatures []Cosignature // verified ones only
	Note         []byte        // the signed note, all signatures included
}

// Cosignature says that a witness vouched for a checkpoint, and since when.
type Cosignature struct {
	Witness string
	Time    time.Time // to the second, by the witness's clock
}

// OpenCheckpoint verifies a checkpoint: it must have the one form of C2SP tlog-checkpoint
// without extension lines, be signed by a log key named like its origin, and no signature
// of any configured key may be wrong. Signatures of unknown keys are left alone and prove
// nothing. The errors are ErrCheckpoint, ErrSignature and ErrCosignature.
func OpenCheckpoint(signed []byte, keys Keys) (Checkpoint, error) {
	cp, err := ReadCheckpoint(signed)
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(signed, keys.verifiers())
	if err != nil {
		return Checkpoint{}, keys.blame(err)
	}
	bySigner := false
	for _, sig := range n.Sigs {
		if keys.isLog(sig, cp.Origin) {
			bySigner, cp.Key = true, fmt.Sprintf("%s+%08x", sig.Name, sig.Hash)
			continue
		}
		if t, ok := cosignatureTime(sig); ok {
			cp.Cosignatures = append(cp.Cosignatures, Cosignature{Witness: sig.Name, Time: t})
		}
	}
	if !bySigner {
		return Checkpoint{}, fmt.Errorf("%w: origin %q", ErrSignature, cp.Origin)
	}
	return cp, nil
}

// ReadCheckpoint parses a checkpoint and verifies no signature: what it returns is only
// what the bytes claim. The error is ErrCheckpoint.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	body, sigs, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok || !strictSignatures(string(sigs)) {
		return Checkpoint{}, fmt.Errorf("%w: it is not a text, a blank line and distinct signature lines", ErrCheckpoint)
	}
	lines := strings.Split(string(body), "\n")
	if len(lines) != 3 || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("%w: the text is not three lines", ErrCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return Checkpoint{}, fmt.Errorf("%w: bad tree size", ErrCheckpoint)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: bad root hash", ErrCheckpoint)
	}
	cp := Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: size, Hash: root}, Note: bytes.Clone(signed)}
	if cp.text() != string(body)+"\n" {
		return Checkpoint{}, fmt.Errorf("%w: a number or hash is not in its canonical form", ErrCheckpoint)
	}
	return cp, nil
}

// text is what is signed. C2SP: tlog-checkpoint, note text.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Tree.N, c.Tree.Hash)
}

// Sign makes the checkpoint of a tree. Only a Sealer, or a log that goes on from a sealed one,
// may sign: two trees that are not of one history are a fork.
func Sign(origin string, tree tlog.Tree, signer note.Signer) (Checkpoint, error) {
	cp := Checkpoint{Origin: origin, Tree: tree}
	signed, err := note.Sign(&note.Note{Text: cp.text()}, signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("signing checkpoint of %s: %w", origin, err)
	}
	cp.Note = signed
	return cp, nil
}

// strictSignatures reports whether sigs are signature lines, each in its one form and no
// two by one key. Package note is lenient in both, which would let a proof be changed
// without failing.
func strictSignatures(sigs string) bool {
	if !strings.HasSuffix(sigs, "\n") {
		return false
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(sigs) {
		name, b64, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "— "), "\n"), " ")
		raw, err := base64.StdEncoding.Strict().DecodeString(b64)
		if !ok || err != nil || len(raw) < 5 || !strings.HasPrefix(line, "— ") {
			return false
		}
		key := fmt.Sprintf("%s %08x", name, binary.BigEndian.Uint32(raw))
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}
