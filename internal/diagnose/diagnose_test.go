package diagnose_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"slices"
	"strings"
	"testing"

	"receiver/internal/diagnose"
	"receiver/internal/verify"
)

const (
	ours   = "MySecretEventSignatureKey"
	theirs = "the-key-of-another-source"
	notice = `{"status":"COMPLETED","id":"42114492","note":"<Zoë & sons> a/b","rows":[1,2.50,true,null,{}]}`
)

// explained is a signature that does not verify, and why.
type explained struct {
	name   string
	code   string
	proved bool
	// values is the header; key, if set, replaces ours as the configured key.
	values  []string
	key     string
	body    string
	earlier []diagnose.Earlier
}

// made returns a row whose only fault is what a key or body other than the configured
// one makes.
func made(code, key, body string, change func(*explained)) explained {
	e := explained{name: code, code: code, proved: true, values: []string{signature(key, body)}, key: ours, body: notice}
	if change != nil {
		change(&e)
	}
	return e
}

// written returns a row in which the right HMAC is written otherwise.
func written(code string, values ...string) explained {
	return explained{name: code, code: code, proved: true, values: values, key: ours, body: notice}
}

func rows() []explained {
	return slices.Concat(headerRows(), hashRows(), keyRows(), bodyRows(), jsonRows(), pairRows(), unprovedRows())
}

func TestExplain(t *testing.T) {
	reached := map[string]bool{}
	for _, tt := range rows() {
		t.Run(tt.name, func(t *testing.T) {
			found := explain(t, tt)
			for _, f := range found {
				for code := range strings.SplitSeq(f.Code, "+") {
					reached[code] = true
				}
			}
			if found[0].Code != tt.code || found[0].Proved != tt.proved {
				t.Errorf("Explain begins with %s (proved %v), want %s (%v); all: %+v", found[0].Code, found[0].Proved, tt.code, tt.proved, found)
			}
			if (tt.proved || len(tt.values) == 0) && hasCode(found, "unexplained") {
				t.Errorf("Explain = %+v, want no word of what was tried in vain", found)
			}
			for i, f := range found {
				if hasCode(found[:i], f.Code) {
					t.Errorf("Explain says %s twice: %+v", f.Code, found)
				}
			}
		})
	}
	for _, code := range diagnose.Codes() {
		if !reached[code] {
			t.Errorf("no row leads to %s", code)
		}
	}
}

func headerRows() []explained {
	sum := mac(sha256.New, ours, notice)
	b64, hexed := base64.StdEncoding.EncodeToString(sum), hex.EncodeToString(sum)
	// A digest whose base64 has both + and /, so that what happens to them shows.
	body, odd := oddBody()
	right := "sha256=" + b64
	over := func(e explained) explained { e.body = body; return e }
	return []explained{
		written("accepted", right),
		{name: "no header", code: "signature_missing", key: ours, body: notice},
		{name: "nothing but a comma", code: "signature_comma_list", values: []string{","}, key: ours, body: notice},
		{name: "empty header", code: "signature_missing", values: []string{" "}, key: ours, body: notice},
		written("signature_several_headers", right, right),
		written("signature_several_headers", "sha256=AAAA", right),
		written("signature_comma_list", "sha1=x, "+right),
		written("signature_header_name", "Elements-Webhook-Signature: "+right),
		written("signature_header_name", "elements-webhook-signature:"+right),
		written("signature_quoted", `"`+right+`"`),
		written("signature_quoted", `sha256='`+b64+`'`),
		written("signature_white_space", right+"\r\n"),
		written("signature_white_space", "\u00a0"+right),
		written("signature_white_space", "sha256="+b64[:20]+"\n"+b64[20:]),
		written("signature_no_scheme", b64),
		written("signature_scheme", "hmac-sha256="+b64),
		written("signature_scheme", "sha256:"+b64),
		written("signature_scheme", "SHA256 = "+b64),
		written("signature_scheme", "sha1="+b64),
		written("signature_hex", "sha256="+hexed),
		written("signature_hex", "sha256="+strings.ToUpper(hexed)),
		over(written("signature_url_safe", "sha256="+base64.URLEncoding.EncodeToString(odd))),
		written("signature_unpadded", "sha256="+strings.TrimRight(b64, "=")),
		written("signature_unpadded", right+"="),
		over(written("signature_plus_lost", "sha256="+strings.ReplaceAll(base64.StdEncoding.EncodeToString(odd), "+", " "))),
		written("signature_escaped", "sha256="+strings.ReplaceAll(b64, "=", "%3D")),
		written("signature_base64_of_hex", "sha256="+base64.StdEncoding.EncodeToString([]byte(hexed))),
		written("signature_not_canonical", "sha256="+nextBits(b64)),
		written("signature_no_scheme+signature_hex", hexed),
		written("signature_quoted+signature_header_name", `"Elements-Webhook-Signature: `+right+`"`),
	}
}

