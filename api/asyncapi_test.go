package api_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/job"
	"receiver/internal/poll"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/objects"
	"receiver/internal/submit"
)

// eventContract is the contract of the streams.
func eventContract(t testing.TB) apitest.Doc {
	t.Helper()
	d, err := apitest.Document(api.AsyncAPI)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func members(t testing.TB, d apitest.Doc, path ...string) map[string]apitest.Doc {
	t.Helper()
	for i, name := range path {
		all, err := d.Members(name)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(path)-1 {
			return all
		}
		d = d.At(name)
	}
	return nil
}

// Every reference leads somewhere, every part is used, and what belongs together is together.
// `.ci/run asyncapi` has the specification's own validator read the document, too.
func TestTheContractOfEventsIsWhole(t *testing.T) {
	t.Parallel()
	d := eventContract(t)
	if _, err := d.Whole(d.Node()); err != nil {
		t.Error(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    ([A-Za-z]+):`).FindAllStringSubmatch(string(api.AsyncAPI), -1) {
		if _, ours := members(t, d, "components", "schemas")[m[1]]; ours && !strings.Contains(string(api.AsyncAPI), "'#/components/schemas/"+m[1]+"'") {
			t.Errorf("nothing refers to the schema %s", m[1])
		}
	}
	sent := map[string]bool{}
	for name, o := range members(t, d, "operations") {
		ref := o.At("channel").Text("$ref")
		sent[strings.TrimPrefix(ref, "#/channels/")] = true
		if o.Text("action") != "send" {
			t.Errorf("operation %s: the receiver %ss, want send", name, o.Text("action"))
		}
	}
	streams := members(t, d, "x-streams")
	for name, c := range members(t, d, "channels") {
		if !sent[name] && name != "unrecognisedBefore" {
			t.Errorf("no operation sends on the channel %s", name)
		}
		delete(sent, name)
		if len(members(t, c, "messages")) == 0 {
			t.Errorf("channel %s has no message", name)
		}
		var in []string
		for _, m := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(c.Text("address"), -1) {
			in = append(in, m[1])
		}
		if want := slices.Collect(maps.Keys(members(t, c, "parameters"))); !same(in, want) {
			t.Errorf("channel %s has the parameters %q, its address %q", name, want, in)
		}
		audience := c.Text("x-audience")
		if s, there := streams[c.Text("x-stream")]; there && s.Text("x-audience") != audience || !slices.Contains([]string{"consumers", "operators", "internal"}, audience) {
			t.Errorf("channel %s is for %q, and its stream for %q", name, audience, s.Text("x-audience"))
		}
	}
	for name := range sent {
		t.Errorf("an operation sends on %s, which is no channel", name)
	}
}

// same reports whether two lists have the same members.
func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// constants returns the values of the text constants of a package whose name and type match
// patterns, as its source has them: one that is new is found without a list.
func constants(t testing.TB, folder, file, name, kind string) (values []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "internal", folder, file))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file %s in internal/%s: %v", file, folder, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 || !regexp.MustCompile("^(?:"+name+")$").MatchString(spec.Names[0].Name) {
				return true
			}
			of := ""
			if id, ok := spec.Type.(*ast.Ident); ok {
				of = id.Name
			}
			value := spec.Values[0]
			if call, ok := value.(*ast.CallExpr); ok && len(call.Args) == 1 {
				value = call.Args[0] // errors.New
			}
			if text, ok := value.(*ast.BasicLit); ok && text.Kind == token.STRING && of == kind {
				v, err := strconv.Unquote(text.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, v)
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("internal/%s/%s has no constant %s of type %q: this test looks at the wrong place", folder, file, name, kind)
	}
	return values
}

// Each word of the program is in the contract, and each of the contract in the program.
func TestTheContractOfEventsHasEveryWord(t *testing.T) {
	t.Parallel()
	d := eventContract(t)
	schemas, parameters, channels := members(t, d, "components", "schemas"), members(t, d, "components", "parameters"), members(t, d, "channels")
	var kinds, headers, actions []string
	for _, c := range channels {
		if kind := c.Text("address"); c.Text("x-stream") == conn.JobsStream {
			kinds = append(kinds, kind[strings.LastIndexByte(kind, '.')+1:])
		}
		for _, m := range members(t, c, "messages") {
			whole, err := d.Whole(m.Node()["headers"])
			if err != nil {
				t.Fatal(err)
			}
			headers = append(headers, headersOf(whole)...)
		}
	}
	for name := range members(t, channels["actions"], "messages") {
		actions = append(actions, name)
	}
	slices.Sort(headers)
	slices.Sort(kinds)
	state := members(t, schemas["Submission"], "properties")["state"]
	for _, tt := range []struct {
		what             string
		program, written []string
	}{
		{"kinds of event", constants(t, "job", "*.go", ".*", "Kind"), slices.Compact(kinds)},
		{"headers", slices.DeleteFunc(constants(t, "job", "*.go", "[hH]eader.*", ""), func(s string) bool {
			return !strings.HasPrefix(s, "ce-") && !strings.HasPrefix(s, "receiver-")
		}), slices.Compact(headers)},
		{"results", constants(t, "job", "*.go", ".*", "Result"), schemas["Result"].Texts("enum")},
		{"kinds of evidence", constants(t, "job", "*.go", ".*", "Evidence"), schemas["Evidence"].Texts("enum")},
		{"reasons", constants(t, "job", "read.go", "Err.*", ""), schemas["Reason"].Texts("enum")},
		{"verdicts", slices.Concat(
			constants(t, "verify", "*.go", ".*", "Reason"), constants(t, "callback", "source.go", ".*", ""),
			slices.DeleteFunc(constants(t, "job", "attempt.go", ".*", ""), func(s string) bool { return s == job.NoSource }),
		), parameters["verdict"].Texts("enum")},
		{"actions", constants(t, "job", "action.go", "Action[A-Z].*", ""), parameters["action"].Texts("enum")},
		{"messages of actions", constants(t, "job", "action.go", "Action[A-Z].*", ""), actions},
		{"states of a submission", constants(t, "job", "*.go", ".*", "SubmissionState"), state.Texts("enum")},
		{"buckets", constants(t, "publish/conn", "names.go", ".*Bucket", ""), slices.Collect(maps.Keys(members(t, d, "x-buckets")))},
		{"members of Job", jsonNames[job.View](), propertiesOf(t, schemas["Job"])},
		{"members of Watch", jsonNames[job.Watch](), propertiesOf(t, schemas["Watch"])},
		{"members of Delivery", jsonNames[job.Delivery](), propertiesOf(t, schemas["Delivery"])},
		{"members of Submission", jsonNames[job.Submission](), propertiesOf(t, schemas["Submission"])},
		{"members of Action", jsonNames[job.Action](), propertiesOf(t, schemas["Action"])},
		{"members of Submitted", jsonNames[submit.Submission](), propertiesOf(t, schemas["Submitted"])},
		{"members of RowErrors", jsonNames[poll.Rows](), propertiesOf(t, schemas["RowErrors"])},
	} {
		if !same(tt.program, tt.written) {
			t.Errorf("%s: the program has %q, api/asyncapi.yaml %q", tt.what, slices.Sorted(slices.Values(tt.program)), slices.Sorted(slices.Values(tt.written)))
		}
	}
}

// headersOf returns the names of all headers in a schema without references.
func headersOf(schema any) (names []string) {
	s, _ := schema.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	names = slices.Collect(maps.Keys(properties))
	parts, _ := s["allOf"].([]any)
	for _, p := range parts {
		names = append(names, headersOf(p)...)
	}
	return names
}

func propertiesOf(t testing.TB, schema apitest.Doc) []string {
	return slices.Collect(maps.Keys(members(t, schema, "properties")))
}

func jsonNames[T any]() (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// The streams are written down as the program configures them.
func TestTheContractOfEventsHasEveryStream(t *testing.T) {
	t.Parallel()
	written := members(t, eventContract(t), "x-streams")
	for _, config := range append(conn.Streams{}.Configs(), conn.Streams{}.CheckpointsConfig()) {
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		made, err := apitest.Document(data)
		if err != nil {
			t.Fatal(err)
		}
		s, there := written[config.Name]
		if !there {
			t.Errorf("x-streams lacks %s", config.Name)
			continue
		}
		delete(written, config.Name)
		for _, name := range []string{"subjects", "retention", "storage", "discard", "max_age", "max_bytes", "max_msgs", "max_msgs_per_subject"} {
			want := made.Node()[name]
			if name == "max_age" {
				want = config.MaxAge.String()
			}
			if got := s.Node()[name]; !reflect.DeepEqual(got, want) {
				t.Errorf("x-streams, %s: %s = %v, want %v", config.Name, name, got, want)
			}
		}
	}
	for name := range written {
		t.Errorf("x-streams has %s, which the program does not make", name)
	}
}

// The address of each channel is a subject of the program.
func TestTheContractOfEventsHasEverySubject(t *testing.T) {
	t.Parallel()
	digest := job.BodySHA256(nil)
	values := strings.NewReplacer("{source}", "crm", "{job}", "~YS5i", "{digest}", digest, "{verdict}", "late", "{submission}", "~YS5i",
		"{action}", "use", "{kind}", "lost", "{log}", "receiver", "{stream}", conn.JobsStream, "{object}", "YS5i", "{nuid}", "n", "{sink}", "orders", "{sequence}", "7")
	want := map[string]string{
		"attempts":     job.Attempt{Source: "crm", Verdict: job.Late}.Subject(),
		"actions":      job.Action{What: job.ActionUse}.Subject(),
		"checkpoints":  job.CheckpointSubject("receiver", conn.JobsStream),
		"watch":        job.WatchSubject("crm", "a.b"),
		"submissions":  job.SubmissionSubject("crm", "a.b"),
		"payloadEntry": objects.MetaSubject(conn.PayloadBucket, "a.b"), "payloadChunk": objects.ChunkSubject(conn.PayloadBucket, "n"),
		"unrecognised": job.Subject("crm", digest, job.Unrecognised), "unrecognisedBefore": job.Subject("crm", "", job.Unrecognised),
		"sinkRetrying": job.Delivery{Sink: "orders", Job: "crm.~YS5i"}.Subject(),
		"sinkGivenUp":  job.Delivery{Sink: "orders", Job: "crm.~YS5i", Next: 7, GivenUp: true}.Subject(),
		"replays":      job.ReplaySubject(job.Subject("crm", "a.b", job.Lost)),
		"anchor":       "{prefix}.receiver." + conn.JobsStream,
	}
	for _, kind := range constants(t, "job", "*.go", ".*", "Kind") {
		if kind != string(job.Unrecognised) {
			want[kind] = job.Subject("crm", "a.b", job.Kind(kind))
		}
	}
	got := map[string]string{}
	for name, c := range members(t, eventContract(t), "channels") {
		got[name] = values.Replace(c.Text("address"))
	}
	if !maps.Equal(got, want) {
		t.Errorf("the channels have the subjects\n%v\nwant\n%v", got, want)
	}
}
