package logs

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
)

// Origin is the origin of the log over a stream.
func Origin(c config.Audit, stream string) string { return audit.Origin(c.Origin, c.Name, stream) }

// Base is what the origins of all logs of an installation begin with.
func Base(c config.Audit) string { return c.Origin + "/" + c.Name }

// At is c with the origins that begin with base, for logs that had another name before.
func At(c config.Audit, base string) config.Audit {
	c.Origin, c.Name, _ = strings.Cut(base, "/")
	return c
}

// Place is one word for the installation, in the names of tiles and the subjects of checkpoints:
// its name, and with a domain a digest of both besides. It has no more bytes than a name.
func Place(c config.Audit) string {
	if c.Origin == config.Default().Audit.Origin {
		return c.Name
	}
	const most, digits = 32, 12
	sum := sha256.Sum256([]byte(Base(c)))
	return c.Name[:min(len(c.Name), most-digits-1)] + "-" + hex.EncodeToString(sum[:digits/2])
}

// split takes an origin apart; false if it is not that of a log over one of our streams.
func split(origin string) (base, stream string, ok bool) {
	i := strings.LastIndexByte(origin, '/')
	if i < 0 || !slices.Contains(Streams, origin[i+1:]) || strings.Count(origin[:i], "/") != 1 {
		return "", "", false
	}
	return origin[:i], origin[i+1:], true
}

// Given returns the public keys that the configuration believes, under the names they were given
// with: those of its log key, earlier ones, and the witnesses'.
func Given(c config.Audit) (audit.Keys, error) {
	texts, err := believed(c)
	if err != nil {
		return audit.Keys{}, err
	}
	return parseKeys(c, texts)
}

// Keys returns the public keys that the configuration believes, as those of its logs: a key is the
// same whatever name it was given with, for a log can be renamed. Further logs are named by their
// origins.
func Keys(c config.Audit, further ...string) (audit.Keys, error) {
	texts, err := KeyTexts(c, further...)
	if err != nil {
		return audit.Keys{}, err
	}
	return parseKeys(c, texts)
}

// KeyTexts are the keys of logs that Keys returns, as C2SP verifier keys.
func KeyTexts(c config.Audit, further ...string) ([]string, error) {
	texts, err := believed(c)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(texts)
	for _, stream := range Streams {
		further = append(slices.Clip(further), Origin(c, stream))
	}
	for _, origin := range further {
		for _, text := range texts {
			if renamed := rename(text, origin); !slices.Contains(all, renamed) {
				all = append(all, renamed)
			}
		}
	}
	return all, nil
}

// WitnessKeys are the keys of the configured witnesses, as C2SP verifier keys.
func WitnessKeys(c config.Audit) []string {
	var keys []string
	for _, a := range c.Anchors {
		if a.Witness != "" {
			keys = append(keys, a.Key)
		}
	}
	return keys
}

// ArchiveKeys returns the public keys for an archive of the log with an origin. Keys that were
// given must be those of that name: an archive has no records by which a log was renamed.
func ArchiveKeys(c config.Audit, given bool, origin string) (audit.Keys, error) {
	if given {
		return Given(c)
	}
	return Keys(c, origin)
}

// OfArchive is ArchiveKeys of any origin.
func OfArchive(c config.Audit, given bool) func(origin string) (audit.Keys, error) {
	return func(origin string) (audit.Keys, error) { return ArchiveKeys(c, given, origin) }
}

func parseKeys(c config.Audit, texts []string) (audit.Keys, error) {
	keys, err := audit.ParseKeys(texts, WitnessKeys(c))
	if err != nil {
		return audit.Keys{}, config.UseErrorf("audit: %w", err)
	}
	return keys, nil
}

// believed are the verifier keys of the configuration's log key and the others that it names.
func believed(c config.Audit) ([]string, error) {
	if c.Key.Empty() {
		return c.VerifierKeys, nil
	}
	key, err := Key(c)
	if err != nil {
		return nil, err
	}
	return append(VerifierKeys(c, key), c.VerifierKeys...), nil
}

// rename is a verifier key as that of the log with this origin. One that is malformed stays as it
// is, for audit.ParseKeys to say so.
func rename(text, origin string) string {
	_, rest, _ := strings.Cut(text, "+")
	_, b64, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(b64)
	if err != nil || len(raw) < 2 {
		return text
	}
	return audit.FormatVerifierKey(origin, raw[0], raw[1:])
}

// same reports whether two verifier keys are one key, whatever their names.
func same(a, b string) bool { return rename(a, "x") == rename(b, "x") }

// Key returns the key that seals.
func Key(c config.Audit) (logkey.Key, error) {
	if err := config.Usable(c.Key); err != nil {
		return logkey.Key{}, err
	}
	key, err := logkey.Parse(c.Key.Reveal())
	if err != nil {
		err = config.UseErrorf("audit.key: %w", err)
	}
	return key, err
}

// VerifierKeys are the public keys of all logs of an installation.
func VerifierKeys(c config.Audit, key logkey.Key) []string {
	keys := make([]string, 0, len(Streams))
	for _, stream := range Streams {
		keys = append(keys, key.VerifierKey(Origin(c, stream)))
	}
	return keys
}