func hashRows() []explained {
	sha1Of := mac(sha1.New, ours, notice)
	sha512Of := mac(sha512.New, ours, notice)
	plain := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, "")))
		return "sha256=" + base64.StdEncoding.EncodeToString(sum[:])
	}
	bare := sha1.Sum([]byte(notice))
	return []explained{
		written("signature_sha1", "sha1="+base64.StdEncoding.EncodeToString(sha1Of)),
		written("signature_sha1", "sha256="+base64.StdEncoding.EncodeToString(sha1Of)),
		written("signature_sha512", "sha512="+base64.StdEncoding.EncodeToString(sha512Of)),
		written("signature_hex+signature_sha1", "sha1="+hex.EncodeToString(sha1Of)),
		written("hash_without_key", plain(notice)),
		written("hash_of_key_body", plain(ours, notice)),
		written("hash_of_body_key", plain(notice, ours)),
		written("hash_key_exchanged", signature(notice, ours)),
		written("signature_sha1+hash_without_key", "sha1="+base64.StdEncoding.EncodeToString(bare[:])),
	}
}

func keyRows() []explained {
	configured := func(key string) func(*explained) { return func(e *explained) { e.key = key } }
	const hexKey, b64Key = "00112233445566778899aabbccddeeff", "c2VjcmV0IGtleSBvZiB0aGUgdGVzdHM="
	decoded, err := hex.DecodeString(hexKey)
	if err != nil {
		panic(err)
	}
	long := strings.Repeat("abcdefgh", 20)
	return []explained{
		made("key_of_other", theirs, notice, nil),
		made("key_empty", "", notice, nil),
		made("key_newline", ours+"\n", notice, nil),
		made("key_crlf", ours+"\r\n", notice, nil),
		made("key_spaces", " "+ours+" ", notice, nil),
		made("key_spaces", " "+ours, notice, nil),
		made("key_spaces", ours+" ", notice, nil),
		made("key_spaces", ours+"\t", notice, nil),
		made("key_quoted", `"`+ours+`"`, notice, nil),
		made("key_quoted", `'`+ours+`'`, notice, nil),
		made("key_bom", "\ufeff"+ours, notice, nil),
		made("key_cut", long[:128], notice, configured(long)),
		made("key_latin1", "cl\xe9 de signature", notice, configured("clé de signature")),
		made("key_hex_case", strings.ToUpper(hexKey), notice, configured(hexKey)),
		made("key_hex_case", hexKey, notice, configured(strings.ToUpper(hexKey))),
		made("key_base64_decoded", "secret key of the tests", notice, configured(b64Key)),
		made("key_base64_decoded", "secret key of the tests", notice, configured(strings.TrimRight(b64Key, "="))),
		made("key_base64_encoded", base64.StdEncoding.EncodeToString([]byte(ours)), notice, nil),
		made("key_hex_decoded", string(decoded), notice, configured(hexKey)),
		made("key_hex_encoded", hex.EncodeToString([]byte(ours)), notice, nil),
		made("key_hex_encoded", strings.ToUpper(hex.EncodeToString([]byte(ours))), notice, nil),
		made("key_trimmed", ours, notice, configured(ours+"\n")),
		made("key_trimmed", ours, notice, configured(" "+ours+"\r\n")),
		made("key_trimmed", " "+ours, notice, configured(" "+ours+"\r\n")),
		made("key_unquoted", ours, notice, configured(`"`+ours+`"`)),
		made("key_without_bom", ours, notice, configured("\ufeff"+ours)),
		made("key_unquoted", ours, notice, configured("“"+ours+"”")),
		made("key_unquoted", ours, notice, configured("»"+ours+"«")),
		made("key_unquoted", ours, notice, configured(`"`+ours+`" `)),
		made("key_utf16", units("\xff\xfe", ours, 0), notice, nil),
		made("key_utf16", units("\xff\xfe", ours+"\r\n", 0), notice, nil),
		made("key_utf16", units("", ours, 0), notice, nil),
		made("key_utf16", units("\xfe\xff", ours, 1), notice, nil),
		made("key_utf16", units("", ours, 1), notice, nil),
		made("key_without_utf16", ours, notice, configured(units("\xff\xfe", ours+"\r\n", 0))),
		made("key_without_utf16", ours, notice, configured(units("\xff\xfe", ours, 0))),
		made("key_without_utf16", ours, notice, configured(units("", ours+"\r\n", 0))),
		made("key_without_utf16", ours, notice, configured(units("\xfe\xff", ours+"\r", 1)+"\x00")),
		made("key_without_utf16", ours, notice, configured(units("", ours, 1))),
		made("key_without_nul", ours, notice, configured("\x00"+ours)), // at the end they change nothing
		made("key_without_nul", ours, notice, configured(ours[:3]+"\x00"+ours[3:])),
	}
}

