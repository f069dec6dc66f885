package diagnose

import (
	"receiver/internal/verify"
	"slices"
	"strings"
)

// cause is one difference between what should have been signed and sent and what was.
type cause struct {
	code string
	// detail stands for the %s of the clause.
	detail string
}

// clause is the cause as a part of a sentence.
func (c cause) clause() string { return strings.Replace(known[c.code].clause, "%s", c.detail, 1) }

// words say what a code means: a clause that can stand in a list, and what to do next.
type words struct{ clause, next string }

// Codes returns the codes of single causes, sorted.
func Codes() []string {
	codes := make([]string, 0, len(known))
	for code := range known {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// Instructions that several causes share.
const (
	nextEncode = "Send `sha256=` and the padded standard base64 of the 32 bytes of the HMAC, which is what the platform sends."
	nextSender = "Correct it where the signature is made: the platform uses the exact value of event.notification.signature.key, byte for byte."
	nextOurs   = "Correct the configured key: its bytes must be those of event.notification.signature.key. Exactly one line feed at the end of a key file is removed, nothing else."
	nextWrite  = " `receiver config check` says how to write such a file."
	nextDecode = "The key is the text itself: do not decode or encode it."
	nextWay    = "Find the program that changes the body between the platform and the receiver (a proxy, a gateway, an editor, a script). It must pass the bytes unchanged, as `curl --data-binary` does."
	nextHash   = "Use HMAC-SHA-256 with the signature key, over the raw body."
)

// known has the words of every code.
var known = map[string]words{
	"accepted": {"the signature is correct: %s made it over exactly this body",
		"The receiver accepts it. If it refused it, it had other keys or received other bytes."},
	"unexplained": {"no common mistake explains this signature",
		"Compare the key at the platform (event.notification.signature.key) with the configured one, and find out the sender: most likely the key is different, or the sender is not the platform."},

	// The header's text.
	"signature_missing": {"there is no " + verify.Header + " header, or it has no value",
		"Set event.notification.signature.key at the platform: without a key it does not sign. If it is set, look for a proxy that removes the header."},
	"signature_several_headers": {"there are several " + verify.Header + " headers",
		"Find the client or proxy that adds a second one; the receiver requires exactly one."},
	"signature_comma_list": {"the value is a list with commas, which proxies make from repeated headers",
		"Find the client or proxy that adds the second value; the receiver requires exactly one."},
	"signature_header_name": {"the value contains the name of the header",
		"Send only the part after the colon, `sha256=…`."},
	"signature_quoted": {"the value is in quotes", "Remove the quotes."},
	"signature_white_space": {"there are line ends or other white space in the value or around it",
		"Remove them; they come from encoders that break lines and from files that end with a line feed."},
	"signature_no_scheme": {"`sha256=` is missing before the value", nextEncode},
	"signature_scheme":    {"the prefix of the value is not `sha256=`", nextEncode},
	"signature_hex":       {"the value is in hexadecimal, not in base64", nextEncode},
	"signature_url_safe":  {"the value is in URL-safe base64, with - and _ instead of + and /", nextEncode},
	"signature_unpadded":  {"the base64 of the value has no padding with =", nextEncode},
	"signature_plus_lost": {"the value has spaces where its base64 has +",
		"Find the program that decodes the header as part of a URL or a form."},
	"signature_escaped": {"characters of the value are escaped with %, as in a URL",
		"Find the program that encodes the header as part of a URL or a form."},
	"signature_base64_of_hex": {"the value is the base64 of a hexadecimal text, not of bytes", nextEncode},
	"signature_not_canonical": {"the last character of the base64 has unused bits that are not zero",
		"Use a standard base64 encoder; the value was typed, truncated or changed."},
	"signature_not_base64": {"the value is neither base64 nor hexadecimal", nextEncode},
	"signature_length":     {"the value has %s bytes, but an HMAC-SHA-256 has 32", "The value was truncated, or is not an HMAC-SHA-256. " + nextHash},
	"signature_sha1":       {"the value has the length of a SHA-1, which the platform stopped using in 2016", nextHash},
	"signature_sha512":     {"the value has the length of a SHA-512", nextHash},
	"signature_of_earlier": {"the same signature arrived before, with another body: %s",
		"If both are from the platform, the body was changed in transit: compare the two. Otherwise a sender reuses an old signature for a new body, and the refusal is correct."},

	// The hash.
	"hash_without_key":   {"it is a plain hash of the body, without a key", nextHash},
	"hash_of_key_body":   {"it is a plain hash of the key followed by the body, not an HMAC", nextHash},
	"hash_of_body_key":   {"it is a plain hash of the body followed by the key, not an HMAC", nextHash},
	"hash_key_exchanged": {"key and body are swapped in the HMAC", nextHash},

	// The key.
	"key_of_other": {"that key is configured, but for another source",
		"Add the key to the source, or correct the source in the callback's address."},
	"key_empty":          {"the sender's key is empty", nextSender},
	"key_newline":        {"the sender's key has a line feed at its end", nextSender},
	"key_crlf":           {"the sender's key has a carriage return and line feed at its end", nextSender},
	"key_spaces":         {"the sender's key has white space around it", nextSender},
	"key_quoted":         {"the sender's key has quotes around it", nextSender},
	"key_bom":            {"the sender's key begins with a byte order mark", nextSender},
	"key_utf16":          {"the sender's key is in UTF-16", nextSender},
	"key_cut":            {"the sender's key has only the first 128 characters: the platform cannot store more", "Choose a shorter key, here and at the platform."},
	"key_latin1":         {"the sender encodes the key in Latin-1, not in UTF-8", "Choose a key of ASCII characters, here and at the platform."},
	"key_hex_case":       {"the hexadecimal digits of the sender's key have the other case", nextSender},
	"key_base64_decoded": {"the sender decodes the key from base64", nextDecode},
	"key_base64_encoded": {"the sender's key is the base64 of the configured one", nextDecode},
	"key_hex_decoded":    {"the sender decodes the key from hexadecimal", nextDecode},
	"key_hex_encoded":    {"the sender's key is the hexadecimal of the configured one", nextDecode},
	"key_trimmed":        {"the configured key has white space or line ends around it, and the sender's key does not", nextOurs},
	"key_unquoted":       {"the configured key has quotes around it, and the sender's key does not", nextOurs + nextWrite},
	"key_without_bom":    {"the configured key begins with a byte order mark, and the sender's key does not", nextOurs + nextWrite},
	"key_without_utf16":  {"the configured key is in UTF-16, as written by > in PowerShell, and the sender's key is not", nextOurs + nextWrite},
	"key_without_nul":    {"the configured key contains NUL bytes, and the sender's key does not", nextOurs + nextWrite},

	// The body.
	"body_crlf":            {"the body was signed with CR LF line ends, and has other line ends now", nextWay},
	"body_lf":              {"the body was signed with LF line ends, and has CR LF line ends now", nextWay},
	"body_newline_removed": {"the body was signed with a line end at its end, and has none now", nextWay},
	"body_newline_added":   {"the body was signed without a line end at its end, and has one now", nextWay},
	"body_space_added":     {"the body was signed without white space around it, and has some now", nextWay},
	"body_bom_removed":     {"the body was signed with a byte order mark, and has none now", nextWay},
	"body_bom_added":       {"the body was signed without a byte order mark, and has one now", nextWay},
	"body_compressed": {"the body is compressed with gzip",
		"Turn off compression between the platform and the receiver; the receiver does not decompress, since the signature covers the bytes as received."},
	"body_uncompressed": {"the body was signed after compression with gzip, and is not compressed now", nextWay},
	"body_base64":       {"the body is the base64 of the signed bytes", "Some gateways do this to binary bodies: configure the gateway to send the bytes unchanged."},
	"body_json": {"the body was signed as the same JSON in another format (%s)",
		"A program parses the JSON and writes it again, before the body is signed or in transit: sign and send the same bytes."},
	"body_truncated": {"the body is only the beginning of the one of %s",
		"Look for a limit or a broken connection between the platform and the receiver."},
	"body_extended": {"the body is the one of %s with additional bytes at its end", nextWay},
	"body_of_earlier": {"it was made over another body, that of %s",
		"Signature and body do not belong together: they were mixed up, or the body was changed, or a sender reuses an old signature for a new body."},
	"body_incomplete": {"the body is truncated JSON",
		"Look for a limit or a broken connection between the platform and the receiver."},
}
