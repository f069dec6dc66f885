package access_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/access"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newToken(t *testing.T, name string, expires time.Time, scopes ...access.Scope) (string, access.Token) {
	t.Helper()
	secret, token, err := access.New(name, scopes, start, expires)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func TestATokenIsRecognisedByItsForm(t *testing.T) {
	secret, token := newToken(t, "a", time.Time{}, access.Read)
	other, _ := newToken(t, "a", time.Time{}, access.Read)
	if secret == other || !strings.HasPrefix(secret, "rcv_") || len(secret) != 62 || strings.Contains(fmt.Sprint(token), secret[4:]) {
		t.Errorf("New = %q and %+v", secret, token)
	}
	changed := []byte(secret)
	changed[10] = 'a' + ('b'-changed[10])&1
	for text, want := range map[string]bool{
		secret: true, secret + "a": false, secret[:61]: false, strings.ToUpper(secret): false, secret[4:]: false,
		string(changed): false, "": false, "rcv_": false, " " + secret: false,
	} {
		if got := access.WellFormed(text); got != want {
			t.Errorf("WellFormed(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestContentsOfTheTokenFile(t *testing.T) {
	const sum = `"sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`
	for text, wrong := range map[string]string{
		`{"tokens":[]}`: "",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":["read","audit"],"expires":"2027-01-01T00:00:00Z"}]}`:   "",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":["root"]}]}`:                                            "unknown scope",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":[]}]}`:                                                  "has no scope",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":["read","read"]}]}`:                                     "twice",
		`{"tokens":[{"name":"a","sha256":"rcv_x","scopes":["read"]}]}`:                                       "64 hexadecimal",
		`{"tokens":[{"name":"config",` + sum + `,"scopes":["read"]}]}`:                                       "is reserved",
		`{"tokens":[{"name":"a\n",` + sum + `,"scopes":["read"]}]}`:                                          "token name",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":["read"],"scope":1}]}`:                                  "unknown field",
		`{"tokens":[{"name":"a",` + sum + `,"scopes":["read"]},{"name":"b",` + sum + `,"scopes":["read"]}]}`: "is a duplicate",
		`{"tokens":[]} {}`: "after its object",
		``:                 "EOF",
		`[]`:               "tokens add",
	} {
		_, err := access.Parse([]byte(text))
		if (err == nil) != (wrong == "") || err != nil && (!strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), "0123456789abcdef")) {
			t.Errorf("Parse(%s) = %v, want %q", text, err, wrong)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"tokens":[{"name":"a","sha256":"00","scopes":["read"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := access.Parse(data)
		if err == nil {
			access.NewSet("", 1, time.Now).Replace(tokens, true)
		}
		access.WellFormed(string(data))
	})
}

func TestChangesOfTheFileAreWholeAndForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	if all, found, err := access.ReadFile(path); len(all) > 0 || found || err != nil {
		t.Fatalf("ReadFile of none = %v, %v, %v", all, found, err)
	}
	var at sync.WaitGroup
	for i := range 20 {
		_, token := newToken(t, fmt.Sprint("t", i), time.Time{}, access.Read)
		at.Go(func() {
			if err := access.Add(path, token); err != nil {
				t.Error(err)
			}
		})
	}
	at.Wait()
	all, found, err := access.ReadFile(path)
	info, _ := os.Stat(path)
	if len(all) != 20 || !found || err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after 20 at once there are %d, %v, %v, mode %v", len(all), found, err, info.Mode())
	}
	if err := access.Add(path, all[0]); err == nil {
		t.Error("Add of a name that is taken = nil, want an error")
	}
	if err := access.Remove(path, "other"); err == nil {
		t.Error("Remove of a name that is not there = nil, want an error")
	}
	if all, _, _ := access.ReadFile(path); len(all) != 20 {
		t.Errorf("a change that failed left %d", len(all))
	}
	if err := access.Remove(path, all[0].Name); err != nil {
		t.Error(err)
	}
	if left, _, _ := access.ReadFile(path); !reflect.DeepEqual(left, all[1:]) {
		t.Errorf("after Remove of the first there are %v, want the others", left)
	}
}