// units writes ASCII in UTF-16, the byte of each character at an even or an odd place.
func units(mark, ascii string, place int) string {
	b := []byte(mark)
	for _, c := range []byte(ascii) {
		pair := [2]byte{}
		pair[place] = c
		b = append(b, pair[:]...)
	}
	return string(b)
}

func bodyRows() []explained {
	came := func(body string) func(*explained) { return func(e *explained) { e.body = body } }
	with := func(label, body string) func(*explained) {
		return func(e *explained) { e.earlier = []diagnose.Earlier{{Label: label, Body: []byte(body)}} }
	}
	const crlf, lf = "{\r\n\"id\":\r\n\"1\"}", "{\n\"id\":\n\"1\"}"
	packed := pack(notice)
	return []explained{
		made("body_crlf", ours, crlf, came(lf)),
		made("body_lf", ours, lf, came(crlf)),
		made("body_newline_removed", ours, notice+"\n", nil),
		made("body_newline_removed", ours, notice+"\r\n", nil),
		made("body_newline_added", ours, notice, came(notice+"\n")),
		made("body_newline_added", ours, notice, came(notice+"\r\n")),
		made("body_space_added", ours, notice, came("  "+notice+" ")),
		made("body_bom_removed", ours, "\ufeff"+notice, nil),
		made("body_bom_added", ours, notice, came("\ufeff"+notice)),
		made("body_compressed", ours, notice, came(packed)),
		made("body_uncompressed", ours, packed, nil),
		made("body_base64", ours, notice, came(base64.StdEncoding.EncodeToString([]byte(notice)))),
		made("body_truncated", ours, notice+notice, with("attempt 17", notice+notice)),
		made("body_extended", ours, notice[:20], with("attempt 17", notice[:20])),
		made("body_of_earlier", ours, "another body", with("attempt 17", "another body")),
	}
}

