//go:build browser

package checkpage_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/bundle"
	"receiver/internal/audit/logkey"
)

// Of bundles in another form than the one, the page says what the command says.
func TestThePageAgreesOnForms(t *testing.T) {
	good := string(sealed(t, 300, map[uint64]func(*audit.Record){270: awkward}, 3, 270))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the bundle has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	var anything any
	if err := json.Unmarshal([]byte(good), &anything); err != nil {
		t.Fatal(err)
	}
	ordered, err := json.Marshal(anything)
	if err != nil {
		t.Fatal(err)
	}
	const stamp = `:02.123456789Z"`
	rows := map[string]string{
		"as it is":                  good,
		"other white space":         strings.ReplaceAll(good, "\n  ", "\r\n\t"),
		"nothing":                   "",
		"white space":               " \n",
		"null":                      "null",
		"an array":                  "\n\n []",
		"a string":                  `"x"`,
		"a number":                  "12",
		"true":                      "true",
		"a byte order mark":         "\ufeff" + good,
		"UTF-16":                    "{\x00\"\x00",
		"another format":            replace("receiver-evidence/v1", "receiver-evidence/v2"),
		"a format to be escaped":    replace("receiver-evidence/v1", "\\u0000\u202e\u00a0\u3000\\\"\\\\\U000e0001"),
		"no format":                 "{}",
		"the keys in another order": string(ordered),
		"an unknown key":            replace(`"first_sequence"`, `"more": {"a": ["\"}", 1e9]}, "first_sequence"`),
		"a key in another case":     replace(`"first_sequence"`, `"First_sequence"`),
		"a key with a long s":       replace(`"records"`, `"record\u017f"`),
		"a key with a Kelvin sign":  replace(`"checkpoint"`, "\"chec\u212apoint\""),
		"a key twice":               replace(`"sequence": 3,`, `"sequence": 4, "sequence": 3,`),
		"the same key twice":        replace(`"sequence": 3,`, `"sequence": 3, "sequence": 3,`),
		"the records twice":         replace(`"records": [`, `"records": [{"stream":"x","header":[["a","b"],["c"]],"data":"AA==","proof":[]},{},{"sequence":9}], "records": [`),
		"records in a second list":  strings.Replace(good, "\n  ]\n}", "\n  ],\"records\":[{\"sequence\":7}]}", 1),
		"a list, null and a list":   replace(`"header": [`, `"header": [["x"]], "header": null, "header": [[null],`),
		"a list and then null":      replace(`"header": [`, `"header": [["x"]], "header": null, "x": [`),
		"a key missing":             replace(`"first_sequence": 1,`, ""),
		"something after":           good + "{}",
		"white space after":         good + "\n\n",
		"NUL after":                 good + "\x00",
		"a zero before":             replace(`"sequence": 3,`, `"sequence": 03,`),
		"an exponent":               replace(`"sequence": 3,`, `"sequence": 3e0,`),
		"a fraction":                replace(`"sequence": 3,`, `"sequence": 3.0,`),
		"a negative number":         replace(`"sequence": 3,`, `"sequence": -3,`),
		"minus nothing":             replace(`"sequence": 3,`, `"sequence": -0,`),
		"a plus":                    replace(`"sequence": 3,`, `"sequence": +3,`),
		"the largest number":        replace(`"sequence": 3,`, `"sequence": 18446744073709551615,`),
		"a larger number":           replace(`"sequence": 3,`, `"sequence": 18446744073709551616,`),
		"beyond exact floats":       replace(`"first_sequence": 1,`, `"first_sequence": 9007199254740993,`),
		"a number as a string":      replace(`"sequence": 3,`, `"sequence": "3",`),
		"a number as a list":        replace(`"sequence": 3,`, `"sequence": [3],`),
		"a number as an object":     replace(`"sequence": 3,`, `"sequence": {},`),
		"a number as true":          replace(`"sequence": 3,`, `"sequence": true,`),
		"a number as null":          replace(`"sequence": 3,`, `"sequence": null,`),
		"two wrong types":           strings.Replace(replace(`"sequence": 3,`, `"sequence": true,`), `"subject": "`, `"subject": 5, "x": "`, 1),
		"wrong types that are kept": strings.Replace(replace(`"first_sequence": 1,`, `"first_sequence": true,`), `"data": "`, `"data": 5, "x": "`, 1),
		"another time zone":         replace(stamp, `:02.123456789+00:00"`),
		"a comma in the time":       replace(stamp, `:02,123456789Z"`),
		"a short fraction":          replace(stamp, `:02.12345678Z"`),
		"a long fraction":           replace(stamp, `:02.1234567891Z"`),
		"a sign in the fraction":    replace(stamp, `:02.+23456789Z"`),
		"a minus in the fraction":   replace(stamp, `:02.-23456789Z"`),
		"an hour of one digit":      replace(`T12:00:02`, `T2:00:02`),
		"hour 24":                   replace(`T12:00:02`, `T24:00:02`),
		"a leap second":             replace(`T12:00:02`, `T12:00:60`),
		"no leap day":               replace(`2026-03-01T`, `2026-02-29T`),
		"no leap day in 2100":       replace(`2026-03-01T`, `2100-02-29T`),
		"a leap day in 2000":        replace(`2026-03-01T`, `2000-02-29T`),
		"a leap day":                replace(`2026-03-01T`, `2024-02-29T`),
		"month 13":                  replace(`2026-03-01T`, `2026-13-01T`),
		"day 0":                     replace(`2026-03-01T`, `2026-03-00T`),
		"the first year":            replace(`2026-03-01T`, `0000-01-01T`),
		"before nanoseconds":        replace(`2026-03-01T12:00:02.123456789`, `1677-09-21T00:12:43.145224191`),
		"the first nanosecond":      replace(`2026-03-01T12:00:02.123456789`, `1677-09-21T00:12:43.145224192`),
		"the last nanosecond":       replace(`2026-03-01T12:00:02.123456789`, `2262-04-11T23:47:16.854775807`),
		"after nanoseconds":         replace(`2026-03-01T12:00:02.123456789`, `2262-04-11T23:47:16.854775808`),
		"the last year":             replace(`2026-03-01T12:00:02.123456789`, `9999-12-31T23:59:59.999999000`),
		"no time":                   replace(`2026-03-01T12:00:02.123456789Z`, "\u202eyesterday \u00e9 at half past nine o'clock in the morning"),
		"a time as a number":        replace(`"2026-03-01T12:00:02.123456789Z"`, "5"),
		"an escape not needed":      replace(`"JOBS"`, `"\u004aOBS"`),
		"a solidus escaped":         replace(`receiver/test`, `receiver\/test`),
		"ASCII only":                replace("\u2014", `\u2014`),
		"escapes for browsers":      replace("<&>", `\u003c\u0026\u003e`),
		"upper-case escapes":        replace(`\u001f`, `\u001F`),
		"a raw line separator":      replace(`\u2028`, "\u2028"),
		"DEL escaped":               replace("\x7f", `\u007f`),
		"a raw control character":   replace(`\u001f`, "\x1f"),
		"a cut character shown":     replace(`"JOBS"`, `"\u004aé€é€é€é€é€é€é€é€"`),
		"another one shown":         replace(`"JOBS"`, `"\u004a.é€é€é€é€é€é€é€é€"`),
		"one more shown":            replace(`"JOBS"`, `"\u004a..é€é€é€é€é€é€é€é€"`),
		"null for text":             replace(`"JOBS"`, `null`),
		"true for text":             replace(`"JOBS"`, `true`),
		"a number for text":         replace(`"JOBS"`, `-1.5e3`),
		"a list for text":           replace(`"JOBS"`, `["JOBS"]`),
		"an object for text":        replace(`"JOBS"`, `{"base64":null,"x":1}`),
		"base64 for plain text":     replace(`"JOBS"`, `{"base64":"Sk9CUw=="}`),
		"BASE64 for plain text":     replace(`"JOBS"`, `{"BASE64":"Sk9CUw=="}`),
		"bad base64 for text":       replace(`"JOBS"`, `{"base64":"Sk9CUw="}`),
		"a number as base64":        replace(`"JOBS"`, `{"base64": 5 }`),
		"numbers as base64":         replace(`"JOBS"`, `{"base64":[74,79,66,83]}`),
		"large numbers as base64":   replace(`"JOBS"`, `{"base64":[74,256]}`),
		"a text as base64 twice":    replace(`"JOBS"`, `{"base64":"AA==","base64":"Sk9CUw=="}`),
		"base64 across lines":       replace(`"data": "ey`, `"data": "e\ny`),
		"base64 unpadded":           replace(`"AP8NCg=="`, `"AP8NCg"`),
		"base64 padded once":        replace(`"AP8NCg=="`, `"AP8NCg="`),
		"base64 padded too much":    replace(`"AP8NCg=="`, `"AP8NCg==="`),
		"base64 with more after":    replace(`"AP8NCg=="`, `"AP8NCg==\nAA=="`),
		"base64 padded first":       replace(`"AP8NCg=="`, `"=AP8NCg="`),
		"base64 padded second":      replace(`"AP8NCg=="`, `"A=P8NCg="`),
		"base64 of a line break":    replace(`"AP8NCg=="`, `"AP8NCg=\r\n="`),
		"base64 for addresses":      replace(`"AP8NCg=="`, `"AP8NC_=="`),
		"base64 with trailing bits": replace(`"AP8NCg=="`, `"AP8NCh=="`),
		"data of numbers":           replace(`"AP8NCg=="`, `[0,255,13,10]`),
		"data of no numbers":        replace(`"AP8NCg=="`, `[0,null,13]`),
		"data of large numbers":     replace(`"AP8NCg=="`, `[0,256]`),
		"null for data":             replace(`"AP8NCg=="`, `null`),
		"other data":                replace(`"AP8NCg=="`, `"AP8NCw=="`),
		"a lone surrogate":          replace("\ufffd", `\ud800`),
		"a pair of surrogates":      replace("\ufffd", `\ud83d\ude00`),
		"surrogates that differ":    replace("\ufffd", `\ude00\ud83d`),
		"a surrogate and a letter":  replace("\ufffd", `\ud800\u0041`),
		"bytes that are no text":    replace("\ufffd", "\xff"),
		"a surrogate in UTF-8":      replace("\ufffd", "\xed\xa0\x80"),
		"a long form of UTF-8":      replace("\ufffd", "\xc0\xaf"),
		"a longer form of UTF-8":    replace("\ufffd", "\xe0\x80\xaf"),
		"the longest form of UTF-8": replace("\ufffd", "\xf0\x80\x80\xaf"),
		"a cut character":           replace("\ufffd", "\xf0\x9f\x98"),
		"beyond Unicode":            replace("\ufffd", "\xf4\x90\x80\x80"),
		"header without a name":     replace(`"header": [`, `"header": [[],`),
		"header of nothing":         replace(`"header": [`, `"header": [null,`),
		"header names unsorted":     replace(`"none"`, `"zone"`),
		"header name twice":         replace(`"none"`, `"plain"`),
		"header name in a case":     replace(`"plain"`, `"Plain"`),
		"header as an object":       replace(`"header": [`, `"header": {}, "x": [`),
		"header as a text":          replace(`"header": [`, `"header": "x", "x": [`),
		"a header value more":       replace(`"none"`, `"none", ""`),
		"a proof of another form":   replace(`"proof": [`, `"proof": ["AA==",`),
		"a proof of null":           replace(`"proof": [`, `"proof": [null,`),
		"a proof of numbers":        replace(`"proof": [`, `"proof": [[5],`),
		"no proof":                  replace(`"proof": [`, `"proof": [], "x": [`),
		"a proof that is null":      replace(`"proof": [`, `"proof": null, "x": [`),
		"no records":                replace(`"records": [`, `"records": [], "x": [`),
		"records that are null":     replace(`"records": [`, `"records": null, "x": [`),
		"null and nothing more":     good[:strings.Index(good, `"records"`)] + `"records":null}`,
		"an empty list":             good[:strings.Index(good, `"records"`)] + `"records":[]}`,
		"a record of null":          replace(`"records": [`, `"records": [null,`),
		"a record that is a number": replace(`"records": [`, `"records": [7,`),
		"a checkpoint as a list":    replace(`"checkpoint": "`, `"checkpoint": [], "x": "`),
		"another subject":           replace("jobs.demo.3.finished", "jobs.demo.4.finished"),
		"another stream":            replace(`"stream": "JOBS"`, `"stream": "OBS"`),
		"no stream":                 replace(`"stream": "JOBS"`, `"stream": ""`),
		"a hostile stream":          replace(`"stream": "JOBS"`, `"stream": "\u0007\u202e\ufeff<b>"`),
		"another sequence":          replace(`"sequence": 3,`, `"sequence": 4,`),
		"a sequence beyond":         replace(`"sequence": 270,`, `"sequence": 301,`),
		"a sequence before":         replace(`"first_sequence": 1,`, `"first_sequence": 4,`),
		"another first":             replace(`"first_sequence": 1,`, `"first_sequence": 2,`),
		"deeply nested":             strings.Repeat("[", 100_000),
		"nested as deep as allowed": `{"x":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + "}",
		"nested once more":          `{"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}",
	}
	for _, cut := range []string{`{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":-`, `{"a":1.`, `{"a":1e`, `{"a":1e+`, `[1`, `[1,`, `["\`, `["\u`, `["\u00`, `tru`, `fals`, `nul`, `-`, `1.`, `"`, `"\`, `[1 2]`, `{1:2}`,
		`{"a" 1}`, `{"a":1 "b"}`, `{"a":1,}`, `[,]`, `[1,]`, `truth`, `falsy`, `nulL`, `["\x"]`, `["\u00g0"]`, "[\"\t\"]", `[01]`, `[.5]`, `[1.e]`, `[1e]`, `['a']`, `["a"'`, `[a]`, "[\xe9]", "[\x00]", "[\x7f]", "[\u200b]", `12 3`, `{}}`} {
		rows[cut] = cut
	}
	var checks []check
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		checks = append(checks, check{name: name, Bundle: []byte(rows[name]), LogKeys: []string{logKey(t)}, SignatureKeys: []file{platformKey}})
	}
	for i, a := range agree(t, checks) {
		if passes := slices.Contains([]string{"as it is", "other white space", "white space after"}, checks[i].name); passes != (a.Code == 0) {
			t.Errorf("%s: exit code %d", checks[i].name, a.Code)
		}
	}
}

// Of proofs of trees of all shapes, right and wrong, the page says what the command says.
func TestThePageAgreesOnTrees(t *testing.T) {
	var checks []check
	add := func(name string, data []byte) {
		checks = append(checks, check{name: name, Bundle: data, LogKeys: []string{logKey(t)}})
	}
	for n := 1; n <= 9; n++ {
		var seqs []uint64
		for seq := range n {
			seqs = append(seqs, uint64(seq+1))
		}
		add(fmt.Sprintf("all of %d", n), sealed(t, n, nil, seqs...))
	}
	add("all of 2^40", countless(t, 1<<40))
	add("all of nearly 2^62", countless(t, 1<<62-1))
	add("2^62", countless(t, 1<<62))
	add("as many as can be", countless(t, 1<<63-1))
	good, err := bundle.Parse(sealed(t, 7, nil, 2, 5, 7))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b *audit.Bundle){
		"a proof that is cut":         func(b *audit.Bundle) { b.Entries[1].Proof = b.Entries[1].Proof[1:] },
		"a proof without its end":     func(b *audit.Bundle) { b.Entries[2].Proof = b.Entries[2].Proof[:1] },
		"a proof with a hash more":    func(b *audit.Bundle) { b.Entries[0].Proof = append(b.Entries[0].Proof, tlog.Hash{}) },
		"a proof with a hash changed": func(b *audit.Bundle) { b.Entries[2].Proof[1][31] ^= 1 },
		"a proof of another record":   func(b *audit.Bundle) { b.Entries[0].Proof = b.Entries[1].Proof },
		"a record twice":              func(b *audit.Bundle) { b.Entries[1] = b.Entries[0] },
		"records out of order":        func(b *audit.Bundle) { slices.Reverse(b.Entries) },
		"sequence and first shifted": func(b *audit.Bundle) {
			b.First++
			for i := range b.Entries {
				b.Entries[i].Seq++
			}
		},
		"a first of the largest number": func(b *audit.Bundle) { b.First = 1<<64 - 1 },
		"a sequence beyond 63 bits":     func(b *audit.Bundle) { b.First = 0; b.Entries[2].Seq = 1<<64 - 1 },
		"another order of values":       func(b *audit.Bundle) { b.Entries[0].Header["x"] = []string{"b", "a"} },
	} {
		b := good
		b.Entries = slices.Clone(good.Entries)
		for i := range b.Entries {
			b.Entries[i].Proof, b.Entries[i].Header = slices.Clone(b.Entries[i].Proof), maps.Clone(b.Entries[i].Header)
		}
		change(&b)
		add(name, encoded(t, b))
	}
	for i, a := range agree(t, checks) {
		if (a.Code == 0) != strings.HasPrefix(checks[i].name, "all of ") {
			t.Errorf("%s: exit code %d", checks[i].name, a.Code)
		}
	}
}

// Of notes, keys, cosignatures and witnesses the page says what the command says.
func TestThePageAgreesOnCheckpoints(t *testing.T) {
	data := sealed(t, 5, nil, 2, 4)
	good, err := bundle.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	text, line, _ := strings.Cut(string(good.Checkpoint), "\n\n")
	text += "\n"
	first, second := audittest.NewWitnessKey("witness.example/w1"), audittest.NewWitnessKey("witness.example/w2")
	again, spaced := audittest.NewWitnessKey("witness.example/w1"), audittest.NewWitnessKey("witness example")
	again.PrivateKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	stranger, err := logkey.Generate("test")
	if err != nil {
		t.Fatal(err)
	}
	signed := func(text string, signers ...note.Signer) string {
		return string(audittest.SignedNote(t, text, signers...))
	}
	both := signed(text, audittest.Signer(t), first, second)
	at := func(seconds uint64) string {
		w := audittest.NewWitnessKey("witness.example/w1")
		w.Now = seconds
		return signed(text, w, audittest.Signer(t))
	}
	raw := func(name string, id uint32, sig []byte) string {
		return "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, id), sig...)) + "\n"
	}
	many := func(n int) (lines string) {
		for i := range n {
			lines += raw(fmt.Sprintf("stranger-%d", i), 7, []byte{1})
		}
		return lines
	}
	changed := strings.Replace(both, "w1 ", "w1 ", 1)
	i := strings.Index(changed, "w1 ") + 60
	changed = changed[:i] + "A" + changed[i+1:]
	if changed[i] == both[i] {
		changed = changed[:i] + "B" + changed[i+1:]
	}
	log := func(keys ...string) []string { return append([]string{logKey(t)}, keys...) }
	key := logKey(t)
	small := "receiver/test/JOBS+" + func() string { // the identity: every key of this point verifies nothing that a key made
		public := append([]byte{1, 1}, make([]byte, 31)...)
		return fmt.Sprintf("%08x+%s", audittest.KeyHash(audittest.Origin, public), base64.StdEncoding.EncodeToString(public))
	}()
	smallID := func() uint32 {
		return audittest.KeyHash(audittest.Origin, append([]byte{1, 1}, make([]byte, 31)...))
	}()
	forged := append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)
	rows := []check{
		{name: "as it is", LogKeys: log()},
		{name: "a key twice", LogKeys: log(key)},
		{name: "keys of all logs", LogKeys: log(audittest.Key(t).VerifierKey(audit.Origin("receiver", "test", "ATTEMPTS")), stranger.VerifierKey(audittest.Origin))},
		{name: "another log key", LogKeys: []string{stranger.VerifierKey(audittest.Origin)}},
		{name: "key of another log", LogKeys: []string{audittest.Key(t).VerifierKey(audit.Origin("receiver", "test", "ATTEMPTS"))}},
		{name: "no key", LogKeys: []string{"hello"}},
		{name: "an empty key", LogKeys: []string{""}},
		{name: "the second key is none", LogKeys: log("x+00000000+AQ==")},
		{name: "a key with another ID", LogKeys: []string{strings.Replace(key, "+23417cb3+", "+23417cb4+", 1)}},
		{name: "a key with a short ID", LogKeys: []string{strings.Replace(key, "+23417cb3+", "+23417cb+", 1)}},
		{name: "a key with an upper-case ID", LogKeys: []string{strings.Replace(key, "+23417cb3+", "+23417CB3+", 1)}},
		{name: "a key of no curve", LogKeys: []string{strings.Replace(key, "+AQ", "+AQ=", 1)}},
		{name: "a key of another kind", LogKeys: []string{"a+" + fmt.Sprintf("%08x", audittest.KeyHash("a", []byte{2, 1})) + "+AgE="}},
		{name: "a key that is short", LogKeys: []string{"a+" + fmt.Sprintf("%08x", audittest.KeyHash("a", []byte{1, 1})) + "+AQE="}},
		{name: "a key with a space in its name", LogKeys: []string{"a\u2003b+" + fmt.Sprintf("%08x", audittest.KeyHash("a\u2003b", []byte{1, 1})) + "+AQE="}},
		{name: "a secret key", LogKeys: []string{audittest.Secret}},
		{name: "a witness's key as the log's", LogKeys: []string{first.VerifierKey()}},
		{name: "the log's key as a witness's", LogKeys: log(), WitnessKeys: []string{key}},
		{name: "a secret key as a witness's", LogKeys: log(), WitnessKeys: []string{audittest.Secret}},
		{name: "a witness's key with another ID", LogKeys: log(), WitnessKeys: []string{strings.Replace(first.VerifierKey(), "w1+", "w1+0", 1)}},
		{name: "no witness has cosigned", LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "both have cosigned", Bundle: []byte(both), LogKeys: log(), WitnessKeys: []string{first.VerifierKey(), second.VerifierKey()}},
		{name: "cosignatures of nobody asked", Bundle: []byte(both), LogKeys: log()},
		{name: "one of two", Bundle: []byte(at(5)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey(), second.VerifierKey()}},
		{name: "one of two is enough", Bundle: []byte(at(5)), LogKeys: log(), WitnessKeys: []string{second.VerifierKey(), first.VerifierKey()}, Witnesses: 1},
		{name: "one of two keys of a witness", Bundle: []byte(at(5)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey(), again.VerifierKey()}},
		{name: "two keys of a witness, neither", LogKeys: log(), WitnessKeys: []string{first.VerifierKey(), again.VerifierKey()}},
		{name: "both keys of a witness", Bundle: []byte(signed(text, audittest.Signer(t), first, again)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey(), again.VerifierKey()}, Witnesses: 2},
		{name: "a witness with a space in its name", LogKeys: log(), WitnessKeys: []string{spaced.VerifierKey()}},
		{name: "more than are given", Bundle: []byte(both), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}, Witnesses: 2},
		{name: "fewer than none", Bundle: []byte(both), LogKeys: log(), Witnesses: -1},
		{name: "a cosignature changed", Bundle: []byte(changed), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature changed of a stranger", Bundle: []byte(changed), LogKeys: log(), WitnessKeys: []string{second.VerifierKey()}},
		{name: "a cosignature of no time", Bundle: []byte(at(0)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature of the first second", Bundle: []byte(at(1)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature of the last second", Bundle: []byte(at(1<<63 - 1)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature later than that", Bundle: []byte(at(1 << 63)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature in the year 12026", Bundle: []byte(at(317_350_000_000)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a cosignature only", Bundle: []byte(signed(text, first)), LogKeys: log(), WitnessKeys: []string{first.VerifierKey()}},
		{name: "a signature line twice", Bundle: []byte(text + "\n" + line + line), LogKeys: log()},
		{name: "a line of a stranger more", Bundle: []byte(text + "\n" + line + raw("stranger", 1, []byte{1})), LogKeys: log()},
		{name: "a line of a stranger, short", Bundle: []byte(text + "\n" + line + raw("stranger", 1, nil)), LogKeys: log()},
		{name: "a line of a stranger with a plus", Bundle: []byte(text + "\n" + line + raw("a+b", 1, []byte{1})), LogKeys: log()},
		{name: "a line of a stranger with a space", Bundle: []byte(text + "\n" + line + raw("a\u2003b", 1, []byte{1})), LogKeys: log()},
		{name: "a line without a name", Bundle: []byte(text + "\n" + line + raw("", 1, []byte{1})), LogKeys: log()},
		{name: "100 lines", Bundle: []byte(text + "\n" + line + many(99)), LogKeys: log()},
		{name: "101 lines", Bundle: []byte(text + "\n" + line + many(100)), LogKeys: log()},
		{name: "the key's line cut", Bundle: []byte(text + "\n" + raw(audittest.Origin, 0x23417cb3, []byte{1})), LogKeys: log()},
		{name: "no line", Bundle: []byte(text + "\n"), LogKeys: log()},
		{name: "no blank line", Bundle: []byte(text + line), LogKeys: log()},
		{name: "two blank lines", Bundle: []byte(text + "\n\n" + line), LogKeys: log()},
		{name: "a blank line after", Bundle: []byte(text + "\n" + line + "\n"), LogKeys: log()},
		{name: "no line break at the end", Bundle: []byte(text + "\n" + strings.TrimSuffix(line, "\n")), LogKeys: log()},
		{name: "CR LF", Bundle: []byte(strings.ReplaceAll(text+"\n"+line, "\n", "\r\n")), LogKeys: log()},
		{name: "CR within the base64", Bundle: []byte(text + "\n" + strings.TrimSuffix(line, "\n") + "\r\n"), LogKeys: log()},
		{name: "CR within the root", Bundle: []byte(strings.TrimSuffix(text, "\n") + "\r\n\n" + line), LogKeys: log()},
		{name: "a hyphen for the dash", Bundle: []byte(text + "\n" + strings.Replace(line, "\u2014", "-", 1)), LogKeys: log()},
		{name: "a control character in a name", Bundle: []byte(text + "\n" + line + raw("a\x01b", 1, []byte{1})), LogKeys: log()},
		{name: "DEL in a name", Bundle: []byte(text + "\n" + line + raw("a\x7fb", 1, []byte{1})), LogKeys: log()},
		{name: "nothing", Bundle: []byte("\n"), LogKeys: log()},
		{name: "an empty point that signs all", Bundle: []byte(text + "\n" + raw(audittest.Origin, smallID, forged)), LogKeys: []string{small}},
	}
	for name, text := range map[string]string{
		"two lines":             "receiver/test/JOBS\n5\n",
		"an extension line":     text + "more\n",
		"no origin":             strings.TrimPrefix(text, audittest.Origin),
		"a size with a plus":    strings.Replace(text, "\n5\n", "\n+5\n", 1),
		"a size with a zero":    strings.Replace(text, "\n5\n", "\n05\n", 1),
		"a size below zero":     strings.Replace(text, "\n5\n", "\n-5\n", 1),
		"minus zero":            strings.Replace(text, "\n5\n", "\n-0\n", 1),
		"a size of hexadecimal": strings.Replace(text, "\n5\n", "\n0x5\n", 1),
		"a size of underscores": strings.Replace(text, "\n5\n", "\n1_0\n", 1),
		"another size":          strings.Replace(text, "\n5\n", "\n6\n", 1),
		"a size of none":        strings.Replace(text, "\n5\n", "\n0\n", 1),
		"a size beyond floats":  strings.Replace(text, "\n5\n", "\n9007199254740993\n", 1),
		"the largest size":      strings.Replace(text, "\n5\n", "\n4611686018427387904\n", 1),
		"a size too large":      strings.Replace(text, "\n5\n", "\n4611686018427387905\n", 1),
		"a size beyond 63 bits": strings.Replace(text, "\n5\n", "\n9223372036854775808\n", 1),
		"a root unpadded":       strings.Replace(text, "=\n", "\n", 1),
		"a root of other bits":  text[:len(text)-3] + string(text[len(text)-3]+1) + "=\n",
		"a short root":          "receiver/test/JOBS\n5\nAA==\n",
		"another root":          "receiver/test/JOBS\n5\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n",
		"another origin":        strings.Replace(text, "JOBS", "jobs", 1),
	} {
		rows = append(rows, check{name: name + ", signed", Bundle: []byte(signed(text, audittest.Signer(t))), LogKeys: log()},
			check{name: name, Bundle: []byte(text + "\n" + line), LogKeys: log()})
	}
	for i, row := range rows {
		if row.Bundle == nil {
			rows[i].Bundle = data
			continue
		}
		b := good
		b.Checkpoint = row.Bundle
		rows[i].Bundle = encoded(t, b)
	}
	rows = append(rows, nowhere(t, good))
	passed := slices.DeleteFunc(agree(t, rows), func(a answer) bool { return a.Code != 0 })
	if n := len(passed); n < 10 || n > 20 {
		t.Errorf("%d of %d pass", n, len(rows))
	}
}

// nowhere is a check of a bundle that names no stream, of a log whose origin names none.
func nowhere(t *testing.T, b audit.Bundle) check {
	t.Helper()
	origin := strings.TrimSuffix(audittest.Origin, "JOBS")
	signer, err := audittest.Key(t).Signer(origin)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(b.Checkpoint), "\n\n")
	b.Entries = slices.Clone(b.Entries)
	b.Checkpoint = audittest.SignedNote(t, origin+strings.TrimPrefix(text, audittest.Origin)+"\n", signer)
	b.Entries[0].Stream = ""
	return check{name: "no stream, of a log without one", Bundle: encoded(t, b), LogKeys: []string{audittest.Key(t).VerifierKey(origin)}}
}

// The bundle that docs/evidence.md shows passes, with the keys that it shows; so does a large one
// without white space.
func TestThePageAgreesOnTheDocumentedBundle(t *testing.T) {
	page, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```json\n")
	shown, _, _ := strings.Cut(rest, "```")
	var seqs []uint64
	for seq := range 600 {
		seqs = append(seqs, uint64(seq+1))
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, sealed(t, 600, map[uint64]func(*audit.Record){270: awkward}, seqs...)); err != nil {
		t.Fatal(err)
	}
	for i, a := range agree(t, []check{
		{name: "documented", Bundle: []byte(shown), LogKeys: []string{logKey(t)}, SignatureKeys: []file{platformKey}},
		{name: "large", Bundle: compact.Bytes(), LogKeys: []string{logKey(t)}, SignatureKeys: []file{platformKey}},
	}) {
		if a.Code != 0 {
			t.Errorf("bundle %d: exit code %d", i, a.Code)
		}
	}
}
