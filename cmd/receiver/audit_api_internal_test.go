package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/service"
)

// runningOn starts a receiver on a sealed folder, on free ports.
func runningOn(t *testing.T, dir string) *service.Instance {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: []string{
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Stop(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// Callbacks come page by page, each once, in the order of time.
func TestPagesOfCallbacks(t *testing.T) {
	t.Parallel()
	in := runningOn(t, sealedFolder(t))
	at := in.PrivateURL() + "/v1/callbacks?since=all&limit=2"
	var got []string
	for next := ""; len(got) < 100; {
		var p struct {
			Callbacks []auditlog.Entry
			Next      string
		}
		if err := json.Unmarshal([]byte(get(t, at+next)), &p); err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Callbacks {
			got = append(got, e.ID)
		}
		if p.Next == "" {
			break
		}
		next = "&after=" + url.QueryEscape(p.Next)
	}
	want := []string{"JOBS/1", "JOBS/2", "JOBS/3", "ATTEMPTS/1", "ATTEMPTS/2", "JOBS/4", "JOBS/5", "ATTEMPTS/3", "ATTEMPTS/4"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("pages of 2 give %v, want %v", got, want)
	}
	one := get(t, in.PrivateURL()+"/v1/callbacks/JOBS/2")
	if !strings.Contains(one, `"id":"JOBS/2"`) || !strings.Contains(one, `"state":"sealed"`) {
		t.Errorf("one callback = %s", one)
	}
}

// A refused callback is checked again with the keys of today, and that is recorded.
func TestAStoredCallbackIsExplained(t *testing.T) {
	t.Parallel()
	in := runningOn(t, sealedFolder(t))
	explain := func(record string) string {
		answer, err := http.Post(in.PrivateURL()+"/v1/callbacks/"+record+"/explain", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := explain("JOBS/2"); !strings.Contains(got, `"accepted":true`) {
		t.Errorf("an accepted callback = %s", got)
	}
	if got := explain("ATTEMPTS/1"); !strings.Contains(got, `"accepted":false`) || !strings.Contains(got, `"findings":[{`) {
		t.Errorf("a refused callback = %s", got)
	}
	if got := explain("ATTEMPTS/99"); !strings.Contains(got, "there is no record ATTEMPTS/99") {
		t.Errorf("no callback = %s", got)
	}
	got := get(t, in.PrivateURL()+"/v1/callbacks?since=all&action=explain&reverse=true")
	if strings.Count(got, `"action":"explain"`) != 2 || !strings.Contains(got, `{"record":"ATTEMPTS/1",`) {
		t.Errorf("the actions are %s, want one for each record", got)
	}
}

// A bundle over HTTP is what audit prove prints, byte for byte.
func TestABundleOverHTTP(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	in := runningOn(t, dir)
	got := get(t, in.PrivateURL()+"/v1/callbacks/JOBS/2/bundle")
	var want bytes.Buffer
	if code := run(t.Context(), []string{"--config", cfg.File, "audit", "prove", "JOBS/2"}, strings.NewReader(""), &want, io.Discard); code != exitDone || got != want.String() {
		t.Errorf("the bundle is\n%s\naudit prove = exit %d with\n%s", got, code, &want)
	}
	for _, name := range []string{"JOBS/6", "JOBS/99", "ACTIONS/18446744073709551615"} {
		if got := get(t, in.PrivateURL()+"/v1/callbacks/"+name+"/bundle"); !strings.Contains(got, "there is no record "+name) {
			t.Errorf("the bundle of %s, which never was there = %s", name, got)
		}
	}
}

// With C2SP tlog-tiles and the public key anyone can monitor the logs: recompute a tree from its
// tiles and compare it with the checkpoint.
func TestLogsCanBeMonitored(t *testing.T) {
	t.Parallel()
	in := runningOn(t, sealedFolder(t))
	if _, err := in.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := in.PrivateURL() + "/v1/log"
	var about struct {
		Name string
		Logs []struct {
			Stream, Origin string
			VerifierKey    string `json:"verifier_key"`
			Unsealed       uint64
		}
	}
	if err := json.Unmarshal([]byte(get(t, base)), &about); err != nil || about.Name != "test" || len(about.Logs) != 3 {
		t.Fatalf("GET /v1/log = %+v, %v, want the three logs of test", about, err)
	}
	for _, l := range about.Logs {
		keys, err := audit.ParseKeys([]string{l.VerifierKey}, nil)
		if err != nil {
			t.Fatal(err)
		}
		cp, err := audit.OpenCheckpoint([]byte(get(t, base+"/"+l.Stream+"/checkpoint")), keys)
		if err != nil || cp.Origin != l.Origin || cp.Tree.N == 0 || l.Unsealed != 0 {
			t.Fatalf("%s: checkpoint %+v, %v; %+v", l.Stream, cp, err, l)
		}
		hashes := tlog.TileHashReader(cp.Tree, tilesByHTTP{t, base + "/" + l.Stream + "/"})
		if root, err := tlog.TreeHash(cp.Tree.N, hashes); err != nil || root != cp.Tree.Hash {
			t.Errorf("%s: the tiles give root %v, %v, want that of the checkpoint", l.Stream, root, err)
		}
	}
	for _, path := range []string{"/NOTHING/checkpoint", "/JOBS/tile/0/001", "/JOBS/tile/0/000.p/99", "/JOBS/tile/entries/000"} {
		r, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, r.StatusCode)
		}
	}
}

// tilesByHTTP is a tlog client.
type tilesByHTTP struct {
	t    *testing.T
	base string
}

func (r tilesByHTTP) Height() int { return 8 }

func (r tilesByHTTP) SaveTiles([]tlog.Tile, [][]byte) {}

func (r tilesByHTTP) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		// C2SP leaves the height out of the path.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data := get(r.t, r.base+path)
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(data))
		}
		all = append(all, []byte(data))
	}
	return all, nil
}
