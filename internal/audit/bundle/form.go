package bundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"receiver/internal/audit"
)

// oneForm says which form is meant, and how to have it.
const oneForm = "receiver writes it in one form: its keys in its order, numbers in plain decimal, UTF-8 without needless escapes, any white " +
	"space; another program rewrote this one, so use the original file, or restore the form: `jq . FILE` takes out needless escapes"

// checkForm returns an error that names the first difference between a bundle and its one form,
// given without white space.
func checkForm(data, want []byte) error {
	var got bytes.Buffer
	if err := json.Compact(&got, data); err != nil {
		return unread(data, err)
	}
	i := 0
	for i < min(got.Len(), len(want)) && got.Bytes()[i] == want[i] {
		i++
	}
	if i == got.Len() && i == len(want) {
		return nil
	}
	return fmt.Errorf("%w: %s: `%s` should be `%s`; %s", audit.ErrBundle, position(data, offset(data, i)), excerpt(got.Bytes(), i), excerpt(want, i), oneForm)
}

// unread returns the error for data that cannot be read as a bundle, with the place.
func unread(data []byte, err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("%w: %s: %s is of another type (%s); %s", audit.ErrBundle, position(data, int(kind.Offset)), cmp.Or(kind.Field, "it"), kind.Value, oneForm)
	case errors.As(err, &syntax):
		return fmt.Errorf("%w: %s: it is no JSON: %v", audit.ErrBundle, position(data, int(syntax.Offset)), err)
	}
	return fmt.Errorf("%w: %v", audit.ErrBundle, err)
}

// position names a place in a text for people.
func position(data []byte, offset int) string {
	before := data[:min(max(offset, 0), len(data))]
	return fmt.Sprintf("line %d, byte %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// offset returns where the byte of an index is that JSON has without its white space.
func offset(data []byte, index int) int {
	inside, escaped := false, false
	for i, c := range data {
		if !inside && strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		if index == 0 {
			return i
		}
		index--
		switch {
		case escaped:
			escaped = false
		case inside && c == '\\':
			escaped = true
		case c == '"':
			inside = !inside
		}
	}
	return len(data)
}

// excerpt returns what is around an index of a text.
func excerpt(text []byte, index int) string {
	const around = 16
	from, to := max(index-around, 0), min(index+around, len(text))
	for from > 0 && from < index && text[from]&0xC0 == 0x80 { // not in the middle of a character
		from++
	}
	for to < len(text) && to > index && text[to]&0xC0 == 0x80 {
		to--
	}
	return string(text[from:to])
}
