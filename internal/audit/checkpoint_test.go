package audit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/logkey"
)

// The example of https://c2sp.org/signed-note: a key and a note signed with it.
const (
	specKey  = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	specNote = "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

func TestParseKeysRepeatsNoSecret(t *testing.T) {
	good := audittest.Key(t).VerifierKey(audittest.Origin)
	for _, given := range [][2][]string{{{good, audittest.Secret}, nil}, {{good}, {audittest.Secret}}, {{good, "x" + audittest.Secret[1:]}, nil}} {
		_, err := audit.ParseKeys(given[0], given[1])
		if err == nil || strings.Contains(err.Error(), "AQABAgME") {
			t.Errorf("ParseKeys = %v, want an error without the key", err)
		}
	}
}

func TestParseKeysTakesTheSpecsExample(t *testing.T) {
	keys, err := audit.ParseKeys([]string{specKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open([]byte(specNote), note.VerifierList(keys.Log...)); err != nil {
		t.Errorf("opening the example note: %v", err)
	}
	// It is signed, but no checkpoint.
	if _, err := audit.OpenCheckpoint([]byte(specNote), keys); !errors.Is(err, audit.ErrCheckpoint) {
		t.Errorf("OpenCheckpoint of the example note: error %v, want ErrCheckpoint", err)
	}
}

const specRoot = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="

func TestOpenCheckpoint(t *testing.T) {
	signer := audittest.Signer(t)
	other, err := audittest.Key(t).Signer(audit.Origin("receiver", "test", "ATTEMPTS"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	impostor, err := stranger.Signer(audittest.Origin)
	if err != nil {
		t.Fatal(err)
	}
	text := audittest.Origin + "\n20852163\n" + specRoot + "\n"
	good := audittest.SignedNote(t, text, signer)
	sigs := string(good[len(text)+1:])
	b64 := strings.TrimSuffix(sigs[strings.LastIndex(sigs, " ")+1:], "\n")
	trailing := b64[:len(b64)-2] + string(b64[len(b64)-2]+1) + "=" // sets a bit that decoding drops
	wrong := bytes.Clone(good)
	wrong[len(text)+len(sigs)-20] ^= 1

	rows := []struct {
		name string
		note []byte
		want error
	}{
		{"signed", good, nil},
		{"empty tree", audittest.SignedNote(t, audittest.Origin+"\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", signer), nil},
		{"also signed by a key unknown here", audittest.SignedNote(t, text, signer, impostor), nil},
		{"signed by an unknown key of the same name", audittest.SignedNote(t, text, impostor), audit.ErrSignature},
		{"signed by our key of another log", audittest.SignedNote(t, text, other), audit.ErrSignature},
		{"another log's, signed by this one's key", audittest.SignedNote(t, strings.Replace(text, "JOBS", "ATTEMPTS", 1), signer), audit.ErrSignature},
		{"signature changed", wrong, audit.ErrSignature},
		{"text changed", bytes.Replace(good, []byte("20852163"), []byte("20852164"), 1), audit.ErrSignature},
		{"no signature", []byte(text + "\n"), audit.ErrCheckpoint},
		{"nothing", nil, audit.ErrCheckpoint},
		{"signature twice", []byte(text + "\n" + sigs + sigs), audit.ErrCheckpoint},
		{"signature in another form", bytes.Replace(good, []byte(b64), []byte(trailing), 1), audit.ErrCheckpoint},
		{"extension line", audittest.SignedNote(t, text+"more\n", signer), audit.ErrCheckpoint},
		{"two lines", audittest.SignedNote(t, audittest.Origin+"\n5\n", signer), audit.ErrCheckpoint},
		{"no origin", audittest.SignedNote(t, "\n5\n"+specRoot+"\n", signer), audit.ErrCheckpoint},
		{"size with a zero", audittest.SignedNote(t, strings.Replace(text, "2085", "02085", 1), signer), audit.ErrCheckpoint},
		{"size with a sign", audittest.SignedNote(t, strings.Replace(text, "2085", "+2085", 1), signer), audit.ErrCheckpoint},
		{"negative size", audittest.SignedNote(t, strings.Replace(text, "2085", "-2085", 1), signer), audit.ErrCheckpoint},
		{"size beyond 63 bits", audittest.SignedNote(t, strings.Replace(text, "20852163", "9223372036854775808", 1), signer), audit.ErrCheckpoint},
		{"short root", audittest.SignedNote(t, strings.Replace(text, "CsUYapGG", "", 1), signer), audit.ErrCheckpoint},
		{"root in another form", audittest.SignedNote(t, strings.Replace(text, "q2I=", "q2J=", 1), signer), audit.ErrCheckpoint},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			cp, err := audit.OpenCheckpoint(row.note, audittest.Keys(t))
			if !errors.Is(err, row.want) {
				t.Fatalf("OpenCheckpoint: error %v, want %v", err, row.want)
			}
			if err == nil && !bytes.Equal(cp.Note, row.note) {
				t.Errorf("Note = %q, want %q", cp.Note, row.note)
			}
		})
	}
}

func TestOpenCheckpointReadsItsLines(t *testing.T) {
	cp, err := audit.OpenCheckpoint(audittest.SignedNote(t, audittest.Origin+"\n20852163\n"+specRoot+"\n", audittest.Signer(t)), audittest.Keys(t))
	if err != nil {
		t.Fatal(err)
	}
	if cp.Origin != audittest.Origin || cp.Tree.N != 20852163 || cp.Tree.Hash.String() != specRoot {
		t.Errorf("checkpoint = %q, %d, %s", cp.Origin, cp.Tree.N, cp.Tree.Hash)
	}
}

func TestCosignatures(t *testing.T) {
	w := audittest.NewWitnessKey("witness.example/w1")
	text := audittest.Origin + "\n20852163\n" + specRoot + "\n"
	signed := audittest.SignedNote(t, text, audittest.Signer(t), w)

	cp, err := audit.OpenCheckpoint(signed, audittest.Keys(t, w.VerifierKey()))
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Cosignature{Witness: w.Name(), Time: time.Unix(1679315147, 0).UTC()}
	if len(cp.Cosignatures) != 1 || cp.Cosignatures[0] != want {
		t.Errorf("Cosignatures = %v, want [%v]", cp.Cosignatures, want)
	}

	cp, err = audit.OpenCheckpoint(signed, audittest.Keys(t))
	if err != nil || len(cp.Cosignatures) != 0 {
		t.Errorf("without the witness's key: %v, %v, want no cosignature and no error", cp.Cosignatures, err)
	}
	if _, err := audit.OpenCheckpoint(audittest.SignedNote(t, text, w), audittest.Keys(t, w.VerifierKey())); !errors.Is(err, audit.ErrSignature) {
		t.Errorf("signed by the witness alone: error %v, want ErrSignature", err)
	}

	for _, bad := range []uint64{0, 1 << 63} {
		w.Now = bad
		if _, err := audit.OpenCheckpoint(audittest.SignedNote(t, text, audittest.Signer(t), w), audittest.Keys(t, w.VerifierKey())); !errors.Is(err, audit.ErrCosignature) {
			t.Errorf("cosignature at time %d: error %v, want ErrCosignature", bad, err)
		}
	}
	w.Now = 1679315147
	forged := audittest.SignedNote(t, text, audittest.Signer(t), &wrongTime{w})
	if _, err := audit.OpenCheckpoint(forged, audittest.Keys(t, w.VerifierKey())); !errors.Is(err, audit.ErrCosignature) {
		t.Errorf("cosignature with another time than signed: error %v, want ErrCosignature", err)
	}
}

// wrongTime states a later time than it signed.
type wrongTime struct{ *audittest.WitnessKey }

func (w *wrongTime) Sign(text []byte) ([]byte, error) {
	sig, err := w.WitnessKey.Sign(text)
	binary.BigEndian.PutUint64(sig, w.Now+1)
	return sig, err
}

func TestNewCosignatureVerifierRefuses(t *testing.T) {
	good := audittest.NewWitnessKey("witness.example/w1").VerifierKey()
	if _, err := audit.NewCosignatureVerifier(good); err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{
		"nothing":         "",
		"plain Ed25519":   specKey,
		"wrong hash":      good[:19] + "00000000" + good[27:],
		"another name":    "x" + good,
		"no name":         good[strings.Index(good, "+"):],
		"a byte too long": good + "A",
	}
	for name, vkey := range bad {
		if _, err := audit.NewCosignatureVerifier(vkey); !errors.Is(err, audit.ErrWitnessKey) {
			t.Errorf("%s: error %v, want ErrWitnessKey", name, err)
		}
	}
}

// FuzzCheckpoint: no bytes make it panic, and nothing passes but what the key signed.
func FuzzCheckpoint(f *testing.F) {
	text := audittest.Origin + "\n20852163\n" + specRoot + "\n"
	good := audittest.SignedNote(f, text, audittest.Signer(f))
	keys := audittest.Keys(f)
	f.Add(good)
	f.Add([]byte(specNote))
	f.Fuzz(func(t *testing.T, data []byte) {
		cp, err := audit.OpenCheckpoint(data, keys)
		if err == nil && (cp.Tree.N != 20852163 || cp.Tree.Hash.String() != specRoot) {
			t.Fatalf("accepted %q", data)
		}
		if err == nil && !strings.Contains(string(data), strings.TrimPrefix(string(good), text)) {
			t.Fatalf("accepted without the signature: %q", data)
		}
	})
}
