package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"receiver/api"
	"receiver/api/apitest"
)

// The contract of the streams changes compatibly since the last release: a consumer that was
// written for that goes on without a change. docs/events.md has the rules.
func TestTheContractOfEventsChangesCompatibly(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("released/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	released, err := apitest.Document(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range incompatible(t, released, eventContract(t)) {
		t.Errorf("incompatible with api/released/asyncapi.yaml: %s", change)
	}
}

// No operation of the last release is gone, and none asks for another scope, so that a token that
// was enough stays enough. `.ci/run contract` compares the rest of the contracts of the HTTP API.
func TestOperationsStay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("released/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	released, err := apitest.Document(text)
	if err != nil {
		t.Fatal(err)
	}
	scopes := map[string]string{}
	for _, o := range api.Operations() {
		scopes[o.Method+" "+o.Path] = o.Scope
	}
	seen := 0
	for path, p := range members(t, released, "paths") {
		for method := range p.Node() {
			name, was := strings.ToUpper(method)+" "+path, p.At(method).Text("x-scope")
			if method == "parameters" {
				continue
			}
			seen++
			if now, there := scopes[name]; !there || now != was {
				t.Errorf("incompatible with api/released/openapi.yaml: %s needs the scope %q (there: %v), and needed %q", name, now, there, was)
			}
		}
	}
	if seen == 0 {
		t.Error("api/released/openapi.yaml has no operation")
	}
}

// incompatible returns the changes of a contract of streams that break a consumer. Internal
// channels may change.
func incompatible(t testing.TB, was, is apitest.Doc) []string {
	t.Helper()
	c := &comparison{}
	for name, s := range members(t, was, "servers") {
		c.same("server "+name, s, is.At("servers").At(name), "protocol")
	}
	streams := members(t, is, "x-streams")
	for name, s := range members(t, was, "x-streams") {
		if s.Text("x-audience") == "internal" {
			continue
		}
		c.same("stream "+name, s, streams[name], "retention", "storage")
		c.values("stream "+name+": subject", s.Texts("subjects"), streams[name].Texts("subjects"), true)
	}
	channels, public := members(t, is, "channels"), map[string]bool{}
	for name, ch := range members(t, was, "channels") {
		if ch.Text("x-audience") == "internal" {
			continue
		}
		public["#/channels/"+name] = true
		now, there := channels[name]
		if !there || now.Text("x-audience") == "internal" {
			c.add("channel %s is removed", name)
			continue
		}
		c.channel(t, "channel "+name, was, is, ch, now)
	}
	operations := members(t, is, "operations")
	for name, o := range members(t, was, "operations") {
		ref := o.At("channel").Text("$ref")
		if public[ref] && (operations[name].Text("action") != o.Text("action") || operations[name].At("channel").Text("$ref") != ref) {
			c.add("operation %s is removed or another one", name)
		}
	}
	return c.changes
}

// comparison collects incompatible changes.
type comparison struct{ changes []string }

func (c *comparison) add(format string, args ...any) {
	c.changes = append(c.changes, fmt.Sprintf(format, args...))
}

// same wants members to have stayed as they were.
func (c *comparison) same(at string, was, is apitest.Doc, names ...string) {
	for _, name := range names {
		if a, b := was.Node()[name], is.Node()[name]; !reflect.DeepEqual(a, b) {
			c.add("%s: %s was %v and is %v", at, name, a, b)
		}
	}
}

// values wants the values that there were to be there still, and others only if there may be more.
func (c *comparison) values(at string, was, is []string, more bool) {
	for _, v := range was {
		if !slices.Contains(is, v) {
			c.add("%s %s is removed", at, v)
		}
	}
	for _, v := range is {
		if !more && !slices.Contains(was, v) {
			c.add("%s %s is new, and consumers were not told to expect more", at, v)
		}
	}
}

func (c *comparison) channel(t testing.TB, at string, docWas, docIs, was, is apitest.Doc) {
	t.Helper()
	c.same(at, was, is, "address", "x-stream")
	parameters := members(t, is, "parameters")
	for name, p := range members(t, was, "parameters") {
		at := at + ", parameter " + name
		c.same(at, p, parameters[name], "x-pattern")
		if words := p.Texts("enum"); words != nil {
			c.values(at+": value", words, parameters[name].Texts("enum"), p.Node()["x-extensible"] == true)
		}
	}
	messages := members(t, is, "messages")
	for name, m := range members(t, was, "messages") {
		at := at + ", message " + name
		now, there := messages[name]
		if !there {
			c.add("%s is removed", at)
			continue
		}
		c.same(at, m, now, "contentType")
		for _, part := range []string{"headers", "payload"} {
			a, errWas := docWas.Whole(m.Node()[part])
			b, errIs := docIs.Whole(now.Node()[part])
			if errWas != nil || errIs != nil {
				t.Fatal(errWas, errIs)
			}
			c.schema(at+", "+part, a, b)
		}
	}
}

