package job

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"
)

// parse splits a document into the members of its one object. It refuses what would
// let two readers disagree: a second document, a key twice in one object however it
// is escaped, endless nesting. The members are put into room, which must be empty. Names are
// matched by us: encoding/json would match the fields of a struct in any case, and `ID` beside
// `id` would be a duplicate that nobody sees.
func parse(body []byte, room Fields) (Fields, error) {
	body = WithoutMark(body)
	text := string(body) // the one copy, of which all that is read is a part
	if !json.Valid(body) {
		return nil, invalid(body)
	}
	text = strings.TrimSpace(text)
	if text[0] != '{' {
		return nil, ErrNotJSON
	}
	return split(text, room)
}

// WithoutMark returns a text of the platform's without the byte order mark that may be before it,
// as some writers of UTF-8 have it.
func WithoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte(mark)) }

const mark = "\ufeff"

// at reports whether a byte is at an index of a text.
func at(text string, i int, c byte) bool { return i < len(text) && text[i] == c }

// space is the white space of JSON.
const space = " \t\r\n"

// invalid says what is wrong with bytes that are not one JSON document.
func invalid(body []byte) error {
	var first json.RawMessage
	if json.NewDecoder(bytes.NewReader(body)).Decode(&first) == nil && first[0] == '{' {
		return ErrTrailing
	}
	return ErrNotJSON
}

// split walks the text of an object once. That it is valid JSON without white space
// around it is the caller's to know, so brackets need no matching here, and a string
// is a key if a colon follows it.
func split(text string, top Fields) (Fields, error) {
	var (
		value int                     // where the value of the last member of top begins
		keys  = make([]string, 0, 32) // of all open objects, the innermost's last
		first [MaxDepth]int           // where the keys of each open bracket begin
		depth int
	)
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth == MaxDepth {
				return nil, ErrTooDeep
			}
			first[depth] = len(keys)
			depth++
		case '"':
			end := stringEnd(text, i)
			key, colon := text[i:end], skipSpace(text, end)
			i = end - 1
			if text[colon] == ':' {
				keys = append(keys, unquote(key))
				if depth == 1 {
					top = append(top, field{name: keys[len(keys)-1]})
					value = colon + 1
				}
			}
		case '}', ']':
			depth--
			if repeats(keys[first[depth]:]) {
				return nil, ErrDuplicateKey
			}
			keys = keys[:first[depth]]
			if depth == 0 && len(top) > 0 {
				top[len(top)-1].value = strings.TrimSpace(text[value:i])
			}
		case ',':
			if depth == 1 {
				top[len(top)-1].value = strings.TrimSpace(text[value:i])
			}
		}
	}
	return top, nil
}

// repeats reports whether a key occurs twice in keys, which it may sort.
func repeats(keys []string) bool {
	if len(keys) <= 16 { // as all of the platform's own; sorting them would cost more
		for i, key := range keys {
			if slices.Contains(keys[:i], key) {
				return true
			}
		}
		return false
	}
	slices.Sort(keys)
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return true
		}
	}
	return false
}

// eachMember calls do with the name and the value of every member of the objects in a valid JSON
// text. Of a value that is a list or an object it gives the beginning.
func eachMember(text string, do func(name, value string)) {
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		end := stringEnd(text, i)
		if colon := skipSpace(text, end); text[colon] == ':' {
			value := text[skipSpace(text, colon+1):]
			if value[0] == '"' {
				value = value[:stringEnd(value, 0)]
			} else {
				value = value[:strings.IndexAny(value, ",}]"+space)]
			}
			do(unquote(text[i:end]), value)
		}
		i = end - 1
	}
}

// stringEnd returns the index after the string that begins at i.
func stringEnd(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipSpace(text string, i int) int {
	for i < len(text) && strings.IndexByte(space, text[i]) >= 0 {
		i++
	}
	return i
}

// unquote returns what a JSON string, given with its quotes, says.
func unquote(literal string) string {
	inner := literal[1 : len(literal)-1]
	if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
		return inner
	}
	var s string
	_ = json.Unmarshal([]byte(literal), &s) // it is valid, so it says something
	return s
}
