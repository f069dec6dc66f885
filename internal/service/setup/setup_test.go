package setup_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/access"
	"receiver/internal/audit/logkey"
	"receiver/internal/config"
	"receiver/internal/service/setup"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// answers are those of a new installation in a folder that is not there yet.
func answers(t *testing.T) setup.Answers {
	t.Helper()
	return setup.Answers{
		Folder: filepath.Join(t.TempDir(), "new"), Source: "crm", BaseURL: "https://api.example.com/elements/api-v2",
		CallbackURL: "https://hooks.example.com", Store: "receiver-data", Anchor: "receiver-anchor",
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestANewInstallationIsValidAndItsOwnersAlone(t *testing.T) {
	t.Parallel()
	a := answers(t)
	a.Hub, a.ElementToken, a.UserSecret, a.CallbackURL = "crm", "env:ELEMENT", "file:user", "https://hooks.example.com/"
	made, err := a.Write(now, []string{"ELEMENT=" + strings.Repeat("e", 20)})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(a.Folder)
	if err != nil || len(entries) != 7 {
		t.Errorf("there are %v, %v, want six files and the anchor", entries, err)
	}
	for _, e := range append(entries, fs.FileInfoToDirEntry(stat(t, a.Folder))) {
		info, _ := e.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", e.Name(), info.Mode(), want)
		}
	}
	if want := []string{`file:user: secret file "user" cannot be read: no such file or directory`}; !slices.Equal(made.Missing, want) {
		t.Errorf("missing = %q, want %q", made.Missing, want)
	}
	c, err := config.Load(config.Options{Path: made.Config, Lazy: true})
	if err != nil || len(c.Warnings) > 0 {
		t.Fatalf("the configuration has %v, %q, want neither errors nor warnings", err, c.Warnings)
	}
	s := c.Sources["crm"]
	if s.Hub != "crm" || s.CallbackBaseURL != "https://hooks.example.com" || s.BaseURL != a.BaseURL || c.Audit.Origin != "hooks.example.com" || len(c.Public.TrustedProxies) != 1 {
		t.Errorf("the configuration is %+v", c)
	}
	if got := s.SignatureKeys[0]; got.Name != "2026-11" || got.Value.Reveal()+"\n" != read(t, a.Folder, "crm.key") || len(got.Value.Reveal()) != 64 {
		t.Errorf("the signature key is %s, want that of crm.key", got.Name)
	}
	if _, err := logkey.Parse(c.Audit.Key.Reveal()); err != nil {
		t.Error(err)
	}
	tokens, found, err := access.ReadFile(c.Abs(c.Private.TokensFile))
	if err != nil || !found || len(tokens) != 1 || len(tokens[0].Scopes) != len(access.Scopes) || !access.WellFormed(strings.TrimSpace(read(t, made.Token))) {
		t.Errorf("tokens = %+v, %v, want one with all scopes, and the token itself", tokens, err)
	}
	told := made.Text("receiver")
	for _, path := range made.Files[:len(made.Files)-1] {
		if strings.Contains(told, strings.TrimSpace(read(t, path))) {
			t.Errorf("the content of %s is told", path)
		}
	}
	for _, want := range []string{filepath.Join(a.Folder, "crm.key"), "https://hooks.example.com/callbacks/crm\n", "file:user: "} {
		if !strings.Contains(told, want) {
			t.Errorf("it says\n%s\nwithout %s", told, want)
		}
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Names and folders that are allowed, and could be in the way of others.
func TestUnusualAnswersMakeAValidInstallation(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*setup.Answers){
		"a source called log":    func(a *setup.Answers) { a.Source = "log" },
		"a source called token":  func(a *setup.Answers) { a.Source = "token" },
		"a source of digits":     func(a *setup.Answers) { a.Source = "0123" },
		"a source called true":   func(a *setup.Answers) { a.Source = "true" },
		"a source like a dash":   func(a *setup.Answers) { a.Source = "-" },
		"a hub called null":      func(a *setup.Answers) { a.Hub = "null" },
		"no callbacks":           func(a *setup.Answers) { a.CallbackURL = "" },
		"an address":             func(a *setup.Answers) { a.CallbackURL = "https://192.0.2.1:8443/path" },
		"an IPv6 address":        func(a *setup.Answers) { a.CallbackURL = "https://[2001:db8::1]" },
		"no anchor":              func(a *setup.Answers) { a.Anchor = "" },
		"an anchor elsewhere":    func(a *setup.Answers) { a.Anchor = filepath.Dir(a.Folder) },
		"folders with spaces":    func(a *setup.Answers) { a.Store, a.Anchor = "my: events #1", "- anchor" },
		"an own signature key":   func(a *setup.Answers) { a.SignatureKey = "env:KEY" },
		"a folder that is there": func(a *setup.Answers) { a.Folder = filepath.Dir(a.Folder) },
	} {
		a := answers(t)
		change(&a)
		made, err := a.Write(now, []string{"KEY=" + strings.Repeat("k", 20)})
		if err != nil || len(made.Missing) > 0 {
			t.Errorf("%s: %v, %q is missing", name, err, made.Missing)
			continue
		}
		c, err := config.Load(config.Options{Path: made.Config, Env: []string{"KEY=" + strings.Repeat("k", 20)}})
		if err != nil || len(c.Warnings) > 0 {
			t.Errorf("%s: %v, %q", name, err, c.Warnings)
			continue
		}
		if s, ok := c.Sources[a.Source]; !ok || s.Hub != a.Hub || string(c.NATS.Embedded.Folder) != a.Store || a.Anchor != "" && string(c.Audit.Anchors[0].Directory) != a.Anchor {
			t.Errorf("%s: the configuration is %+v", name, c)
		}
	}
}

func TestNoTwoInstallationsShareASecret(t *testing.T) {
	t.Parallel()
	a, b := answers(t), answers(t)
	first, err := a.Write(now, nil)
	second, failed := b.Write(now, nil)
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	for i := range first.Files[:len(first.Files)-1] {
		if read(t, first.Files[i]) == read(t, second.Files[i]) {
			t.Errorf("%s is the same in both", filepath.Base(first.Files[i]))
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	a := answers(t)
	made, err := a.Write(now, nil)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"receiver-anchor"}
	for _, path := range made.Files {
		names = append(names, filepath.Base(path))
	}
	for what, put := range map[string]func(path string) error{
		"a file":        func(path string) error { return os.WriteFile(path, []byte("old"), 0o644) },
		"a folder":      func(path string) error { return os.Mkdir(path, 0o755) },
		"a broken link": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		for _, name := range names {
			a := answers(t)
			if err := errors.Join(os.Mkdir(a.Folder, 0o755), put(filepath.Join(a.Folder, name))); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(filepath.Join(a.Folder, name))
			_, err := a.Write(now, nil)
			if !errors.Is(err, setup.ErrUse) || !strings.Contains(err.Error(), name) {
				t.Errorf("with %s %s: %v, want that it exists", what, name, err)
			}
			after, gone := os.Lstat(filepath.Join(a.Folder, name))
			if entries, err := os.ReadDir(a.Folder); err != nil || len(entries) != 1 || gone != nil || !os.SameFile(before, after) {
				t.Errorf("with %s %s the folder contains %v, %v, %v, want it alone", what, name, entries, err, gone)
			}
		}
	}
}

func TestAFailureLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*setup.Answers)
		env    string
		want   string
	}{
		"at the folder":         {func(a *setup.Answers) { a.Folder = filepath.Join(a.Folder, "deeper") }, "", "no such file"},
		"at the folder, a file": {func(a *setup.Answers) { a.Folder = os.Args[0] }, "", "is not a folder"},
		"after the folder":      {func(a *setup.Answers) { a.Anchor = "not/there" }, "", "no such file"},
		"after the last file":   {func(*setup.Answers) {}, "RECEIVER_NATS_MODE=x", "nats.mode"},
	} {
		a := answers(t)
		parent := filepath.Dir(a.Folder)
		row.change(&a)
		if _, err := a.Write(now, []string{row.env}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", name, err, row.want)
		}
		if entries, err := os.ReadDir(parent); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v is left", name, entries, err)
		}
	}
	// A folder that was there stays.
	a := answers(t)
	if err := os.Mkdir(a.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(now, []string{"RECEIVER_NATS_MODE=x"}); !errors.Is(err, setup.ErrUse) {
		t.Errorf("Write = %v, want an error", err)
	}
	if entries, err := os.ReadDir(a.Folder); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v is left", entries, err)
	}
}

