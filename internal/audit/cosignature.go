package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// algCosignature is the signature type of timestamped Ed25519 cosignatures. C2SP: signed-note.
const algCosignature = 4

// ErrWitnessKey is returned for a text that is no cosignature/v1 verifier key.
var ErrWitnessKey = errors.New("malformed witness key: want name+hash+base64 with an Ed25519 cosignature key (type 4)")

// ErrWitness is returned when a witness cannot be asked or its answer is not understood.
// Try again with a later checkpoint.
var ErrWitness = errors.New("witness did not cosign")

// Cosigner cosigns checkpoints. anchor.Witness is one.
type Cosigner interface {
	// Key verifies its cosignatures.
	Key() note.Verifier
	// Ask returns the signature lines of its answer, not verified yet. Prove returns the proof
	// that a tree with old leaves is a prefix of the checkpoint's.
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
func (s *Sealer) Cosign(ctx context.Context, w Cosigner) (Checkpoint, error) {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if refused != nil {
		return Checkpoint{}, refused
	}
	cp, err := s.log.Checkpoint(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	lines, err := w.Ask(ctx, cp, func(old int64) (tlog.TreeProof, error) { return s.log.proveTree(ctx, cp.Tree, old, nil) })
	if err != nil {
		return Checkpoint{}, err
	}
	cosigned, err := mergeSignatures(cp, lines, w.Key(), s.log.o.Keys)
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

// attach adds signature lines to the stored checkpoint if it is of the same tree.
func (s *Sealer) attach(ctx context.Context, cosigned Checkpoint, lines []byte, w Cosigner) error {
	current, rev, err := s.log.load(ctx)
	if err != nil || current.Tree != cosigned.Tree {
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
