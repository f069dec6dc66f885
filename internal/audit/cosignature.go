package audit

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit/tile"
)

// algCosignature is the signature type of timestamped Ed25519 cosignatures. C2SP: signed-note.
const algCosignature = 4

// ErrWitnessKey is returned for a text that is no cosignature/v1 verifier key.
var ErrWitnessKey = errors.New("malformed witness key: want name+hash+base64 with an Ed25519 cosignature key (type 4)")

// ErrWitness is returned when a witness cannot be asked or its answer is not understood.
// Try again with a later checkpoint.
var ErrWitness = errors.New("witness did not cosign")

// ErrWitnesses is returned by Witnessed when too few of the given witnesses have cosigned.
var ErrWitnesses = errors.New("too few cosignatures")

// WitnessedError is a witness's refusal of a checkpoint because of a tree that it has cosigned.
// If that is larger than the checkpoint's, the log has grown since, or was rolled back. If it is
// not, the checkpoint is of another history.
type WitnessedError struct {
	Witness string
	Size    int64 // of the tree that it has cosigned
}

func (e *WitnessedError) Error() string {
	return fmt.Sprintf("%s has cosigned a tree of size %d that the checkpoint does not extend", e.Witness, e.Size)
}

// Cosigner cosigns checkpoints. anchor.Witness is one.
type Cosigner interface {
	// Key verifies its cosignatures.
	Key() note.Verifier
	// Ask returns the signature lines of its answer, not verified yet. Prove returns the proof
	// that a tree with old leaves is a prefix of the checkpoint's. The error is *WitnessedError if
	// what the witness has cosigned is in the way.
	Ask(ctx context.Context, cp Checkpoint, prove func(old int64) (tlog.TreeProof, error)) (lines []byte, err error)
}

// NewCosignatureVerifier reads a witness's verifier key (a C2SP vkey of type 4). The
// verifier accepts that witness's cosignature/v1 signatures on checkpoints.
func NewCosignatureVerifier(vkey string) (note.Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, b64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != algCosignature {
		return nil, ErrWitnessKey
	}
	v := &cosignatureVerifier{name: name, key: key[1:]}
	if name == "" || strings.ContainsAny(name, " \n") || FormatVerifierKey(name, algCosignature, v.key) != vkey {
		return nil, ErrWitnessKey
	}
	return v, nil
}

// cosignatureVerifier implements C2SP tlog-cosignature, "Ed25519 signed message".
type cosignatureVerifier struct {
	name string
	key  ed25519.PublicKey
}

func (v *cosignatureVerifier) Name() string    { return v.name }
func (v *cosignatureVerifier) KeyHash() uint32 { return KeyHash(v.name, algCosignature, v.key) }

func (v *cosignatureVerifier) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(sig)
	// C2SP: a witness's answer must carry a time, and none beyond 2^63-1.
	if seconds == 0 || seconds > math.MaxInt64 {
		return false
	}
	return ed25519.Verify(v.key, cosignedMessage(seconds, text), sig[8:])
}

func cosignedMessage(seconds uint64, text []byte) []byte {
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
}