func TestWrongAnswersNameTheFlag(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		change func(*setup.Answers)
		want   string
	}{
		{func(a *setup.Answers) { a.Source = "" }, "--source: "},
		{func(a *setup.Answers) { a.Source = "CRM" }, "--source: "},
		{func(a *setup.Answers) { a.Source = "../crm" }, "--source: "},
		{func(a *setup.Answers) { a.Source = "a.b" }, "--source: "},
		{func(a *setup.Answers) { a.Source = "crm:\n  x" }, "--source contains a control character"},
		{func(a *setup.Answers) { a.BaseURL = "" }, "--base-url: "},
		{func(a *setup.Answers) { a.BaseURL = "http://api.example.com" }, "--base-url: "},
		{func(a *setup.Answers) { a.BaseURL = "https://api.example.com/ # comment" }, "--base-url: "},
		{func(a *setup.Answers) { a.CallbackURL = "hooks.example.com" }, "--callback-base-url: "},
		{func(a *setup.Answers) { a.Hub = "a/b" }, "--hub: "},
		{func(a *setup.Answers) { a.Hub = "{{.Files}}" }, "--hub: "},
		{func(a *setup.Answers) { a.ElementToken = "hunter2" }, "--element-token is neither env:NAME nor file:PATH"},
		{func(a *setup.Answers) { a.UserSecret = "hunter2" }, "--user-secret is neither env:NAME nor file:PATH"},
		{func(a *setup.Answers) { a.SignatureKey = "hunter2" }, "--signature-key is neither env:NAME nor file:PATH"},
		{func(a *setup.Answers) { a.UserSecret = "env:" }, "--user-secret is neither env:NAME nor file:PATH"},
	} {
		a := answers(t)
		row.change(&a)
		_, err := a.Write(now, nil)
		if !errors.Is(err, setup.ErrUse) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want %s", err, row.want)
		}
		if _, err := os.Lstat(a.Folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a folder: %v", row.want, err)
		}
	}
}

