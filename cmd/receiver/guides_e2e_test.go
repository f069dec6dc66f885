//go:build e2e

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guide is a page whose commands a reader types from the first to the last.
type guide struct {
	page   string
	before string            // commands that bring about the page's situation
	after  string            // commands that must succeed at its end
	files  map[string]string // what they leave behind, by name in the page's folder
}

const (
	// demoLeft is a receiver in the page's folder, with one finished job.
	demoLeft = `receiver demo --once --keep . >/dev/null
own_ports
`
	// platform is the simulated platform beside it.
	platform = `background "TEST platform" receiver simulate
`
	// crm gives its source and its files the names that the pages have.
	crm = demoLeft + `sed -i 's/^  demo:$/  crm:/; s/signature\.key/crm.key/; s/^  name: demo$/  name: receiver/' config.yaml
mv signature.key crm.key
rm -r receiver-data receiver-checkpoints*
cp "$CLONE/examples/sample.csv" contacts.csv
` + platform
	// serve is a receiver that systemctl starts and stops.
	serve = "systemctl start receiver\n"
	// locked is its private listener after it has read its first token. Until then it is open to
	// all, and a request that waits at that moment ends.
	locked = `receiver tokens add another --scope read >/dev/null
until [ "$(command curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/v1/jobs)" = 401 ]; do sleep 0.1; done
`
	// nodes are a cluster of NATS servers, and cluster.yaml the configuration with it.
	nodes = `go build -C "$CLONE" -o "$PWD/up" ./internal/cluster/up
background "Ctrl-C stops" ./up -for 5m
{ sed '/^nats:/,/^    address:/d' config.yaml; sed -n '/^nats:/,/^$/p' "$log"; } >cluster.yaml
`
	// oneJob is a job that has ended.
	oneJob = "JOB=$(receiver submit --source crm --object contact --file contacts.csv --wait 2>/dev/null | head -n 1)\n"
)

var guides = []guide{
	{page: "tutorial.md", before: `cd "$CLONE"`, files: map[string]string{
		"terminal-3": "succeeded object=contact",
	}, after: `[ "$(grep -c 'succeeded object=contact' terminal-3)" = 3 ]`},
	{page: "services.md", before: demoLeft + platform + serve + locked, files: map[string]string{
		"job.json": `"state":"finished"`, "result.csv": "", "proof.json": `"receiver-evidence/v1"`,
	}},
	{page: "versioning.md", before: demoLeft + platform + serve},
	{page: "howto/real-tenant.md", before: crm, after: `receiver jobs list --source crm | grep ' callback$'`},
	{page: "howto/cluster.md", before: crm + nodes + "mv cluster.yaml config.yaml\n"},
	{page: "howto/move-store.md", before: crm + serve + oneJob + "systemctl stop receiver\n" + nodes,
		after: `receiver --config cluster.yaml jobs list | grep "$JOB"`},
	{page: "howto/backup.md", before: "mkdir site\ndir=$PWD/site\ncd site\nexport RECEIVER_CONFIG=$PWD/config.yaml\n" + crm + serve + oneJob, after: `receiver jobs list | grep "$JOB"
receiver audit list --actions | grep 'restored a backup'`},
	{page: "howto/audit.md", before: crm + serve + oneJob + "receiver audit seal\n", files: map[string]string{"report.html": "<html"}},
	// The platform signs with a key that the receiver has not.
	{page: "howto/signatures.md", before: crm + `KEY=$(cat crm.key)
printf %s another-key-of-the-platform > crm.key
` + serve + `printf '{"id":"4711","status":"COMPLETED"}' > body.json
printf %s "$KEY" > right.key
curl -i -H "$(receiver sign --key-file right.key body.json)" --data-binary @body.json http://127.0.0.1:8080/callbacks/crm
`, after: `receiver jobs show 4711 | grep finished`},
}

// The commands of the guides work as they stand, in their order: all blocks of sh, as guides.sh
// says.
func TestTheGuidesRun(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skipf("needs %s", tool)
		}
	}
	pages, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := "howto/" + filepath.Base(page)
		if !slices.ContainsFunc(guides, func(g guide) bool { return g.page == name }) {
			t.Errorf("nothing runs the commands of docs/%s: add it to this test", name)
		}
	}
	for _, g := range guides {
		t.Run(g.page, func(t *testing.T) {
			t.Parallel()
			g.run(t)
		})
	}
}

var (
	commandBlock = regexp.MustCompile("(?sm)^ *```sh\n(.*?)^ *```$")
	commandElse  = regexp.MustCompile("(?m)^    (receiver|curl|nats|go|docker|systemctl) |^```(bash|shell|console)$")
)

func (g guide) run(t *testing.T) {
	text, err := os.ReadFile("../../docs/" + g.page)
	if err != nil {
		t.Fatal(err)
	}
	if other := commandElse.FindString(string(text)); other != "" {
		t.Errorf("the page has commands that are in no block of sh, so that nothing runs them: %q", other)
	}
	blocks := commandBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatalf("the page has %d blocks of commands: this test looks at the wrong page", len(blocks))
	}
	dir, scripts := t.TempDir(), t.TempDir()
	commands := []string{g.before}
	for _, block := range blocks {
		indented := block[1][:len(block[1])-len(strings.TrimLeft(block[1], " "))] // in a list
		commands = append(commands, regexp.MustCompile("(?m)^"+indented).ReplaceAllString(block[1], ""))
	}
	commands = append(commands, g.after)
	clone, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPorts()
	if err != nil {
		t.Fatal(err)
	}
	runner, err := filepath.Abs("testdata/guides.sh")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{runner}
	for i, text := range commands {
		file := filepath.Join(scripts, fmt.Sprintf("block-%02d.sh", i))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	run := exec.Command("bash", args...)
	run.Dir, run.Env = dir, append(environment(), "CLONE="+clone,
		"PUBLIC="+p.public, "PRIVATE="+p.private, "NATS="+p.nats, "PLATFORM="+p.platform)
	// The terminals of the page are in one group with it.
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.WaitDelay = 10 * time.Second
	stop := time.AfterFunc(2*time.Minute, func() { _ = syscall.Kill(-run.Process.Pid, syscall.SIGTERM) })
	defer stop.Stop()
	out, err := run.CombinedOutput()
	_ = syscall.Kill(-run.Process.Pid, syscall.SIGKILL)
	if testing.Verbose() || err != nil {
		t.Logf("%s", tail(string(out)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range g.files {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %.300s, %v, want %s", file, text, err, want)
		}
	}
}
