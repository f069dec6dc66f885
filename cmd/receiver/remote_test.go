package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// far is a receiver, and what runs commands on its machine and on another one.
type far struct {
	t            *testing.T
	dir, private string
	serve        *process
	elsewhere    string // an empty folder
}

// newFar starts a receiver with tokens, and its platform.
func newFar(t *testing.T, platform ...string) *far {
	t.Helper()
	f := &far{t: t, elsewhere: t.TempDir()}
	f.dir, f.private = configuredAt(t)
	if code, _, talk := f.here("audit", "init", "--key-file", filepath.Join(f.dir, "log.key")); code != 0 {
		t.Fatal(talk)
	}
	config, err := os.ReadFile(filepath.Join(f.dir, "config.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(f.dir, "config.yaml"), append(config, "audit: {key: \"file:log.key\"}\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, scopes := range []string{"read,audit,admin,submit", "audit", "submit"} {
		code, token, talk := f.here("tokens", "add", "t-"+strings.ReplaceAll(scopes, ",", "-"), "--scope", scopes)
		if code != 0 {
			t.Fatal(talk)
		}
		f.write(scopes, token)
	}
	f.write("wrong", "rcv_wrong")
	f.write("contacts.csv", "C_EmailAddress,C_FirstName\na@example.com,A\nb@example.com,B\n")
	f.start()
	p := start(t, f.dir, append([]string{"simulate", "--job-duration", "10ms"}, platform...)...)
	if _, err := p.wait(p.log, regexp.MustCompile("TEST platform of source")); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *far) start() {
	f.t.Helper()
	f.serve = start(f.t, f.dir, "serve")
	f.serve.listening(f.t)
}

func (f *far) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.file(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// file is a file that both machines read.
func (f *far) file(name string) string { return filepath.Join(f.dir, name) }

// here runs a command on the machine of the receiver.
func (f *far) here(args ...string) (code int, out, talk string) {
	f.t.Helper()
	return f.run(f.dir, environment(), args...)
}

// there runs one elsewhere: without a configuration, a store and secrets.
func (f *far) there(args ...string) (code int, out, talk string) {
	f.t.Helper()
	return f.run(f.elsewhere, []string{"HOME=" + f.elsewhere, "GORACE=" + quickRace}, args...)
}

// asking is there with a token.
func (f *far) asking(token string, args ...string) (code int, out, talk string) {
	f.t.Helper()
	return f.there(append([]string{"--url", f.private, "--token-file", f.file(token)}, args...)...)
}

const allScopes = "read,audit,admin,submit"

func (f *far) run(dir string, env []string, args ...string) (code int, out, talk string) {
	f.t.Helper()
	program, err := exec.LookPath("receiver")
	if err != nil {
		f.t.Fatal(err)
	}
	cmd := exec.CommandContext(f.t.Context(), program, args...)
	var printed, said bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &printed, &said
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		f.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), printed.String(), said.String()
}

// submit submits from elsewhere, and returns the id of the job.
func (f *far) submit(args ...string) string {
	f.t.Helper()
	code, id, talk := f.asking(allScopes, append([]string{"submit", "--object", "contact", "--file", f.file("contacts.csv"), "--wait"}, args...)...)
	if code != 0 && !strings.Contains(talk, "did not succeed") {
		f.t.Fatalf("submit = %d, %s", code, talk)
	}
	return strings.TrimSpace(id)
}

// A command prints the same by HTTP as on the machine of the receiver, and ends with the same code.
func TestCommandsPrintTheSameByHTTP(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	id := f.submit()
	failed := f.submit("--metadata", `{"simulate":{"failed":1}}`)
	f.here("audit", "seal")
	for _, line := range []string{
		"objects", "objects contact", "objects nonesuch --source demo",
		"jobs list", "jobs list --state finished --since 1h --limit 1", "jobs list --source nonesuch", "jobs list --cursor x",
		"jobs show JOB", "jobs show --source demo JOB", "jobs show 7", "jobs status JOB", "jobs status 7", "jobs errors FAILED", "jobs errors FAILED --limit 1",
		"jobs result JOB", "jobs result JOB --accept application/json --lines",
		"jobs release JOB", "jobs replay JOB --kind conflict",
		"audit list", "audit list --verdict accepted --limit 1", "audit list --verdict x", "audit list --source nonesuch", "audit list -o csv", "audit list -o ocsf",
		"audit show JOBS/2", "audit show JOBS/2 --raw", "audit show JOBS/99", "audit prove JOBS/2", "audit prove JOBS/99", "audit prove --verdict accepted --job JOB", "audit prove --source nonesuch", "audit list --verdict mismach", "audit list --limit 1", "audit show x",
		"sources status", "keys list", "keys list --source demo", "doctor --strict",
		"events watch --since 1h --count 4", "events watch --since 1h --subject jobs.demo.*.finished --count 2", "events watch --since 1h --subject jobs.x.> --count 1",
	} {
		args := strings.Fields(strings.NewReplacer("JOB ", id+" ", "FAILED ", failed+" ").Replace(line + " "))
		for _, form := range []string{"table", "json"} {
			with := args
			if !strings.Contains(line, " -o ") {
				with = append(args[:len(args):len(args)], "-o", form)
			}
			code, out, talk := f.here(with...)
			farCode, farOut, farTalk := f.asking(allScopes, with...)
			out, farOut = comparable(out), comparable(farOut)
			if code != farCode || out != farOut {
				at := 0
				for at < min(len(out), len(farOut)) && out[at] == farOut[at] {
					at++
				}
				t.Errorf("%s, %s = %d, …%.200q, want %d, …%.200q as here; it says %.300q, want %.300q",
					line, form, farCode, farOut[max(at-40, 0):], code, out[max(at-40, 0):], farTalk, talk)
			}
		}
	}
	// Only the store has the events of a job that came by no callback, such as its submission.
	if code, out, talk := f.here("audit", "prove", "--job", id, "--folder", "here"); code != 0 || !regexp.MustCompile(`(?m)^here/JOBS\.json +JOBS +2$`).MatchString(out) {
		t.Errorf("audit prove --job %s --folder here = %d, %s, %s, want the submission and the callback", id, code, out, talk)
	}
	if code, out, talk := f.asking(allScopes, "audit", "prove", "--job", id, "--folder", "far"); code != 0 || !regexp.MustCompile(`(?m)^far/JOBS-2\.json +JOBS +1$`).MatchString(out) {
		t.Errorf("audit prove --job %s --folder far = %d, %s, %s, want the callback", id, code, out, talk)
	}
}

// comparable is a text without what is measured anew each time, and without what is known in the
// store only: when an event was stored, and the headers of NATS itself.
func comparable(text string) string {
	return regexp.MustCompile(`"stored":"[^"]*",|"Nats-[^"]*":"[^"]*",|fsync takes [^"\n]*|\d+ GiB of disk`).ReplaceAllString(text, "")
}

// An error of a receiver says what to do next, and shows no secret.
func TestCommandsThatAReceiverRefuses(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	for _, tt := range []struct {
		name, token, line string
		code              int
		says              string
	}{
		{"a wrong token", "wrong", "jobs list", 2, "`receiver tokens add NAME --scope read`"},
		{"a wrong token, of another scope", "wrong", "audit show JOBS/1", 2, "`receiver tokens add NAME --scope audit`"},
		{"a token without the scope", "audit", "jobs show --source demo 7", 2, "lacks the scope read"},
		{"a token that cannot list sources", "submit", "jobs status 7", 2, "give --source"},
		{"an unknown source", allScopes, "objects --source nonesuch", 2, "no source"},
		{"a command of the machine", allScopes, "serve", 2, "`receiver serve` cannot ask a receiver by HTTP"},
		{"a file that is not the receiver's", allScopes, "audit show JOBS/1 --identity-file x", 2, "leave them out"},
		{"another operator than the token", allScopes, "jobs cancel 7 --operator o", 2, "the operator is the token"},
		{"records of an archive", allScopes, "audit prove JOBS/1 --export x", 2, "--export"},
		{"records that need a bundle each", allScopes, "audit prove ACTIONS/1 ACTIONS/2 ACTIONS/1", 2, "by HTTP a bundle contains one record, so these need 2 bundles; give --folder"},
		{"a record that is not there", allScopes, "audit prove ACTIONS/99999", 1, "there is no record ACTIONS/99999"},
		{"a verdict that is not known", allScopes, "audit prove --verdict mismach", 2, "did you mean mismatch?"},
		{"a configuration, too", allScopes, "--config x jobs list", 2, "--config is for the machine"},
		{"a job that is not there", allScopes, "jobs show 7", 1, "ask the platform with `receiver jobs status`"},
		{"two ways to say JSON", allScopes, "jobs list --json -o table", 2, "--json and --output table"},
		{"an object that is not there", allScopes, "submit --object nonesuch --file contacts.csv", 1, "has no object nonesuch"},
	} {
		line := strings.ReplaceAll(tt.line, "contacts.csv", f.file("contacts.csv"))
		code, _, talk := f.asking(tt.token, strings.Fields(line)...)
		if code != tt.code || !strings.Contains(talk, tt.says) || strings.Contains(talk, "rcv_") {
			t.Errorf("%s: %s = %d, %q, want %d and %q", tt.name, tt.line, code, talk, tt.code, tt.says)
		}
	}
	if code, _, talk := f.there("--url", "http://192.0.2.1:8081", "--token-file", f.file("wrong"), "jobs", "list"); code != 2 || !strings.Contains(talk, "use https") {
		t.Errorf("a token in clear text = %d, %q, want 2 and https", code, talk)
	}
	code, out, talk := f.asking("audit", "--json", "jobs", "show", "--source", "demo", "7")
	if code != 2 || out != "" || !regexp.MustCompile(`^\{"error":"the token lacks the scope read \(request \w+\)","hint":"[^"]*receiver tokens add[^"]*"\}\n$`).MatchString(talk) {
		t.Errorf("an error in JSON = %d, %q, %q", code, out, talk)
	}
	if code, _, talk := f.here("-o", "json", "jobs", "show", "7"); code != 1 || !strings.HasPrefix(talk, `{"error":"job 7 of source demo is not recorded here","hint":"`) {
		t.Errorf("an error of this machine in JSON = %d, %q", code, talk)
	}
}

// Events are watched over the death of the receiver, without a gap and without a repeat.
func TestWatchSurvivesTheReceiver(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	watch := startWith(t, f.elsewhere, "receiver", "--url", f.private, "--token-file", f.file(allScopes),
		"events", "watch", "--subject", "jobs.demo.*.finished", "--count", "2")
	if _, err := watch.wait(watch.log, regexp.MustCompile("watching jobs.demo")); err != nil {
		t.Fatal(err)
	}
	first := f.submit()
	if _, err := watch.wait(watch.out, regexp.MustCompile(`jobs\.demo\.`+first+`\.finished`)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.serve.end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := watch.wait(watch.log, regexp.MustCompile("connecting again in 1s")); err != nil {
		t.Fatal(err)
	}
	f.start()
	second := f.submit()
	if code, err := watch.end(0); code != 0 || err != nil {
		t.Fatalf("events watch = %d, %v, %s", code, err, watch.log)
	}
	if out := watch.out.String(); strings.Count(out, "\n") != 2 || !strings.Contains(out, second) {
		t.Errorf("it printed %s, want job %s and %s once each", out, first, second)
	}
}

// A context is used where nothing else is named; it is never stronger than a configuration.
func TestContextsOfTheUser(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	must := func(code int, out, talk string) string {
		t.Helper()
		if code != 0 {
			t.Fatalf("exit %d, %s%s", code, out, talk)
		}
		return out + talk
	}
	must(f.there("contexts", "add", "prod", "--url", f.private, "--token-file", f.file(allScopes), "--use"))
	must(f.there("contexts", "add", "other", "--url", "https://192.0.2.1"))
	if list := must(f.there("contexts", "list")); !regexp.MustCompile(`(?m)^\* +prod +`+f.private).MatchString(list) || strings.Contains(list, "rcv_") {
		t.Errorf("contexts list = %s", list)
	}
	if said := must(f.there("jobs", "list")); !strings.Contains(said, "asking "+f.private+" (context prod)") {
		t.Errorf("a current context = %s", said)
	}
	if code, _, talk := f.there("keys", "retire", "k"); code != 2 || !strings.Contains(talk, "no configuration") {
		t.Errorf("a command of the machine with a current context = %d, %s, want no configuration", code, talk)
	}
	home := []string{"HOME=" + f.elsewhere, "GORACE=" + quickRace}
	for _, tt := range []struct {
		name, dir string
		env       []string
		line      string
		code      int
		says      string
	}{
		{"a configuration is stronger", f.dir, nil, "jobs list", 0, ""},
		{"a flag is stronger", f.dir, nil, "--context prod jobs list", 0, "asking " + f.private},
		{"a variable", f.dir, []string{"RECEIVER_CONTEXT=prod"}, "jobs list", 0, "asking " + f.private},
		{"a variable with an address", f.elsewhere, []string{"RECEIVER_URL=" + f.private, "RECEIVER_TOKEN_FILE=" + f.file(allScopes)}, "jobs list", 0, "(RECEIVER_URL)"},
		{"a variable and a configuration", f.dir, []string{"RECEIVER_CONTEXT=prod"}, "--config config.yaml jobs list", 0, ""},
		{"a variable and a command of the machine", f.dir, []string{"RECEIVER_CONTEXT=prod"}, "keys retire first", 2, "RECEIVER_CONTEXT names " + f.private},
		{"variables for both", f.dir, []string{"RECEIVER_CONTEXT=prod", "RECEIVER_CONFIG=config.yaml"}, "jobs list", 2, "unset one"},
		{"another context", f.elsewhere, nil, "--context nonesuch jobs list", 2, "there are: other, prod"},
		{"a token for no receiver", f.dir, nil, "--token-file x jobs list", 2, "need --url or --context"},
		{"a flag and a context", f.elsewhere, nil, "--url https://a --context prod jobs list", 2, "leave one out"},
	} {
		code, _, talk := f.run(tt.dir, append(home[:len(home):len(home)], tt.env...), strings.Fields(tt.line)...)
		if code != tt.code || !strings.Contains(talk, tt.says) || tt.says == "" && talk != "" {
			t.Errorf("%s: %s = %d, %q, want %d and %q", tt.name, tt.line, code, talk, tt.code, tt.says)
		}
	}
	must(f.there("contexts", "remove", "prod"))
	if code, _, talk := f.there("jobs", "list"); code != 2 || !strings.Contains(talk, "no configuration") {
		t.Errorf("without the context = %d, %s", code, talk)
	}
}