// schema compares what may be sent: a consumer that relies on the first schema must be able to rely
// on the second. Further members and narrower values are compatible.
func (c *comparison) schema(at string, first, second any) {
	was, is := flat(first), flat(second)
	for _, name := range []string{"const", "pattern", "format", "minimum", "contentMediaType"} {
		if v, there := was[name]; there && !reflect.DeepEqual(v, is[name]) {
			c.add("%s: %s was %v and is %v", at, name, v, is[name])
		}
	}
	if types := texts(was["type"]); types != nil {
		c.values(at+": type", nil, slices.DeleteFunc(texts(is["type"]), func(s string) bool { return slices.Contains(types, s) }), false)
		if texts(is["type"]) == nil {
			c.add("%s: it may be of any type", at)
		}
	}
	if words := texts(was["enum"]); words != nil {
		c.values(at+": value", words, texts(is["enum"]), was["x-extensible"] == true && is["enum"] != nil)
	}
	for _, name := range texts(was["required"]) {
		if !slices.Contains(texts(is["required"]), name) {
			c.add("%s: %s is not always there any more", at, name)
		}
	}
	properties, _ := was["properties"].(map[string]any)
	now, _ := is["properties"].(map[string]any)
	for name, p := range properties {
		if _, there := now[name]; !there {
			c.add("%s: %s is removed", at, name)
			continue
		}
		c.schema(at+", "+name, p, now[name])
	}
	for _, name := range []string{"items", "contentSchema", "additionalProperties"} {
		if _, there := was[name].(map[string]any); there {
			c.schema(at+", "+name, was[name], is[name])
		}
	}
	for _, name := range []string{"oneOf", "conditions"} {
		a, _ := was[name].([]any)
		b, _ := is[name].([]any)
		if len(a) != len(b) && (name == "oneOf" || len(a) > len(b)) {
			c.add("%s: %s had %d parts and has %d", at, name, len(a), len(b))
			continue
		}
		for i := range a {
			c.schema(fmt.Sprintf("%s, %s %d", at, name, i+1), a[i], b[i])
		}
	}
}

// flat returns a schema with the members of all parts of its allOf as its own, and each if with its
// then as a member of `conditions`.
func flat(schema any) map[string]any {
	whole := map[string]any{}
	s, _ := schema.(map[string]any)
	parts, _ := s["allOf"].([]any)
	for _, part := range parts {
		merge(whole, flat(part))
	}
	own := map[string]any{}
	for name, value := range s {
		if name != "allOf" && name != "if" && name != "then" {
			own[name] = value
		}
	}
	if s["if"] != nil {
		condition, _ := json.Marshal(s["if"])
		own["conditions"] = []any{map[string]any{"const": string(condition), "allOf": []any{s["then"]}}}
	}
	merge(whole, own)
	return whole
}

func merge(to, from map[string]any) {
	for name, value := range from {
		switch there := to[name].(type) {
		case []any:
			more, _ := value.([]any)
			to[name] = append(slices.Clone(there), more...)
		case map[string]any:
			both := map[string]any{}
			for key, v := range there {
				both[key] = v
			}
			more, _ := value.(map[string]any)
			for key, v := range more {
				if was, twice := both[key]; twice {
					v = map[string]any{"allOf": []any{was, v}}
				}
				both[key] = v
			}
			to[name] = both
		default:
			to[name] = value
		}
	}
}

