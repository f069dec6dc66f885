package audittest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// WitnessKey is a cosigner as C2SP tlog-cosignature has them, written from that page.
type WitnessKey struct {
	name       string
	PrivateKey ed25519.PrivateKey
	Now        uint64
}

// NewWitnessKey returns the key of a witness; every name has the same secret.
func NewWitnessKey(name string) *WitnessKey {
	return &WitnessKey{name: name, Now: 1679315147, PrivateKey: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))}
}

// VerifierKey is the public key as C2SP vkey text.
func (w *WitnessKey) VerifierKey() string {
	pub := append([]byte{4}, w.PrivateKey.Public().(ed25519.PublicKey)...)
	return fmt.Sprintf("%s+%08x+%s", w.name, w.KeyHash(), base64.StdEncoding.EncodeToString(pub))
}

// Name implements note.Signer.
func (w *WitnessKey) Name() string { return w.name }

// KeyHash implements note.Signer.
func (w *WitnessKey) KeyHash() uint32 {
	return KeyHash(w.name, append([]byte{4}, w.PrivateKey.Public().(ed25519.PublicKey)...))
}

// Sign implements note.Signer.
func (w *WitnessKey) Sign(text []byte) ([]byte, error) {
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", w.Now, text)
	return append(binary.BigEndian.AppendUint64(nil, w.Now), ed25519.Sign(w.PrivateKey, []byte(message))...), nil
}
