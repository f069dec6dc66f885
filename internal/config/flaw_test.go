package config_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"receiver/internal/config"
)

// wide writes text in UTF-16, little-endian or big-endian.
func wide(mark, text string, bigEndian bool) string {
	out := []byte(mark)
	for _, u := range utf16.Encode([]rune(text)) {
		if bigEndian {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// wider writes ASCII in UTF-32.
func wider(mark, text string, place int) string {
	out := []byte(mark)
	for _, c := range []byte(text) {
		unit := [4]byte{}
		unit[place] = c
		out = append(out, unit[:]...)
	}
	return string(out)
}

const thekey = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// flawed are contents of a file of which no secret is made, and what is said of each.
var flawed = []struct{ name, content, wrong string }{
	{"UTF-16 of PowerShell", wide("\xff\xfe", thekey+"\r\n", false), "is in UTF-16: it begins with the byte order mark FF FE"},
	{"UTF-16", wide("\xff\xfe", thekey, false), "is in UTF-16: "},
	{"UTF-16 big-endian", wide("\xfe\xff", thekey+"\r\n", true), "is in UTF-16: "},
	{"UTF-16 without mark", wide("", thekey+"\r\n", false), "is in UTF-16 without a byte order mark"},
	{"UTF-16 big-endian without mark", wide("", thekey+"\r\n", true), "is in UTF-16 without a byte order mark"},
	{"UTF-16 of other letters", wide("\xff\xfe", "ключ подписи", false), "is in UTF-16: "},
	{"UTF-32", wider("\xff\xfe\x00\x00", thekey, 0), "is in UTF-32: "},
	{"UTF-32 big-endian", wider("\x00\x00\xfe\xff", thekey, 3), "is in UTF-32: "},
	{"UTF-32 without mark", wider("", thekey+"\n", 0), "is in UTF-32: "},
	{"mark of UTF-8", "\ufeff" + thekey + "\n", "begins with the byte order mark of UTF-8"},
	{"mark of UTF-8 and quotes", "\ufeff\"" + thekey + "\"\r\n", "begins with the byte order mark of UTF-8"},
	{"mark taken for text", "ï»¿" + thekey, "begins with ï»¿"},
	{"NUL at its end", thekey + "\x00", "contains NUL bytes"},
	{"NUL before the line end", thekey + "\x00\n", "contains NUL bytes"},
	{"NUL at its beginning", "\x00" + thekey, "contains NUL bytes"},
	{"NUL among it", thekey[:9] + "\x00" + thekey[9:], "contains NUL bytes"},
	{"quotes", `"` + thekey + `"`, "has quotes around it"},
	{"quotes of a file for docker", `"` + thekey + "\"\n", "has quotes around it"},
	{"quotes of cmd.exe", `"` + thekey + "\" \r\n", "has quotes around it"},
	{"single quotes", "'" + thekey + "'\n", "has quotes around it"},
	{"backquotes", "`" + thekey + "`\n", "has quotes around it"},
	{"escaped quotes", `\"` + thekey + `\"`, "has quotes around it"},
	{"typeset quotes", "“" + thekey + "”", "has quotes around it"},
	{"German quotes", "„" + thekey + "“", "has quotes around it"},
	{"French quotes", "«" + thekey + "»", "has quotes around it"},
	{"nothing in quotes", `""`, "has quotes around it"},
}

func TestAFileOfWhichNoSecretIsMadeIsNamed(t *testing.T) {
	for _, row := range flawed {
		t.Run(row.name, func(t *testing.T) {
			path := write(t, "config.yaml", "sources: {crm: {signature_keys: [{name: good, value: other}, {value: file:crm.key}]}}\n")
			writeBeside(t, path, "crm.key", row.content)
			_, err := config.Load(config.Options{Path: path})
			want := path + `:1: sources.crm.signature_keys[1].value: secret file "crm.key" ` + row.wrong
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "; allowed: ") || !strings.Contains(err.Error(), "printf %s SECRET > FILE") {
				t.Errorf("Load = %v, want %s and how to write it", err, want)
			}
			tellsNothing(t, err, row.content)
			secret, err := config.ReadSecretFile(filepath.Join(filepath.Dir(path), "crm.key"))
			if !errors.Is(err, config.ErrFlawed) || !strings.Contains(err.Error(), row.wrong) || secret.Empty() {
				t.Errorf("ReadSecretFile = %v, %v, want the secret and what is wrong", secret, err)
			}
		})
	}
}

func tellsNothing(t *testing.T, err error, content string) {
	t.Helper()
	narrow := strings.ReplaceAll(content, "\x00", "")
	for _, part := range []string{thekey, narrow[:min(12, len(narrow))]} {
		if len(part) > 8 && err != nil && strings.Contains(err.Error(), part) {
			t.Errorf("the error repeats a part of the secret: %v", err)
		}
	}
}

// TestEverySecretIsChecked goes by all settings that are secrets, however they are given.
func TestEverySecretIsChecked(t *testing.T) {
	const quoted = `"` + thekey + `"`
	for setting, text := range map[string]string{
		"sources.crm.signature_keys[0].value": "sources: {crm: {signature_keys: [{value: %}]}}\n",
		"sources.crm.element_token":           crm[:len(crm)-3] + ", element_token: %}}\n",
		"sources.crm.user_secret":             crm[:len(crm)-3] + ", user_secret: %}}\n",
		"sources.crm.organization_secret":     crm[:len(crm)-3] + ", organization_secret: %}}\n",
		"sources.crm.basic_auth.username":     crm[:len(crm)-3] + ", basic_auth: {username: %, password: x}}}\n",
		"sources.crm.basic_auth.password":     crm[:len(crm)-3] + ", basic_auth: {username: x, password: %}}}\n",
		"audit.key":                           crm + "audit: {key: %}\n",
		"encryption.identity":                 crm + "encryption: {identity: %}\n",
	} {
		for reference, place := range map[string]string{"file:it": `secret file "it"`, "env:IT": "environment variable IT", `'` + quoted + `'`: "the secret"} {
			path := write(t, "config.yaml", strings.ReplaceAll(text, "%", reference))
			writeBeside(t, path, "it", quoted+"\n")
			_, err := config.Load(config.Options{Path: path, Env: []string{"IT=" + quoted}})
			if want := ": " + setting + ": " + place + " has quotes around it"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Load with %s: %s = %v, want %s", setting, reference, err, want)
			}
		}
	}
	_, err := config.Load(config.Options{Env: []string{"RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=good," + quoted}})
	if want := "environment RECEIVER_SOURCES_CRM_SIGNATURE_KEYS: sources.crm.signature_keys[1].value: the secret has quotes around it"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Load = %v, want %s", err, want)
	}
}