func TestATerminalIsAskedUntilTheAnswersAreRight(t *testing.T) {
	t.Parallel()
	a := answers(t)
	a.Source, a.BaseURL, a.CallbackURL = "", "", ""
	hidden := []string{"the-element-token", "the-\x1buser-secret", "the-user-secret", ""}
	var asked strings.Builder
	terminal := setup.Terminal{
		In:  strings.NewReader("CRM\ncrm\nhttp://api.example.com\nhttps://api.example.com/elements/api-v2\nhttps://hooks.example.com"),
		Out: &asked,
		Hidden: func() (string, error) {
			next := hidden[0]
			hidden = hidden[1:]
			return next, nil
		},
	}
	if err := a.Ask(terminal, func(flag string) bool { return flag == "hub" }); err != nil {
		t.Fatalf("Ask = %v after\n%s", err, &asked)
	}
	for _, want := range []string{"--source: ", "--base-url: ", "a control character"} {
		if strings.Count(asked.String(), want) != 1 {
			t.Errorf("asked\n%s\nwant %s once", &asked, want)
		}
	}
	if strings.Contains(asked.String(), "Hub") || strings.Contains(asked.String(), "user-secret") {
		t.Errorf("asked\n%s\nwant neither a question that has an answer nor a secret", &asked)
	}
	made, err := a.Write(now, nil)
	if err != nil || len(made.Missing) > 0 {
		t.Fatalf("Write = %+v, %v", made, err)
	}
	c, err := config.Load(config.Options{Path: made.Config})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Sources["crm"]; s.ElementToken.Reveal() != "the-element-token" || s.UserSecret.Reveal() != "the-user-secret" {
		t.Error("the configuration has other secrets than were typed")
	}
	for _, name := range []string{"crm.element-token", "crm.user-secret", "crm.key"} {
		if mode := stat(t, filepath.Join(a.Folder, name)).Mode(); mode != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, mode)
		}
	}
}

func TestATerminalThatEndsLeavesNothing(t *testing.T) {
	t.Parallel()
	a := answers(t)
	err := a.Ask(setup.Terminal{In: strings.NewReader("crm\n"), Out: new(strings.Builder)}, func(string) bool { return false })
	if err == nil || errors.Is(err, setup.ErrUse) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("Ask = %v, want that nothing was written", err)
	}
	if _, err := os.Lstat(a.Folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a folder: %v", err)
	}
}