// The bodies that were signed are written by serialisers that share nothing with ours.
func jsonRows() []explained {
	var value any
	if err := json.Unmarshal([]byte(`{"b":"<é/>","a":[1,{"d":"x","c":[]}]}`), &value); err != nil {
		panic(err)
	}
	came := func(body string) func(*explained) {
		return func(e *explained) { e.name, e.body = "JSON that came as "+body, body }
	}
	const given = `{"b": "<é/>","a": [1,{"d":"x","c":[]}] }`
	plain := func(indent string) string {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", indent)
		if err := e.Encode(value); err != nil {
			panic(err)
		}
		return strings.TrimSuffix(out.String(), "\n")
	}
	html, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	rows := []explained{
		made("body_json", ours, plain(""), came(given)),
		made("body_json", ours, plain("  "), came(given+" ")),
		made("body_json", ours, plain("    "), came(given+"  ")),
		made("body_json", ours, plain("\t"), came(given+"   ")),
		made("body_json", ours, string(html), came(given+"    ")),
	}
	for _, signed := range []string{
		`{"b":"<é/>","a":[1,{"d":"x","c":[]}]}`,                // JavaScript: JSON.stringify
		`{"b": "<\u00e9/>", "a": [1, {"d": "x", "c": []}]}`,    // Python: json.dumps
		`{"a": [1, {"c": [], "d": "x"}], "b": "<\u00e9/>"}`,    // the same, sort_keys=True
		`{"b":"<\u00e9\/>","a":[1,{"d":"x","c":[]}]}`,          // PHP: json_encode
		`{"b":"<é\/>","a":[1,{"d":"x","c":[]}]}`,               // the same, JSON_UNESCAPED_UNICODE
		`{"b":"<\u00E9/>","a":[1,{"d":"x","c":[]}]}`,           // Java: Jackson, ESCAPE_NON_ASCII
		`{"b":"\u003C\u00E9/\u003E","a":[1,{"d":"x","c":[]}]}`, // .NET: JsonSerializer
		"{\n  \"b\": \"<é/>\",\n  \"a\": [\n    1,\n    {\n      \"d\": \"x\",\n" + // JavaScript, indented
			"      \"c\": []\n    }\n  ]\n}",
	} {
		row := made("body_json", ours, signed, came(given))
		row.name = "JSON signed as " + signed
		rows = append(rows, row)
	}
	// Escapes that came and were not signed, a character beyond 16 bits, numbers whose
	// digits a float would lose, and two members of one name.
	for came, signed := range map[string]string{
		`{"a":"\u00e9\/\u003c"}`:                 `{"a":"é/<"}`,
		`{ "a":"😀"}`:                             `{"a":"\ud83d\ude00"}`,
		`{ "a":12345678901234567890,"b":1.50}`:   `{"a":12345678901234567890,"b":1.50}`,
		`{ "a":1,"a":2}`:                         `{"a":1,"a":2}`,
		"{ \"a\":\"\\u0008\\u0001\\t\\\\\\\"\"}": `{"a":"\b\u0001\t\\\""}`,
	} {
		row := made("body_json", ours, signed, nil)
		row.name, row.body = "JSON that came as "+came, came
		rows = append(rows, row)
	}
	return rows
}

func pairRows() []explained {
	sum := mac(sha256.New, ours+"\n", notice)
	come := func(body string) func(*explained) { return func(e *explained) { e.body = body } }
	hexed := func(e *explained) {
		e.values = []string{"sha256=" + hex.EncodeToString(mac(sha256.New, ours, notice))}
		e.body = notice + "\n"
	}
	return []explained{
		written("signature_hex+key_newline", "sha256="+hex.EncodeToString(sum)),
		written("signature_no_scheme+signature_hex+key_newline", hex.EncodeToString(sum)),
		made("signature_hex+body_newline_added", ours, notice, hexed),
		made("key_of_other+key_newline", theirs+"\n", notice, nil),
		made("key_empty+key_newline", "\n", notice, nil),
		made("key_quoted+key_newline", `"`+ours+`"`+"\n", notice, nil),
		made("key_newline+body_newline_removed", ours+"\n", notice+"\n", nil),
		made("key_of_other+body_bom_removed", theirs, "\ufeff"+notice, nil),
		made("body_json+body_newline_removed", ours, notice+"\n", come(strings.ReplaceAll(notice, ",", ", "))),
		made("body_newline_removed+body_crlf", ours, "a\r\nb\r\n", come("a\nb")),
		made("hash_of_key_body+key_newline", ours, notice, func(e *explained) {
			sum := sha256.Sum256([]byte(ours + "\n" + notice))
			e.values = []string{"sha256=" + base64.StdEncoding.EncodeToString(sum[:])}
		}),
		made("hash_without_key+body_newline_removed", ours, notice, func(e *explained) {
			sum := sha256.Sum256([]byte(notice + "\n"))
			e.values = []string{"sha256=" + base64.StdEncoding.EncodeToString(sum[:])}
		}),
	}
}

