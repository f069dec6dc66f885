package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ParseFaults reads the text form: dials separated by commas, each "name=value" or a bare name,
// such as "callback=late:2h,keys=v3,http=429:2,html". Empty text is a platform in good order. In
// "mix", alternatives are separated by "/" and the dials of one by "+". The error says what was not
// understood and lists the dials.
func ParseFaults(text string) (Faults, error) {
	var s setter
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, has := strings.Cut(part, "=")
		if has && value == "" {
			return Faults{}, wrongDial(part, errors.New("has no value"))
		}
		if err := s.set(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return Faults{}, wrongDial(part, err)
		}
	}
	return s.f, nil
}

// setter sets each dial once at most, "http" excepted.
type setter struct {
	f    Faults
	seen []string
}

func (s *setter) set(name, value string) error {
	all := dials()
	i := slices.IndexFunc(all, func(d dial) bool { return d.name == name })
	if i < 0 {
		return errUnknownDial
	}
	if name != "http" && slices.Contains(s.seen, name) {
		return errors.New("is a duplicate")
	}
	s.seen = append(s.seen, name)
	return all[i].set(&s.f, value)
}

var errUnknownDial = errors.New("unknown dial")

// errFaults carries the list of dials, once, however deep in a mix the fault is.
type errFaults struct{ what string }

func (e errFaults) Error() string { return e.what + "; the dials are:\n" + Dials() }

func wrongDial(part string, err error) error {
	if inner, ok := errors.AsType[errFaults](err); ok {
		return inner
	}
	return errFaults{fmt.Sprintf("fault %q: %v", part, err)}
}

// Dials lists every dial of the text form and what it takes, one per line.
func Dials() string {
	var b strings.Builder
	for _, d := range dials() {
		fmt.Fprintf(&b, "  %-17s %s\n", d.name, d.takes)
	}
	return strings.TrimRight(b.String(), "\n")
}

// String is the text form; ParseFaults reads it back.
func (f Faults) String() string {
	var parts []string
	for _, d := range dials() {
		for _, value := range d.get(f) {
			parts = append(parts, strings.TrimSuffix(d.name+"="+value, "="))
		}
	}
	return strings.Join(parts, ",")
}

// MarshalJSON writes the text form as a JSON string.
func (f Faults) MarshalJSON() ([]byte, error) { return json.Marshal(f.String()) }

// UnmarshalJSON reads a string in the text form, or an object of dials: {"callback": "late:2h",
// "failed": 3, "progress": true, "http": ["429:2", "503"], "mix": ["callback=never", {"http":
// "502", "html": true}]}. true is the bare dial, false and null leave it unset.
func (f *Faults) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		parsed, err := ParseFaults(text)
		*f = parsed
		return err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return errFaults{"faults must be a text or an object"}
	}
	var s setter
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := s.setJSON(name, object[name]); err != nil {
			return wrongDial(name, err)
		}
	}
	*f = s.f
	return nil
}

func (s *setter) setJSON(name string, raw json.RawMessage) error {
	if name == "mix" && bytes.HasPrefix(raw, []byte("[")) {
		return s.setMixes(raw)
	}
	values, err := texts(raw)
	if err != nil {
		return err
	}
	for _, value := range values {
		if err := s.set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *setter) setMixes(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &s.f.Mix); err != nil {
		return err
	}
	return checkMix(s.f.Mix)
}

// texts are the values a JSON value stands for.
func texts(raw json.RawMessage) ([]string, error) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case bool:
		return map[bool][]string{true: {""}}[v], nil
	case string:
		return []string{v}, nil
	case json.Number:
		return []string{v.String()}, nil
	case []any:
		return listed(v)
	}
	return nil, errors.New("takes a text, a number, true, false or a list of texts")
}

func listed(values []any) ([]string, error) {
	var all []string
	for _, v := range values {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case json.Number:
			all = append(all, v.String())
		default:
			return nil, errors.New("takes a list of texts")
		}
	}
	return all, nil
}
