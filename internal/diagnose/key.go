package diagnose

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// bom is the byte order mark of UTF-8, which editors put in front of files.
const bom = "\xef\xbb\xbf"

// maxStorable is the longest key, in characters, that the platform can hold: the
// configuration item is a TEXTFIELD_128.
//
// OC: section 7 "key storage", (b) row 13.
const maxStorable = 128

// keyForm is a key, or what a mistake makes of it.
type keyForm struct {
	of     Candidate
	secret []byte
	causes []cause
	// macs are the HMACs under the key, by the size of their digest.
	macs map[int]hash.Hash
}

// keyForms are the keys by the number of mistakes that it takes to come to them.
type keyForms [3][]*keyForm

// newKeyForms returns the forms of all keys, each only once, the likeliest first. A form
// is never a part of a key that could be guessed: that would let a caller find a key
// out piece by piece.
func newKeyForms(q Question) keyForms {
	var all keyForms
	seen := map[string]bool{}
	put := func(n int, of Candidate, secret []byte, causes []cause) {
		if !seen[string(secret)] {
			seen[string(secret)] = true
			all[n] = append(all[n], &keyForm{of: of, secret: secret, causes: causes, macs: map[int]hash.Hash{}})
		}
	}
	for _, c := range q.Keys {
		if !c.blank() {
			put(0, c, *c.secret, nil)
		}
	}
	for _, c := range q.Others {
		if !c.blank() {
			put(1, c, *c.secret, []cause{{code: "key_of_other"}})
		}
	}
	put(1, Candidate{}, []byte{}, []cause{{code: "key_empty"}})
	for n := range len(all) - 1 {
		for _, k := range all[n] {
			for _, m := range keyMistakes(k.secret) {
				put(n+1, k.of, m.data, with(k.causes, m.code))
			}
		}
	}
	return all
}

// mistake is what a mistake made of some bytes.
type mistake struct {
	cause
	data []byte
}

// keyMistakes returns what is commonly made of a key.
func keyMistakes(k []byte) []mistake {
	var all []mistake
	put := func(code string, data []byte) {
		if len(data) > 0 && !bytes.Equal(data, k) {
			all = append(all, mistake{cause{code: code}, data})
		}
	}
	around := func(before, after string) []byte { return []byte(before + string(k) + after) }
	put("key_newline", around("", "\n"))
	put("key_crlf", around("", "\r\n"))
	put("key_trimmed", bytes.TrimRight(k, "\r\n"))
	put("key_trimmed", bytes.TrimSpace(k))
	put("key_spaces", around("", " "))
	put("key_spaces", around(" ", ""))
	put("key_spaces", around(" ", " "))
	put("key_spaces", around("", "\t"))
	put("key_base64_decoded", fromBase64(k))
	put("key_hex_decoded", fromHex(k))
	put("key_hex_case", otherCase(k))
	put("key_base64_encoded", []byte(base64.StdEncoding.EncodeToString(k)))
	put("key_hex_encoded", []byte(hex.EncodeToString(k)))
	put("key_hex_encoded", bytes.ToUpper([]byte(hex.EncodeToString(k))))
	put("key_quoted", around(`"`, `"`))
	put("key_quoted", around(`'`, `'`))
	put("key_unquoted", []byte(unquote(string(k))))
	put("key_unquoted", []byte(unquote(string(bytes.TrimSpace(k)))))
	put("key_unquoted", untypeset(k))
	put("key_bom", around(bom, ""))
	put("key_without_bom", bytes.TrimPrefix(k, []byte(bom)))
	for _, form := range utf16Forms {
		put("key_utf16", form.encode(k))
	}
	put("key_without_utf16", fromUTF16(k))
	put("key_without_nul", bytes.ReplaceAll(k, []byte{0}, nil))
	put("key_latin1", latin1(k))
	put("key_cut", storable(k))
	return all
}

// typeset are the quotes of word processors, opening and closing.
var typeset = [][2]string{{"“", "”"}, {"„", "“"}, {"„", "”"}, {"‘", "’"}, {"‚", "‘"}, {"«", "»"}, {"»", "«"}, {"‹", "›"}}

// untypeset takes the quotes of word processors off, or returns nil.
func untypeset(k []byte) []byte {
	for _, q := range typeset {
		if rest, ok := bytes.CutPrefix(k, []byte(q[0])); ok && bytes.HasSuffix(rest, []byte(q[1])) {
			return bytes.TrimSuffix(rest, []byte(q[1]))
		}
	}
	return nil
}

// utf16Form is one of the ways to write text in UTF-16.
type utf16Form struct {
	order binary.AppendByteOrder
	mark  string
	end   string // of the line, as shells write it
}

var utf16Forms = []utf16Form{
	{binary.LittleEndian, "\ufeff", "\r\n"}, {binary.LittleEndian, "\ufeff", ""}, {binary.LittleEndian, "", ""},
	{binary.BigEndian, "\ufeff", ""}, {binary.BigEndian, "", ""},
}

// encode writes a key in that form, or returns nil.
func (f utf16Form) encode(k []byte) []byte {
	if !utf8.Valid(k) || bytes.IndexByte(k, 0) >= 0 {
		return nil
	}
	var out []byte
	for _, unit := range utf16.Encode([]rune(f.mark + string(k) + f.end)) {
		out = f.order.AppendUint16(out, unit)
	}
	return out
}

// fromUTF16 decodes a key that is text in UTF-16, with or without a mark, less a line end
// at its end, or returns nil.
func fromUTF16(k []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case len(k) < 2:
		return nil
	case k[0] == 0xfe && k[1] == 0xff, k[0] == 0 && k[1] != 0:
		order = binary.BigEndian
	case k[0] == 0xff && k[1] == 0xfe, k[0] != 0 && k[1] == 0:
	default:
		return nil
	}
	var units []uint16
	for pair := range slices.Chunk(k, 2) {
		if len(pair) == 2 { // else a file in big-endian UTF-16 lost its line feed
			units = append(units, order.Uint16(pair))
		}
	}
	text := strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
	return []byte(strings.TrimRight(text, "\r\n"))
}

// fromBase64 decodes any base64, or returns nil.
func fromBase64(b []byte) []byte {
	bare := bytes.TrimRight(b, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if data, err := e.DecodeString(string(bare)); err == nil {
			return data
		}
	}
	return nil
}

func fromHex(b []byte) []byte {
	data, err := hex.DecodeString(string(b))
	if err != nil {
		return nil
	}
	return data
}

// otherCase changes the case of hexadecimal digits, or returns nil.
func otherCase(b []byte) []byte {
	if fromHex(b) == nil {
		return nil
	}
	if lower := bytes.ToLower(b); !bytes.Equal(lower, b) {
		return lower
	}
	return bytes.ToUpper(b)
}

// latin1 encodes UTF-8 in Latin-1, or returns nil.
//
// OC: section 7 "key": the platform's Java sample uses the charset of its machine.
func latin1(b []byte) []byte {
	if !utf8.Valid(b) {
		return nil
	}
	out := make([]byte, 0, len(b))
	for _, r := range string(b) {
		if r > 0xff {
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

// storable cuts a key to what the platform can store, or returns nil. OC: (b) row 13.
func storable(b []byte) []byte {
	if r := []rune(string(b)); len(r) > maxStorable && utf8.Valid(b) {
		return []byte(string(r[:maxStorable]))
	}
	return nil
}