// Rows that no computation proves: only the form of the header or of the body suggests them, or
// nothing does.
func unprovedRows() []explained {
	unproved := func(e explained) explained { e.proved = false; return e }
	strange := signature("a key that nobody here has", notice)
	came := func(body string) func(*explained) {
		return func(e *explained) { e.values, e.body = []string{strange}, body }
	}
	return []explained{
		unproved(made("unexplained", "a key that nobody here has", notice, nil)),
		unproved(made("unexplained", ours, `{"a":1}`, func(e *explained) { e.body = `{ "a":1} {}` })),
		unproved(written("signature_hex", "sha256="+strings.Repeat("ab", 32))),
		unproved(written("signature_sha1", "sha1="+base64.StdEncoding.EncodeToString(make([]byte, 20)))),
		unproved(written("signature_length", "sha256=AAAA")),
		unproved(written("signature_not_base64", "sha256=neither!")),
		unproved(written("signature_no_scheme", "nonsense")),
		unproved(made("signature_of_earlier", "", "", func(e *explained) {
			e.values = []string{strange}
			e.earlier = []diagnose.Earlier{{Label: "event 3", Values: []string{strange}, Body: []byte("other")}}
		})),
		unproved(made("body_truncated", "", "", func(e *explained) {
			e.values = []string{strange}
			e.earlier = []diagnose.Earlier{{Label: "event 3", Body: []byte(notice + " and more")}, {Label: "event 2", Body: []byte(notice + "!")}}
		})),
		unproved(made("body_incomplete", "", "", came(notice[:40]))),
		unproved(made("body_compressed", "", "", came(pack("no secret here")))),
	}
}

func TestUnexplainedSaysWhatWasTried(t *testing.T) {
	q := diagnose.Question{
		Values: []string{signature("strange", "")}, Body: bytes.Repeat([]byte(" "), 300<<10),
		Keys: []diagnose.Candidate{diagnose.NewCandidate("crm", "first", []byte(ours))},
	}
	for i := range 80 {
		q.Others = append(q.Others, diagnose.NewCandidate("shop", fmt.Sprint(i), fmt.Appendf(nil, "key %d", i)))
	}
	last := func() diagnose.Finding { found := diagnose.Explain(q); return found[len(found)-1] }
	got := last()
	if got.Code != "unexplained" || !slices.Contains(got.Tried, "1 key of the source and 80 keys of other sources, unchanged") {
		t.Errorf("Explain = %+v, want what was tried", got)
	}
	for _, want := range []string{"earlier callbacks", "JSON", "gzip", "too large to try all"} {
		if !strings.Contains(strings.Join(got.Skipped, "\n"), want) {
			t.Errorf("Skipped = %q, want a word of %s", got.Skipped, want)
		}
	}
	q.Body, q.Earlier = []byte("{}"), []diagnose.Earlier{{Label: "x", Body: []byte("x")}}
	got = last()
	if len(got.Skipped) > 0 || slices.Contains(got.Tried, "0 hashes in all") {
		t.Errorf("Explain of a small body with all there is = %+v, want nothing skipped", got)
	}
	for _, want := range []string{"1 earlier callback", "JSON", "two of these", " hashes in all"} {
		if !strings.Contains(strings.Join(got.Tried, "\n"), want) {
			t.Errorf("Tried = %q, want a word of %s", got.Tried, want)
		}
	}
}

// Unauthenticated senders supply the callbacks that a signature is compared with. Transforming
// their bodies counts as work like the hashes, also without a result.
func TestTheWorkIsBoundedWhateverTheBodiesAre(t *testing.T) {
	for _, tt := range []struct {
		name    string
		body    func(i int) string // of an earlier callback
		skipped bool
	}{
		{"ordinary callbacks", func(i int) string { return fmt.Sprintf(`{"id":%d,"note":"<Zoë> a/b%s"}`, i, strings.Repeat("y", 300)) }, false},
		{"gzip that unpacks to more than is looked at", func(i int) string { return pack(strings.Repeat("x", 9<<20+i)) }, true},
		{"gzip that unpacks to much", func(i int) string { return pack(strings.Repeat("x", 8<<20-i)) }, true},
		{"gzip that breaks off", func(i int) string { p := pack(strings.Repeat("x", 8<<20-i)); return p[:len(p)-1] }, true},
		{"JSON that is all numbers", func(i int) string { return fmt.Sprintf("[%d%s]", i, strings.Repeat(",1", 6<<10)) }, true},
		{"JSON that is nested too deep", func(i int) string {
			return fmt.Sprintf("[[%d%s],%s%s]", i, strings.Repeat(",1", 6<<10), strings.Repeat("[", 100), strings.Repeat("]", 100))
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := diagnose.Question{
				Values: []string{signature("strange", "")}, Body: []byte(notice),
				Keys: []diagnose.Candidate{diagnose.NewCandidate("crm", "first", []byte(ours))},
			}
			for i := range 4 {
				e := diagnose.Earlier{Label: fmt.Sprint(i), Body: []byte(tt.body(i))}
				q.Earlier = append(q.Earlier, slices.Repeat([]diagnose.Earlier{e}, 100)...)
			}
			found := diagnose.Explain(q)
			last := found[len(found)-1]
			if skipped := strings.Contains(strings.Join(last.Skipped, "\n"), "too large to try all"); skipped != tt.skipped {
				t.Errorf("Explain leaves out a part: %v, want %v; skipped %q", skipped, tt.skipped, last.Skipped)
			}
		})
	}
}

