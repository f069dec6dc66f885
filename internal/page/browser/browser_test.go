//go:build browser

package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"testing"
	"time"

	"receiver/internal/natstest"
)

var (
	images = flag.String("images", "", "the folder to write the images of the documentation to")
	looks  = flag.String("looks", "", "the folder to write an image of every view to, in light and dark, wide and narrow")
)

// TestImages takes the pictures of the documentation.
func TestImages(t *testing.T) {
	if *images == "" && *looks == "" {
		t.Skip("-images or -looks names no folder")
	}
	r := newRig(t, t.TempDir())
	drive(t, r, r.play(t), "images")
}

// TestEveryView drives every view over a receiver that has seen one of everything.
func TestEveryView(t *testing.T) {
	r := newRig(t, t.TempDir())
	drive(t, r, r.play(t), "views", "access", "tasks")
}

// drive has Chromium go through parts of drive.mjs, each of whose checks becomes a subtest.
func drive(t *testing.T, r *rig, s scene, parts ...string) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("there is no node here, which drives the browser (Debian: apt-get install nodejs npm)")
	}
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Fatal("playwright-core is not installed: run npm ci --ignore-scripts in internal/page/browser")
	}
	given, err := json.Marshal(map[string]any{"base": r.PrivateURL(), "public": r.PublicURL(), "tokens": r.tokens, "scene": s, "parts": parts, "images": *images, "looks": *looks})
	natstest.Must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "drive.mjs")
	var stderr bytes.Buffer
	node.Stdin, node.Stderr = bytes.NewReader(given), &stderr
	out, err := node.StdoutPipe()
	natstest.Must(t, err)
	natstest.Must(t, node.Start())
	checks, ended := 0, false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var check struct {
			Name, Said string
			Problems   []string
			MS         int
		}
		if err := json.Unmarshal(lines.Bytes(), &check); err != nil {
			t.Errorf("drive.mjs printed %s", lines.Bytes())
			continue
		}
		if check.Name == "end" {
			ended = true
			continue
		}
		checks++
		t.Run(check.Name, func(t *testing.T) {
			t.Logf("%d ms %s", check.MS, check.Said)
			for _, problem := range check.Problems {
				t.Error(problem)
			}
		})
	}
	if err := node.Wait(); err != nil || !ended || checks == 0 {
		t.Errorf("drive.mjs made %d checks and ended with %v: %s", checks, err, stderr.Bytes())
	}
}
