package consumers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"receiver/internal/consumers"
)

var made = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func add(t *testing.T, folder, name string, durables ...string) (consumers.Consumer, []byte) {
	t.Helper()
	c, creds, err := consumers.Add(folder, name, durables, made)
	if err != nil {
		t.Fatal(err)
	}
	return c, creds
}

func TestAConsumerIsAddedListedAndRemoved(t *testing.T) {
	folder := t.TempDir()
	a, creds := add(t, folder, "orders", "orders", "orders-2")
	key, err := jwt.ParseDecoratedUserNKey(creds)
	if err != nil {
		t.Fatal(err)
	}
	if public, err := key.PublicKey(); err != nil || public != a.Key {
		t.Errorf("the credentials are of %s, %v, want %s", public, err, a.Key)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(consumers.Folder(folder), "orders.json")
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, seed) {
		t.Errorf("the file holds the secret half: %s, %v", text, err)
	}
	for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	b, _ := add(t, folder, "billing", "billing")
	all, err := consumers.List(folder)
	if err != nil || len(all) != 2 || fmt.Sprint(all) != fmt.Sprint([]consumers.Consumer{b, a}) {
		t.Errorf("List = %v, %v, want both", all, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, %v, want two files", entries, err)
	}
	if _, _, err := consumers.Add(folder, "orders", []string{"other"}, made); !errors.Is(err, consumers.ErrExists) {
		t.Errorf("Add of the same name: %v", err)
	}
	if _, _, err := consumers.Add(folder, "other", []string{"orders-2"}, made); err == nil || !strings.Contains(err.Error(), "orders-2") {
		t.Errorf("Add with another's durable: %v", err)
	}
	if c, err := consumers.Remove(folder, "orders"); err != nil || c.Key != a.Key {
		t.Errorf("Remove = %v, %v", c, err)
	}
	if _, err := consumers.Remove(folder, "orders"); !errors.Is(err, consumers.ErrUnknown) {
		t.Errorf("Remove of one that is gone: %v", err)
	}
	if again, _ := add(t, folder, "orders", "orders"); again.Key == a.Key {
		t.Error("who is added again has the old key")
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"", "A", "-a", "a.b", "a/b", "..", "../a", "a b", "a*", ">", "a\n", "ä", strings.Repeat("a", 33)} {
		if _, _, err := consumers.Add(folder, name, []string{"d"}, made); err == nil {
			t.Errorf("%q may be added", name)
		}
		if _, err := consumers.Remove(folder, name); !errors.Is(err, consumers.ErrUnknown) {
			t.Errorf("Remove(%q) = %v", name, err)
		}
	}
	for _, durables := range [][]string{nil, {""}, {"a.b"}, {"*"}, {">"}, {"a b"}, {"d", "d"}, {strings.Repeat("d", 65)}, make([]string, 17)} {
		if _, _, err := consumers.Add(folder, "a", durables, made); err == nil {
			t.Errorf("durables %q may be added", durables)
		}
	}
	for i := range consumers.Most {
		add(t, folder, fmt.Sprint(i), fmt.Sprint(i))
	}
	if _, _, err := consumers.Add(folder, "a", []string{"a"}, made); err == nil {
		t.Error("one too many may be added")
	}
}

// TestForeignFileAdmitsNoConsumer has a foreign file in the folder, beside the file of a consumer.
func TestForeignFileAdmitsNoConsumer(t *testing.T) {
	text := func(t *testing.T, dir, name string, change func(map[string]any)) []byte {
		var c map[string]any
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		data, err = json.Marshal(consumers.Consumer{Name: c["name"].(string), Key: c["key"].(string), Token: c["jwt"].(string), Made: made, Durables: []string{c["durable"].(string)}})
		if err != nil {
			t.Fatal(err)
		}
		return append(data, '\n')
	}
	put := func(data []byte, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "x.json")
			if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
	}
	second := func(change func(map[string]any), mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			put(text(t, dir, "spare", func(c map[string]any) {
				c["name"], c["durable"] = "x", "x"
				change(c)
			}), mode)(t, dir)
			if err := os.Remove(filepath.Join(dir, "spare.json")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		says  string
		write func(t *testing.T, dir string)
	}{
		"nothing in it":         {"not written by", put(nil, 0o600)},
		"no JSON":               {"not written by", put([]byte("key"), 0o600)},
		"another JSON":          {"not written by", put([]byte("{}\n"), 0o600)},
		"a huge file":           {"not written by", put(bytes.Repeat([]byte(" "), 1<<20), 0o600)},
		"the name of another":   {"not written by", second(func(c map[string]any) { c["name"] = "y" }, 0o600)},
		"no key":                {"not written by", second(func(c map[string]any) { c["key"] = "" }, 0o600)},
		"the key of an account": {"not written by", second(func(c map[string]any) { c["key"] = "A" + c["key"].(string)[1:] }, 0o600)},
		"no token":              {"not written by", second(func(c map[string]any) { c["jwt"] = "" }, 0o600)},
		"a durable of all":      {"not a valid name", second(func(c map[string]any) { c["durable"] = ">" }, 0o600)},
		"open to others":        {"other users can write", second(func(map[string]any) {}, 0o666)},
		"the key of the consumer": {"its key belongs to orders", func(t *testing.T, dir string) {
			put(text(t, dir, "orders", func(c map[string]any) { c["name"], c["durable"] = "x", "x" }), 0o600)(t, dir)
		}},
		"the durable of the consumer": {"durable orders belongs to orders", second(func(c map[string]any) { c["durable"] = "orders" }, 0o600)},
		"a folder": {"not written by", func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "x.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		"a pipe": {"not written by", func(t *testing.T, dir string) {
			if err := exec.Command("mkfifo", filepath.Join(dir, "x.json")).Run(); err != nil {
				t.Fatal(err)
			}
		}},
		"a link": {"x.json", func(t *testing.T, dir string) {
			if err := os.Symlink("orders.json", filepath.Join(dir, "x.json")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			want, _ := add(t, folder, "orders", "orders")
			add(t, folder, "spare", "spare")
			dir := consumers.Folder(folder)
			row.write(t, dir)
			_ = os.Remove(filepath.Join(dir, "spare.json"))
			all, err := consumers.List(folder)
			if len(all) != 1 || all[0].Key != want.Key {
				t.Errorf("%d are let in: %v", len(all), all)
			}
			if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), `"x"`) {
				t.Errorf("said: %v", err)
			}
			// Others can be added, and it can be removed.
			add(t, folder, "more", "more")
			if _, err := consumers.Remove(folder, "x"); err != nil {
				t.Error(err)
			}
			if all, err := consumers.List(folder); err != nil || len(all) != 2 {
				t.Errorf("List = %v, %v", all, err)
			}
		})
	}
}