// The callback in question is often among those that are kept.
func TestTheSameCallbackIsNoEarlierOne(t *testing.T) {
	strange := signature("strange", notice)
	found := diagnose.Explain(diagnose.Question{
		Values: []string{strange}, Body: []byte(notice), Keys: []diagnose.Candidate{diagnose.NewCandidate("", "k", []byte(ours))},
		Earlier: []diagnose.Earlier{{Label: "itself", Values: []string{strange}, Body: []byte(notice)}},
	})
	if hasCode(found, "signature_of_earlier") {
		t.Errorf("Explain = %+v, want no word of an earlier callback", found)
	}
}

func TestExplainWithoutKeys(t *testing.T) {
	for _, keys := range [][]diagnose.Candidate{nil, {{}}, {diagnose.NewCandidate("", "blank", []byte(" \n"))}} {
		q := diagnose.Question{Values: []string{signature(" \n", notice)}, Body: []byte(notice), Keys: keys}
		if found := diagnose.Explain(q); found[0].Code != "unexplained" {
			t.Errorf("Explain with keys %v = %+v, want unexplained", keys, found)
		}
	}
}

func TestCandidatesDoNotPrintTheirSecret(t *testing.T) {
	q := diagnose.Question{Keys: []diagnose.Candidate{diagnose.NewCandidate("crm", "first", []byte(ours))}}
	wrapped := struct{ q diagnose.Question }{q}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", q, q, q, q.Keys[0], q.Keys), fmt.Sprintf("%v %+v %#v", wrapped, wrapped, wrapped),
		fmt.Sprintf("%x %X", q, q.Keys),
	} {
		if strings.Contains(text, ours) || strings.Contains(text, hex.EncodeToString([]byte(ours))) {
			t.Errorf("%q gives the secret away", text)
		}
	}
	data, err := json.Marshal(q)
	if err != nil || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString([]byte(ours)))) || bytes.Contains(data, []byte(ours)) {
		t.Errorf("Marshal = %s, %v, want no secret", data, err)
	}
	if got, want := q.Keys[0].String(), `key "first" of source crm`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

// The cost of one question, small and large; the latter reaches the limit of the work.
func BenchmarkExplain(b *testing.B) {
	for _, size := range []int{len(notice), 64 << 10, 8 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			body := []byte(`{"a":"` + strings.Repeat("é/<", size/4) + `"}`)
			q := diagnose.Question{Values: []string{signature("strange", string(body))}, Body: body}
			for i := range 20 {
				q.Others = append(q.Others, diagnose.NewCandidate("other", fmt.Sprint(i), fmt.Appendf(nil, "key %d", i)))
			}
			q.Keys = []diagnose.Candidate{diagnose.NewCandidate("", "k", []byte(ours))}
			for b.Loop() {
				diagnose.Explain(q)
			}
		})
	}
}

// FuzzExplain shows that nothing panics, that Explain and Verify agree on accepted callbacks, that
// every refusal has its finding, and that no finding contains a secret.
func FuzzExplain(f *testing.F) {
	for _, tt := range rows() {
		value, earlier := "", ""
		if len(tt.values) > 0 {
			value = tt.values[0]
		}
		if len(tt.earlier) > 0 {
			earlier = string(tt.earlier[0].Body)
		}
		f.Add(value, "", len(tt.values) > 1, []byte(tt.body), []byte(earlier))
	}
	k, err := verify.NewKey("k", []byte(ours), verify.Window{})
	if err != nil {
		f.Fatal(err)
	}
	verifier, err := verify.New(k)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value, second string, two bool, body, earlier []byte) {
		tt := explained{values: []string{value}, key: ours, body: string(body)}
		if two {
			tt.values = append(tt.values, second)
		}
		tt.earlier = []diagnose.Earlier{{Label: "earlier", Values: []string{second}, Body: earlier}}
		found := explain(t, tt)
		verdict := verifier.Verify(tt.values, body)
		if verdict.Accepted() != (found[0].Code == "accepted") {
			t.Fatalf("Verify = %v, and Explain = %+v", verdict, found)
		}
		if !verdict.Accepted() && verdict.Reason != verify.Mismatch && !strings.Contains(found[0].Code, "signature_") {
			t.Fatalf("Verify = %v, and Explain = %+v finds nothing wrong with the header", verdict, found)
		}
	})
}