// cosignatureTime reads the time out of a verified signature; false for other kinds.
func cosignatureTime(sig note.Signature) (time.Time, bool) {
	raw, err := base64.StdEncoding.DecodeString(sig.Base64)
	if err != nil || len(raw) != 4+8+ed25519.SignatureSize {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC(), true
}

// Cosign asks a witness to cosign the newest checkpoint, stores the cosignature with it if
// it still is the newest by then, and returns the cosigned checkpoint either way: it is
// worth keeping, and ProveAt proves against it. It may be called while Seal runs.
//
// Of a log without a checkpoint the witness is asked for one of the empty tree, which is not
// stored: it knows whether the log had any.
//
// After *ForkError the sealer signs nothing more, as after one of Seal.
func (s *Sealer) Cosign(ctx context.Context, w Cosigner) (Checkpoint, error) {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if refused != nil {
		return Checkpoint{}, refused
	}
	cosigned, lines, err := s.log.ask(ctx, w, func(ctx context.Context) (Checkpoint, error) {
		cp, err := s.log.Checkpoint(ctx)
		if errors.Is(err, ErrNoCheckpoint) {
			return Sign(s.log.o.Origin, tile.EmptyTree(), s.signer)
		}
		return cp, err
	})
	if fork := new(ForkError); errors.As(err, &fork) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused = cmp.Or(s.refused, err)
	}
	if err != nil {
		return Checkpoint{}, err
	}
	for range maxConflicts {
		err = s.attach(ctx, cosigned, lines, w)
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return cosigned, err
}

// Ask has a witness cosign the newest checkpoint and stores nothing. The error is *ForkError if
// the witness has cosigned a tree that the log does not extend. A checkpoint is stored before a
// witness gets it, so a larger tree at the witness than in the store means a rollback.
func (l *Log) Ask(ctx context.Context, w Cosigner) (Checkpoint, error) {
	cosigned, _, err := l.ask(ctx, w, l.Checkpoint)
	return cosigned, err
}

// maxOvertaken is how often other replicas may seal more while a witness answers.
const maxOvertaken = 5

func (l *Log) ask(ctx context.Context, w Cosigner, newest func(context.Context) (Checkpoint, error)) (cosigned Checkpoint, lines []byte, err error) {
	for range maxOvertaken {
		cp, err := newest(ctx)
		if err != nil {
			return Checkpoint{}, nil, err
		}
		lines, err = w.Ask(ctx, cp, func(old int64) (tlog.TreeProof, error) { return l.proveTree(ctx, cp.Tree, old, nil) })
		if err == nil {
			cosigned, err = mergeSignatures(cp, lines, w.Key(), l.o.Keys)
			return cosigned, lines, err
		}
		var has *WitnessedError
		if !errors.As(err, &has) {
			return Checkpoint{}, nil, err
		}
		stored, _, err := l.load(ctx)
		if err != nil {
			return Checkpoint{}, nil, err
		}
		if has.Size <= cp.Tree.N || stored.Tree.N < has.Size {
			known := Checkpoint{Origin: l.o.Origin, Tree: tlog.Tree{N: has.Size}}
			return Checkpoint{}, nil, &ForkError{Known: known, Found: stored, Witness: has.Witness}
		}
	}
	return Checkpoint{}, nil, fmt.Errorf("asking %s: %w: other replicas sealed more each time", w.Key().Name(), ErrWitness)
}

// Witnessed returns nil if at least so many of the witnesses with these keys have cosigned, or all
// of them if least is 0. The error is ErrWitnesses. A witness with several keys counts once.
func (c Checkpoint) Witnessed(witnesses []note.Verifier, least int) error {
	given, missing := map[string]bool{}, []string{}
	for _, w := range witnesses {
		name := w.Name()
		if !given[name] && !slices.ContainsFunc(c.Cosignatures, func(s Cosignature) bool { return s.Witness == name }) {
			missing = append(missing, name)
		}
		given[name] = true
	}
	if least == 0 {
		least = len(given)
	}
	if there := len(given) - len(missing); there < least {
		return fmt.Errorf("%w: the checkpoint of size %d has %d of %d, none by %s", ErrWitnesses, c.Tree.N, there, least, strings.Join(missing, ", "))
	}
	return nil
}

// attach adds signature lines to the stored checkpoint if it is of the same tree.
func (s *Sealer) attach(ctx context.Context, cosigned Checkpoint, lines []byte, w Cosigner) error {
	current, rev, err := s.log.load(ctx)
	if err != nil || current.Note == nil || current.Tree != cosigned.Tree {
		return err
	}
	merged, err := mergeSignatures(current, lines, w.Key(), s.log.o.Keys)
	if err != nil || bytes.Equal(merged.Note, current.Note) {
		return err
	}
	if _, err := s.checkpoints.Store(ctx, merged.Note, rev); err != nil {
		return fmt.Errorf("storing cosignature of %s: %w", w.Key().Name(), err)
	}
	return nil
}

// mergeSignatures adds to cp the lines whose signatures verify with the witness's key and
// which it does not carry yet. Lines of other keys are dropped (C2SP: tlog-witness).
func mergeSignatures(cp Checkpoint, lines []byte, witness note.Verifier, keys Keys) (Checkpoint, error) {
	answer, err := note.Open(append([]byte(cp.text()+"\n"), lines...), note.VerifierList(witness))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("cosignature of %s: %w: %v", witness.Name(), ErrWitness, err)
	}
	signed, err := note.Open(cp.Note, nil)
	if unverified := new(note.UnverifiedNoteError); errors.As(err, &unverified) {
		signed = unverified.Note
	} else if err != nil {
		return Checkpoint{}, fmt.Errorf("cosigned checkpoint: %w", err)
	}
	all := &note.Note{Text: signed.Text, UnverifiedSigs: signed.UnverifiedSigs}
	for _, sig := range answer.Sigs {
		if !carries(signed.UnverifiedSigs, sig) {
			all.UnverifiedSigs = append(all.UnverifiedSigs, sig)
		}
	}
	merged, err := note.Sign(all)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("adding cosignature of %s: %w", witness.Name(), err)
	}
	if bytes.Equal(merged, cp.Note) {
		return cp, nil
	}
	return OpenCheckpoint(merged, keys)
}

func carries(sigs []note.Signature, sig note.Signature) bool {
	for _, s := range sigs {
		if s.Name == sig.Name && s.Hash == sig.Hash {
			return true
		}
	}
	return false
}

// KeyHash is the key ID of signed notes. C2SP: signed-note, "Signatures".
func KeyHash(name string, alg byte, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append(append([]byte(name+"\n"), alg), public...))
	return binary.BigEndian.Uint32(sum[:])
}

// FormatVerifierKey writes a vkey. C2SP: signed-note, "Verifier keys".
func FormatVerifierKey(name string, alg byte, public ed25519.PublicKey) string {
	key := base64.StdEncoding.EncodeToString(append([]byte{alg}, public...))
	return fmt.Sprintf("%s+%08x+%s", name, KeyHash(name, alg, public), key)
}