// texts returns a text, or a list of them.
func texts(value any) (all []string) {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	list, _ := value.([]any)
	for _, v := range list {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

// Each rule, as a change of the contract and what is said of it; nothing, if it is compatible.
func TestIncompatibleChangesAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, from, to, want string }{
		{"no change", "", "", ""},
		{"a description", "The receiver submitted a job", "Somebody did", ""},
		{"a new member", "        warned: {type", "        extra: {type: string}\n        warned: {type", ""},
		{"a new result", "cancelled, unknown]", "cancelled, unknown, mixed]", ""},
		{"a new verdict", "wrong_method, encoded]", "wrong_method, encoded, tired]", ""},
		{"a member that is always there now", "required: [ce-result, ce-status]", "required: [ce-result, ce-status, receiver-remote]", ""},
		{"a change of what is internal", "        begun: {type: string, format: date-time}\n", "", ""},
		{"a new channel", "\n  lost:\n    address: jobs", "\n  more:\n    address: more\n    x-audience: consumers\n  lost:\n    address: jobs", ""},
		{"a narrower value", "records: {type: integer, minimum: 0", "records: {type: integer, minimum: 0, maximum: 9", ""},
		{"a channel", "\n  lost:\n    address: jobs", "\n  gone:\n    address: jobs", "channel lost is removed"},
		{"a channel that is internal now", "x-stream: JOBS\n    x-audience: consumers\n    parameters: &job", "x-stream: JOBS\n    x-audience: internal\n    parameters: &job", "channel submitted is removed"},
		{"an address", "{job}.lost\n", "{job}.gone\n", "channel lost: address was"},
		{"a stream", "\n  ATTEMPTS:\n    subjects", "\n  TRIES:\n    subjects", "stream ATTEMPTS: retention was limits and is <nil>"},
		{"a subject of a stream", "subjects: ['jobs.>']", "subjects: ['job.>']", "stream JOBS: subject jobs.> is removed"},
		{"the retention of a stream", "subjects: ['jobs.>']\n    retention: limits", "subjects: ['jobs.>']\n    retention: interest", "stream JOBS: retention was limits"},
		{"a server", "\n  embedded:\n    host", "\n  inside:\n    host", "server embedded: protocol"},
		{"an operation", "sendLost: {action: send", "sendLost: {action: receive", "operation sendLost"},
		{"a form of a parameter", "x-pattern: '[0-9a-f]{64}'", "x-pattern: '[0-9a-f]{32}'", "parameter digest: x-pattern"},
		{"a verdict", "wrong_method, encoded]", "wrong_method]", "value encoded is removed"},
		{"a message", "mend: {$ref", "repair: {$ref", "channel actions, message mend is removed"},
		{"a media type", "title: Checkpoint\n      contentType: text/plain", "title: Checkpoint\n      contentType: application/json", "contentType was text/plain"},
		{"a header", "            ce-subject: {type", "            ce-job: {type", "ce-subject is removed"},
		{"a header that may be absent", "required: [ce-subject, receiver-job]", "required: [receiver-job]", "ce-subject is not always there any more"},
		{"a header under a condition", "then: {required: [receiver-signature, ", "then: {required: [", "receiver-signature is not always there any more"},
		{"a condition", "properties: {ce-evidence: {enum: [callback, late]}}", "properties: {ce-evidence: {enum: [callback]}}", "conditions 2: const was"},
		{"a constant", "const: com.sap.openconnectors.bulk.job.finished", "const: com.sap.openconnectors.job.finished", "const was"},
		{"a member of the job", "        warned: {type: integer", "        with_warning: {type: integer", "warned is removed"},
		{"a type", "records: {type: integer, minimum: 0, ", "records: {type: string, ", "records: type string is new"},
		{"any type", "file_format: {type: string}", "file_format: {}", "file_format: it may be of any type"},
		{"a wider value", "failed: {type: integer, minimum: 0, ", "failed: {type: integer, ", "failed: minimum was 0"},
		{"a format", "ce-time: {type: string, format: date-time, ", "ce-time: {type: string, ", "ce-time: format was date-time"},
		{"a form", "receiver-body-size: {type: string, pattern: '^\\d+$', ", "receiver-body-size: {type: string, ", "receiver-body-size: pattern was"},
		{"a result", "partial, failed, cancelled, unknown]", "partial, failed, unknown]", "value cancelled is removed"},
		{"a value that was not announced", "enum: [UPLOAD, DOWNLOAD]", "enum: [UPLOAD, DOWNLOAD, SIDELOAD]", "value SIDELOAD is new"},
		{"any value", "enum: [UPLOAD, DOWNLOAD]", "description: Any.", "value UPLOAD is removed"},
		{"a member of a list", "              text: {type: string}\n", "", "rows, items: text is removed"},
		{"what is in a header", "          contentMediaType: application/json\n          contentSchema: {$ref: '#/components/schemas/Request'}\n", "", "receiver-request: contentMediaType"},
		{"an alternative", "                  - $ref: '#/components/schemas/StreamsPlan'\n", "", "oneOf had 2 parts and has 1"},
		{"a fact of an action", "properties: {added: *tokens, removed: *tokens}", "properties: {added: *tokens}", "details: removed is removed"},
	} {
		text := string(api.AsyncAPI)
		if !strings.Contains(text, tt.from) {
			t.Errorf("%s: api/asyncapi.yaml does not have %q: correct this table", tt.name, tt.from)
			continue
		}
		changed, err := apitest.Document([]byte(strings.Replace(text, tt.from, tt.to, 1)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		found := strings.Join(incompatible(t, eventContract(t), changed), "\n")
		if (found == "") != (tt.want == "") || !strings.Contains(found, tt.want) {
			t.Errorf("%s: the changes found are %q, want %q", tt.name, found, tt.want)
		}
	}
}