// explain asks Explain, and holds every answer to what is promised of all.
func explain(t *testing.T, tt explained) []diagnose.Finding {
	t.Helper()
	found := diagnose.Explain(diagnose.Question{
		Values: tt.values, Body: []byte(tt.body), Earlier: tt.earlier,
		Keys:   []diagnose.Candidate{diagnose.NewCandidate("crm", "first", []byte(tt.key))},
		Others: []diagnose.Candidate{diagnose.NewCandidate("shop", "second", []byte(theirs))},
	})
	if len(found) == 0 {
		t.Fatal("Explain found nothing, want at least one finding")
	}
	for _, f := range found {
		for code := range strings.SplitSeq(f.Code, "+") {
			if !slices.Contains(diagnose.Codes(), code) {
				t.Errorf("code %q is none of Codes()", code)
			}
		}
		if f.Text == "" || f.Next == "" || strings.Contains(f.Text+f.Next, "%s") || strings.Contains(f.Text+f.Next, "%!") {
			t.Errorf("%s has the text %q and the next step %q, want sentences", f.Code, f.Text, f.Next)
		}
	}
	tellsNothing(t, tt, found)
	return found
}

// tellsNothing fails if a finding holds a key, an expected HMAC, or the signature in question.
func tellsNothing(t *testing.T, tt explained, found []diagnose.Finding) {
	t.Helper()
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(found); err != nil {
		t.Fatal(err)
	}
	secrets := []string{}
	for _, key := range []string{tt.key, strings.TrimSpace(tt.key), ours, theirs} {
		secrets = append(secrets, key, strings.ToUpper(key),
			base64.StdEncoding.EncodeToString([]byte(key)), hex.EncodeToString([]byte(key)))
		for _, h := range []func() hash.Hash{sha1.New, sha256.New, sha512.New} {
			secrets = append(secrets, encodings(mac(h, key, tt.body))...)
			for _, e := range tt.earlier {
				secrets = append(secrets, encodings(mac(h, key, string(e.Body)))...)
			}
		}
	}
	for _, v := range tt.values {
		if len(v) > 40 {
			secrets = append(secrets, v)
		}
	}
	for _, s := range secrets {
		if strings.Contains(text.String(), s) {
			t.Errorf("%s tells the secret %q", &text, s)
		}
	}
}

// encodings returns a digest in the forms in which it could appear; the beginning of it is enough.
func encodings(sum []byte) []string {
	b64, hexed := base64.StdEncoding.EncodeToString(sum), hex.EncodeToString(sum)
	return []string{b64[:12], base64.URLEncoding.EncodeToString(sum)[:12], hexed[:12], strings.ToUpper(hexed[:12])}
}

func hasCode(found []diagnose.Finding, code string) bool {
	return slices.ContainsFunc(found, func(f diagnose.Finding) bool { return f.Code == code })
}

// signature returns the header that a key makes over a body.
func signature(key, body string) string {
	return "sha256=" + base64.StdEncoding.EncodeToString(mac(sha256.New, key, body))
}

func mac(h func() hash.Hash, key, body string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(body))
	return m.Sum(nil)
}

// oddBody returns a body, and its HMAC, whose base64 has + and / in it.
func oddBody() (string, []byte) {
	for i := 0; ; i++ {
		body := fmt.Sprintf(`{"n":%d}`, i)
		sum := mac(sha256.New, ours, body)
		if b64 := base64.StdEncoding.EncodeToString(sum); strings.Contains(b64, "+") && strings.Contains(b64, "/") {
			return body, sum
		}
	}
}

// nextBits sets bits that belong to nothing in the last character of a digest's base64.
func nextBits(b64 string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := strings.IndexByte(alphabet, b64[42])
	return b64[:42] + alphabet[i+1:i+2] + "="
}

func pack(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.String()
}
