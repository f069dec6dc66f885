package logkey_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/logkey"
)

func TestKeySignsForItsOrigins(t *testing.T) {
	key, err := logkey.Generate("berlin")
	if err != nil {
		t.Fatal(err)
	}
	again, err := logkey.Parse(key.Secret())
	if err != nil {
		t.Fatal(err)
	}
	for _, origin := range []string{audit.Origin("receiver", "berlin", "JOBS"), audit.Origin("receiver", "berlin", "ATTEMPTS")} {
		signer, err := again.Signer(origin)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: "hello\n"}, signer)
		if err != nil {
			t.Fatal(err)
		}
		v, err := note.NewVerifier(key.VerifierKey(origin))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
			t.Errorf("note for %s: %v", origin, err)
		}
	}
}

func TestKeyVerifierKeyIsStable(t *testing.T) {
	const want = "receiver/test/JOBS+23417cb3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
	if got := audittest.Key(t).VerifierKey(audittest.Origin); got != want {
		t.Errorf("VerifierKey = %s, want %s", got, want)
	}
}

func TestKeyHidesItsSecret(t *testing.T) {
	key := audittest.Key(t)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, key); got != "log key receiver/test" {
			t.Errorf("%s of a key = %q", format, got)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	bad := map[string]string{
		"nothing":      "",
		"a public key": audittest.Key(t).VerifierKey(audittest.Origin),
		"wrong hash":   strings.Replace(audittest.Secret, "b3caf33f", "b3caf33e", 1),
		"no base64":    strings.TrimSuffix(audittest.Secret, "f") + "!",
		"too short":    strings.TrimSuffix(audittest.Secret, "HR4f"),
	}
	for name, text := range bad {
		if _, err := logkey.Parse(text); !errors.Is(err, logkey.ErrKey) {
			t.Errorf("%s: error %v, want ErrKey", name, err)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes the key", name)
		}
	}
	if _, err := logkey.Generate("two words"); !errors.Is(err, logkey.ErrKey) {
		t.Errorf("GenerateKey of a name with a space: error %v, want ErrKey", err)
	}
}