func TestASecretThatHasQuotesCanBeGiven(t *testing.T) {
	const quoted = `"` + thekey + `"`
	for _, reference := range []string{"quoted:file:it", "quoted:env:IT", "'quoted:" + quoted + "'"} {
		path := write(t, "config.yaml", "sources: {crm: {signature_keys: [{value: "+reference+"}]}}\n")
		writeBeside(t, path, "it", quoted+"\n")
		c, err := config.Load(config.Options{Path: path, Env: []string{"IT=" + quoted}})
		if err != nil || c.Sources["crm"].SignatureKeys[0].Value.Reveal() != quoted {
			t.Errorf("Load with %s = %v, want the key with its quotes", reference, err)
		}
	}
	c := load(t, "log: {}\n", "RECEIVER_SOURCES_CRM_SIGNATURE_KEYS=quoted:env:RECEIVER_IT,quoted:'k'", "RECEIVER_IT="+quoted)
	if k := c.Sources["crm"].SignatureKeys; len(k) != 2 || k[0].Value.Reveal() != quoted || k[1].Value.Reveal() != "'k'" {
		t.Errorf("keys = %v, want two with their quotes", k)
	}
	path := write(t, "it", quoted+"\n")
	if s, err := config.ReadSecretFile("quoted:" + path); err != nil || s.Reveal() != quoted {
		t.Errorf("ReadSecretFile = %v, want the key with its quotes", err)
	}
	for reference, want := range map[string]string{
		"quoted:file:bare": "quoted: says that quotes are part of the secret, but it has no quotes around it",
		"quoted:file:mark": `secret file "mark" begins with the byte order mark`,
		"quoted:file:none": `secret file "none" cannot be read`,
	} {
		path := write(t, "config.yaml", "sources: {crm: {signature_keys: [{value: "+reference+"}]}}\n")
		writeBeside(t, path, "bare", thekey)
		writeBeside(t, path, "mark", "\ufeff"+quoted)
		if _, err := config.Load(config.Options{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load with %s = %v, want %s", reference, err, want)
		}
	}
}

func TestPlausibleFlawsAreWarnings(t *testing.T) {
	for _, row := range []struct{ name, content, warning string }{
		{"a key", thekey, ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte(thekey + "x")), ""},
		{"base64 of one piece", "YWJjZGVmZ2g=", ""},
		{"every sign", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", ""},
		{"one quote", `"` + thekey, ""},
		{"other letters", "Schlüssel der Unterschrift ключ", ""},
		{"128 bytes", strings.Repeat("k", 128), ""},
		{"blank at its end", thekey + " \r\n", "begins or ends with white space"},
		{"two line ends", thekey + "\n\n", "begins or ends with white space"},
		{"two lines", thekey + "\n" + thekey + "\n", "has several lines"},
		{"assignment", "CRM_KEY=" + thekey, "looks like NAME=VALUE"},
		{"exported", "export crm_key='" + thekey + "'", "looks like NAME=VALUE"},
		{"YAML", "value: " + thekey, "looks like NAME=VALUE"},
		{"shell variable", "${CRM_KEY}", "looks like a placeholder"},
		{"template", "{{ .Values.key }}", "looks like a placeholder"},
		{"manual", "<your key>", "looks like a placeholder"},
		{"reference", "file:/run/secrets/crm.key", "looks like a reference"},
		{"Latin-1", "Schl\xfcssel", "is not UTF-8"},
		{"zero width", thekey[:5] + "\u200b" + thekey[5:], "contains an invisible character"},
		{"no-break space", thekey[:5] + "\u00a0" + thekey[5:], "contains an invisible character"},
		{"mark in the middle", thekey + "\ufeff" + thekey, "contains an invisible character"},
		{"escape", "\x1b[31m" + thekey, "contains an invisible character"},
	} {
		path := write(t, "config.yaml", "sources: {crm: {signature_keys: [{value: file:it}]}}\n")
		writeBeside(t, path, "it", row.content)
		c, err := config.Load(config.Options{Path: path})
		if err != nil {
			t.Errorf("%s: Load = %v, want a warning at most", row.name, err)
			continue
		}
		said := strings.Join(c.Warnings, "\n")
		if row.warning == "" && said != "" || !strings.Contains(said, row.warning) || len(c.Warnings) > 1 {
			t.Errorf("%s: warnings = %q, want %q", row.name, said, row.warning)
		}
		if strings.Contains(said, thekey) {
			t.Errorf("%s: the secret is told in %q", row.name, said)
		}
	}
}

// A secret that no other system dictates works with any bytes, as long as all processes have the
// same.
func TestOwnSecretsMayHaveAnyBytes(t *testing.T) {
	for content, warning := range map[string]string{
		wide("\xff\xfe", thekey+"\r\n", false): "is in UTF-16",
		`"` + thekey + `"`:                     "has quotes around it",
		thekey + "\x00\x01\xff":                "",
		thekey + "\n":                          "",
	} {
		path := write(t, "config.yaml", crm+"token_secret: file:it\n")
		writeBeside(t, path, "it", content)
		c, err := config.Load(config.Options{Path: path})
		if err != nil {
			t.Errorf("Load with %q = %v, want a warning at most", content, err)
			continue
		}
		said := strings.Join(c.Warnings, "\n")
		if warning == "" && said != "" || !strings.Contains(said, warning) {
			t.Errorf("warnings = %q, want %q", said, warning)
		}
	}
}

// A token for a header is ASCII, so what it is instead can be said.
func TestATokenWithAFlawIsNamed(t *testing.T) {
	for _, row := range flawed {
		if strings.Contains(row.wrong, "quotes") {
			continue
		}
		path := write(t, "config.yaml", crm+"private: {token: file:it}\n")
		writeBeside(t, path, "it", row.content)
		_, err := config.Load(config.Options{Path: path})
		if want := `private.token: secret file "it" ` + row.wrong; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Load = %v, want %s", row.name, err, want)
		}
	}
	if c := load(t, crm+"private: {token: '\"abc\"'}\n"); len(c.Warnings) != 2 || !strings.Contains(c.Warnings[0], "private.token: has quotes around it") {
		t.Errorf("warnings = %q, want one of the quotes", c.Warnings)
	}
}

// FuzzFlaw checks that no content of a file causes a panic, or is in an error.
func FuzzFlaw(f *testing.F) {
	for _, row := range flawed {
		f.Add([]byte(row.content))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "it")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := config.ReadSecretFile(path)
		switch {
		case errors.Is(err, config.ErrFlawed) == s.Empty() && err != nil:
			t.Errorf("ReadSecretFile(%q) = %v, %v, want the secret with ErrFlawed only", content, s, err)
		case err == nil && strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r") != strings.TrimSuffix(s.Reveal(), "\r"):
			t.Errorf("ReadSecretFile(%q) = %q, want the same", content, s.Reveal())
		}
		if err != nil && len(content) > 24 && strings.Contains(err.Error(), string(content)) {
			t.Errorf("the content is told in %v", err)
		}
	})
}