func TestTokenNamesItsHolder(t *testing.T) {
	c := &clock{start}
	set := access.NewSet("operator-of-old", 1000, c.now)
	reader, r := newToken(t, "reader", time.Time{}, access.Read)
	auditor, a := newToken(t, "auditor", start.Add(time.Hour), access.Audit, access.Admin)
	gone, _ := newToken(t, "gone", time.Time{}, access.Read)
	set.Replace([]access.Token{r, a}, true)
	check := func(secret, name string, may ...access.Scope) {
		t.Helper()
		h, err := set.Check(secret, "192.0.2.1")
		if h.Name != name || (err == nil) != (name != "") || err != nil && !errors.Is(err, access.ErrUnknown) {
			t.Errorf("Check = %q, %v, want %q", h.Name, err, name)
		}
		for _, s := range access.Scopes {
			if got, want := h.May(s), strings.Contains(fmt.Sprint(may), string(s)); got != want {
				t.Errorf("%s may %s = %v, want %v", name, s, got, want)
			}
		}
	}
	check("operator-of-old", "config", access.Scopes...)
	check(reader, "reader", access.Read)
	check(auditor, "auditor", access.Audit, access.Admin)
	check(gone, "")
	check("", "")
	check(r.SHA256, "") // what the file holds opens nothing
	c.at = start.Add(time.Hour)
	check(auditor, "")
	set.Replace([]access.Token{a}, true)
	check(reader, "")
	set.Replace(nil, false) // the file is gone
	check("operator-of-old", "config", access.Scopes...)
}

func TestRequiredTokensStayRequired(t *testing.T) {
	set := access.NewSet("", 10, time.Now)
	if set.Required() {
		t.Error("without token and file one is required")
	}
	set.Replace(nil, false)
	if set.Required() {
		t.Error("a file that is not there requires one")
	}
	set.Replace([]access.Token{}, true)
	set.Replace(nil, false)
	if !set.Required() {
		t.Error("after the file was removed none is required: whoever can remove it opens the listener")
	}
}

func TestRatesAreBounded(t *testing.T) {
	c := &clock{start}
	set := access.NewSet("operator-of-old", 5, c.now)
	secret, token := newToken(t, "a", time.Time{}, access.Read)
	set.Replace([]access.Token{token}, true)
	const neighbour = "192.0.2.1"
	count := func(secret, address string, n int) (ok, unknown, many int) {
		for range n {
			switch _, err := set.Check(secret, address); {
			case err == nil:
				ok++
			case errors.Is(err, access.ErrUnknown):
				unknown++
			case errors.Is(err, access.ErrTooMany):
				many++
			}
		}
		return ok, unknown, many
	}
	if ok, _, many := count(secret, neighbour, 8); ok != 5 || many != 3 {
		t.Errorf("of 8 at once %d are answered and %d are too many, want 5 and 3", ok, many)
	}
	if ok, _, _ := count("operator-of-old", neighbour, 1); ok != 1 {
		t.Error("another token has no rate of its own")
	}
	c.at = c.at.Add(time.Second)
	if ok, _, _ := count(secret, neighbour, 8); ok != 5 {
		t.Errorf("a second later %d are answered, want 5", ok)
	}
	c.at = c.at.Add(time.Minute)
	if _, unknown, many := count("guess", neighbour, 1000); unknown != 10 || many != 990 {
		t.Errorf("of 1000 guesses %d were compared, %d were not; want 10 and 990", unknown, many)
	}
	// A token that can be guessed waits with its neighbour; one that cannot is never delayed.
	if ok, _, many := count("operator-of-old", neighbour, 1); ok != 0 || many != 1 {
		t.Error("a guess that is right was answered at the rate of a flood")
	}
	if ok, _, _ := count(secret, neighbour, 1); ok != 1 {
		t.Error("a neighbour's guesses keep the holder of a token out")
	}
	if ok, _, _ := count("operator-of-old", "192.0.2.2", 1); ok != 1 {
		t.Error("one address keeps another out")
	}
	// All of a /64 is one host.
	guessed := 0
	for i := range 100 {
		_, unknown, _ := count("guess", fmt.Sprintf("2001:db8::%x", i), 10)
		guessed += unknown
	}
	if guessed != 10 {
		t.Errorf("from one /64 %d guesses were compared, want 10", guessed)
	}
}

// However many addresses strangers have, the table is bounded, and so is what they guess.
func TestTheTableOfWrongTokensIsBounded(t *testing.T) {
	c := &clock{start}
	set := access.NewSet("operator-of-old", 5, c.now)
	flood := func(guesses int) (compared int) {
		for i := range 5000 {
			for range guesses {
				if _, err := set.Check("guess", fmt.Sprintf("10.%d.%d.1", i/250, i%250)); errors.Is(err, access.ErrUnknown) {
					compared++
				}
			}
		}
		return compared
	}
	if got, want := flood(11), 10*(1024+1); got != want {
		t.Errorf("of 55000 guesses %d were compared, want %d", got, want)
	}
	c.at = c.at.Add(time.Minute)
	if got := flood(1); got < 1024 || got > 1024+1000 {
		t.Errorf("a minute later %d are compared, want those in the table and some more", got)
	}
}
