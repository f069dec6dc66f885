package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/web"
)

// runningOn starts a receiver on a sealed folder, on free ports.
func runningOn(t *testing.T, dir string) *instance {
	t.Helper()
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml"), Env: []string{
		"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// Callbacks come page by page, each once, in the order of time.
func TestPagesOfCallbacks(t *testing.T) {
	in := runningOn(t, sealedFolder(t))
	at := "http://" + in.private.addr + "/v1/callbacks?since=all&limit=2"
	var got []string
	for next := ""; len(got) < 100; {
		var p page
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
	one := get(t, "http://"+in.private.addr+"/v1/callbacks/JOBS/2")
	if !strings.Contains(one, `"id":"JOBS/2"`) || !strings.Contains(one, `"state":"sealed"`) {
		t.Errorf("one callback = %s", one)
	}
}

// A bundle over HTTP is what audit prove prints, byte for byte.
func TestABundleOverHTTP(t *testing.T) {
	dir := sealedFolder(t)
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	in := runningOn(t, dir)
	got := get(t, "http://"+in.private.addr+"/v1/callbacks/JOBS/2/bundle")
	var want bytes.Buffer
	if code := run(t.Context(), []string{"--config", cfg.File, "audit", "prove", "JOBS/2"}, strings.NewReader(""), &want, io.Discard); code != exitDone || got != want.String() {
		t.Errorf("the bundle is\n%s\naudit prove = exit %d with\n%s", got, code, &want)
	}
	if got := get(t, "http://"+in.private.addr+"/v1/callbacks/JOBS/99/bundle"); !strings.Contains(got, "not sealed") {
		t.Errorf("the bundle of what is not there yet = %s, want that it is not sealed", got)
	}
}

func TestQuestionsForPages(t *testing.T) {
	now := time.Now()
	for _, row := range []struct{ query, wrong string }{
		{"", ""},
		{"since=1h&until=1m&source=a&source=b&verdict=refused&reason=mismatch&address=192.0.2.0/24&key=k&job=7&body=ae&actions=true&limit=1000&after=JOBS-1.ATTEMPTS-2", ""},
		{"verdct=refused", `there is no parameter "verdct"`},
		{"limit=0", "limit is not 1 to 1000"},
		{"limit=1001", "limit is not 1 to 1000"},
		{"limit=x", "invalid syntax"},
		{"actions=perhaps", "invalid syntax"},
		{"since=yesterday", "neither a duration"},
		{"address=here", "neither an address"},
		{"after=JOBS", "is not next of another page"},
		{"after=WATCH-1", "is not next of another page"},
	} {
		values, err := url.ParseQuery(row.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parsePageQuery(values, now)
		if (err == nil) != (row.wrong == "") || err != nil && !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("%q: %v, want %q", row.query, err, row.wrong)
		}
	}
	_, err := (&auditAPI{}).Callbacks(t.Context(), url.Values{"x": {"y"}})
	if !errors.Is(err, web.ErrQuery) {
		t.Errorf("a question that is none = %v, want ErrQuery", err)
	}
}

// Whoever knows C2SP tlog-tiles and the public key can monitor the logs: recompute a tree
// from its tiles and compare it with the checkpoint.
func TestLogsCanBeMonitored(t *testing.T) {
	in := runningOn(t, sealedFolder(t))
	if _, err := in.sealing.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := "http://" + in.private.addr + "/v1/log"
	var about struct {
		Name string
		Logs []logState
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