func TestFolderWritableByOthersAdmitsNoConsumer(t *testing.T) {
	folder := t.TempDir()
	add(t, folder, "orders", "orders")
	if err := os.Chmod(consumers.Folder(folder), 0o770); err != nil {
		t.Fatal(err)
	}
	if all, err := consumers.List(folder); err == nil || len(all) != 0 {
		t.Errorf("Readable = %v, %v", all, err)
	}
	if _, _, err := consumers.Add(folder, "other", []string{"other"}, made); err == nil {
		t.Error("a consumer may be added where it is not let in")
	}
}

// FuzzAFile holds that a file is read as what Add writes, to the byte, or not at all.
func FuzzAFile(f *testing.F) {
	folder := f.TempDir()
	c, _, err := consumers.Add(folder, "x", []string{"x"}, made)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(consumers.Folder(folder), "x.json")
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), `"key"`, `"KEY"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `{`, `{"key":"`+c.Key+`",`, 1)))
	f.Add(bytes.TrimSpace(good))
	f.Add(append([]byte(" "), good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := consumers.List(folder)
		if (len(all) == 0) == (err == nil) {
			t.Fatalf("Readable = %v, %v", all, err)
		}
		if err != nil {
			return
		}
		same, err := json.Marshal(all[0])
		if err != nil || !bytes.Equal(append(same, '\n'), data) || consumers.Check("x", all[0].Durables) != nil {
			t.Errorf("%q is read as %s, %v", data, same, err)
		}
	})
}
