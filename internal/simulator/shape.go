package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// field is one member of a JSON object before its place is drawn.
type field struct {
	name  string
	value any
}

// object writes the fields in a drawn order and manner, with up to two members among them that no
// reader knows; one of those carries names a reader might wrongly look for below the top level.
func (p *Platform) object(fields []field) []byte { return render(p.dice(), fields) }

func render(dice *rand.Rand, fields []field) []byte {
	strangers := []field{
		{"simulated", true},
		{"links", map[string]any{"self": nil, "status": "CREATED", "id": "0"}},
		{"x-ordinal", dice.IntN(1000)},
	}
	dice.Shuffle(len(strangers), func(i, k int) { strangers[i], strangers[k] = strangers[k], strangers[i] })
	fields = append(strangers[:dice.IntN(3)], fields...)
	dice.Shuffle(len(fields), func(i, k int) { fields[i], fields[k] = fields[k], fields[i] })
	return laidOut(dice, plain(fields))
}

// plain writes the fields in the order given.
func plain(fields []field) []byte {
	var b bytes.Buffer
	for i, f := range fields {
		b.WriteByte("{,"[min(i, 1)])
		b.Write(encoded(f.name))
		b.WriteByte(':')
		b.Write(encoded(f.value))
	}
	if len(fields) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.Bytes()
}

// laidOut gives valid JSON one of four layouts; two of them end in a line feed, which is signed
// with the rest.
func laidOut(dice *rand.Rand, raw []byte) []byte {
	var b bytes.Buffer
	switch dice.IntN(4) {
	case 0:
		return raw
	case 1:
		b.Write(raw)
		b.WriteByte('\n')
	case 2:
		_ = json.Indent(&b, raw, "", "  ") // fails on invalid JSON only
	case 3:
		_ = json.Indent(&b, raw, "", "\t")
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// encoded is the JSON of a value; every value written here has one.
func encoded(value any) []byte {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Appendf(nil, "%q", err.Error())
	}
	return raw
}

// list writes an array of rendered values.
func list(rows []json.RawMessage) []byte {
	return append(append([]byte("["), bytes.Join(asBytes(rows), []byte(","))...), ']')
}

func asBytes(rows []json.RawMessage) [][]byte {
	raw := make([][]byte, len(rows))
	for i, row := range rows {
		raw[i] = row
	}
	return raw
}
