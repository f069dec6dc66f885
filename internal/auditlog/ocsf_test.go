package auditlog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"testing"

	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/service/records"
)

// schema is the part of the published schema in testdata.
type schema struct {
	Version string
	Classes map[string]class
	Objects map[string]object
}

type class struct {
	object
	CategoryUID int `json:"category_uid"`
	ClassUID    int `json:"class_uid"`
	Profiles    []string
}

type object struct {
	Attributes  map[string]attribute
	Constraints struct {
		AtLeastOne []string `json:"at_least_one"`
	}
}

type attribute struct {
	Type, Requirement, Profile, Sibling string
	IsArray                             bool              `json:"is_array"`
	Enum                                map[string]string // captions
}

func published(t *testing.T) (s schema) {
	t.Helper()
	data, err := os.ReadFile("testdata/ocsf-1.3.0.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Version != "1.3.0" || len(s.Classes) != 2 {
		t.Fatalf("the schema in testdata cannot be used: %v", err)
	}
	return s
}

// event checks an event of the export against its class.
func (s schema) event(text []byte) (wrong []string) {
	var e map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&e); err != nil {
		return []string{err.Error()}
	}
	number := func(name string) (n int) { _, _ = fmt.Sscan(fmt.Sprint(e[name]), &n); return n }
	for name, c := range s.Classes {
		if c.ClassUID != number("class_uid") {
			continue
		}
		metadata, _ := e["metadata"].(map[string]any)
		var profiles []string
		listed, _ := metadata["profiles"].([]any)
		for _, p := range listed {
			profiles = append(profiles, fmt.Sprint(p))
			if !slices.Contains(c.Profiles, fmt.Sprint(p)) {
				wrong = append(wrong, fmt.Sprintf("%s has no profile %v", name, p))
			}
		}
		if number("category_uid") != c.CategoryUID || number("type_uid") != c.ClassUID*100+number("activity_id") || metadata["version"] != s.Version {
			wrong = append(wrong, "category_uid, type_uid or metadata.version is wrong")
		}
		return append(wrong, s.check(name, c.object, e, profiles)...)
	}
	return []string{fmt.Sprintf("no class has class_uid %v", e["class_uid"])}
}

// check checks the members of an object with the attributes that the profiles give it.
func (s schema) check(path string, o object, has map[string]any, profiles []string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, path+"."+fmt.Sprintf(format, args...)) }
	for name, a := range o.Attributes {
		if a.Requirement == "required" && has[name] == nil && (a.Profile == "" || slices.Contains(profiles, a.Profile)) {
			say("%s is required", name)
		}
	}
	for name, value := range has {
		a, known := o.Attributes[name]
		if !known || a.Profile != "" && !slices.Contains(profiles, a.Profile) {
			say("%s is no attribute", name)
			continue
		}
		if a.Enum != nil {
			caption, known := a.Enum[fmt.Sprint(value)]
			sibling := has[a.Sibling]
			switch {
			case !known:
				say("%s is %v, which its enum has not", name, value)
			case caption == "Other" && sibling == nil:
				say("%s says what %s 99 is, and is missing", a.Sibling, name)
			case caption != "Other" && sibling != nil && sibling != caption:
				say("%s is %v, want %s as %s", a.Sibling, sibling, caption, name)
			}
		}
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		if isList != a.IsArray {
			say("%s is an array: %v", name, isList)
		}
		for _, v := range list {
			wrong = append(wrong, s.value(path+"."+name, a.Type, v, profiles)...)
		}
	}
	some := func(name string) bool { return has[name] != nil && has[name] != "" }
	if one := o.Constraints.AtLeastOne; len(one) > 0 && !slices.ContainsFunc(one, some) {
		say("has none of %v", one)
	}
	return wrong
}

// value checks one value of a type.
func (s schema) value(path, kind string, value any, profiles []string) []string {
	ok := false
	switch kind {
	case "string_t":
		_, ok = value.(string)
	case "ip_t":
		text, _ := value.(string)
		_, err := netip.ParseAddr(text)
		ok = err == nil
	case "integer_t", "long_t":
		n, isNumber := value.(json.Number)
		_, err := n.Int64()
		ok = isNumber && err == nil
	default:
		inner, isObject := value.(map[string]any)
		if o, known := s.Objects[kind]; isObject && known {
			return s.check(path, o, inner, profiles)
		}
		ok = isObject && kind == "object" // of any members
	}
	if !ok {
		return []string{fmt.Sprintf("%s is %v, want a %s", path, value, kind)}
	}
	return nil
}

// everyEntry are the entries that -o ocsf may have to print: each verdict, reason and action, with
// and without what may be missing.
func everyEntry() (all []auditlog.Entry) {
	base := auditlog.Entry{
		ID: "JOBS/7", Stream: "JOBS", Sequence: 7, Received: noon, Stored: noon, Source: "demo", Kind: "finished", Job: "7", Result: "succeeded", Evidence: "callback",
		Key: "2026", Fingerprint: "sha256:fdef0e6f", Signature: "sha256=x", Body: job.BodySHA256(body), Size: 30,
	}
	bare := auditlog.Entry{ID: "ATTEMPTS/1", Stream: "ATTEMPTS", Sequence: 1, Received: noon, Stored: noon, Size: -1}
	for _, from := range []auditlog.Entry{base, bare} {
		for _, from.Verdict = range records.Verdicts {
			for _, from.Reason = range append(slices.Clone(records.Reasons), "") {
				for _, from.Claimed = range []string{"", "nobody", "PUT /x", "BREW /\x1b\xff", "GET", "PATCH /callbacks/demo", "get /"} {
					all = append(all, from)
				}
			}
		}
		for _, from.Remote = range []string{"192.0.2.7", "2001:db8::1", "fe80::1%eth0", "@", "unix"} {
			all = append(all, from)
		}
	}
	for _, what := range append(slices.Clone(job.Actions), "") {
		for _, operator := range []string{"", "M. Weber\xff"} {
			for _, details := range []json.RawMessage{nil, json.RawMessage(`null`), json.RawMessage(`{"job":"7"}`)} {
				all = append(all, auditlog.Entry{
					ID: "ACTIONS/1", Stream: "ACTIONS", Sequence: 1, Received: noon, Stored: noon, Verdict: auditlog.Action,
					What: what, Operator: operator, Reason: operator, Details: details,
				})
			}
		}
	}
	return all
}

// Every entry is an event of the published schema: with what its class and profile require, and no
// attribute, type or number that they have not.
func TestOCSFIsOfThePublishedSchema(t *testing.T) {
	s := published(t)
	faults, classes := map[string]auditlog.Entry{}, map[string]int{}
	for _, e := range everyEntry() {
		text, err := json.Marshal(auditlog.ToOCSF(e, "v1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.event(text) {
			faults[w] = e
		}
		classes[fmt.Sprint(auditlog.ToOCSF(e, "v1")["class_uid"])]++
	}
	for _, w := range slices.Sorted(maps.Keys(faults)) {
		t.Errorf("%s: of %+v", w, faults[w])
	}
	if classes["4002"] == 0 || classes["3004"] == 0 {
		t.Errorf("events by class: %v, want both", classes)
	}
}

// The check of the schema finds what it is for.
func TestTheSchemaRefuses(t *testing.T) {
	s := published(t)
	event := func(e auditlog.Entry, change func(e, metadata map[string]any)) []byte {
		o := auditlog.ToOCSF(e, "v1")
		change(o, o["metadata"].(map[string]any))
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	refused := everyEntry()[0]
	refused.Verdict, refused.Remote = auditlog.Refused, "192.0.2.7"
	for name, change := range map[string]func(e, metadata map[string]any){
		"another class":          func(e, _ map[string]any) { e["class_uid"] = 4001 },
		"another category":       func(e, _ map[string]any) { e["category_uid"] = 3 },
		"another type":           func(e, _ map[string]any) { e["type_uid"] = 400201 },
		"another version":        func(_, m map[string]any) { m["version"] = "1.2.0" },
		"no product":             func(_, m map[string]any) { delete(m, "product") },
		"no vendor":              func(_, m map[string]any) { m["product"] = map[string]any{"name": "receiver"} },
		"a profile of no class":  func(_, m map[string]any) { m["profiles"] = []string{"security_control", "x"} },
		"no profile":             func(_, m map[string]any) { delete(m, "profiles") },
		"no action_id":           func(e, _ map[string]any) { delete(e, "action_id") },
		"no time":                func(e, _ map[string]any) { delete(e, "time") },
		"a time in words":        func(e, _ map[string]any) { e["time"] = "noon" },
		"a fraction of a time":   func(e, _ map[string]any) { e["time"] = 1.5 },
		"no severity_id":         func(e, _ map[string]any) { delete(e, "severity_id") },
		"a severity of its own":  func(e, _ map[string]any) { e["severity_id"] = 7 },
		"a status of its own":    func(e, _ map[string]any) { e["status"] = "refused" },
		"an action of its own":   func(e, _ map[string]any) { e["action_id"] = 3 },
		"another disposition":    func(e, _ map[string]any) { e["disposition_id"] = 98 },
		"another, without words": func(e, _ map[string]any) { e["disposition_id"] = 99 },
		"an unknown attribute":   func(e, _ map[string]any) { e["verdict"] = "refused" },
		"one of a later version": func(e, _ map[string]any) { e["http_request"] = map[string]any{"body_length": 3} },
		"no http_request":        func(e, _ map[string]any) { delete(e, "http_request") },
		"no code":                func(e, _ map[string]any) { e["http_response"] = map[string]any{} },
		"an empty endpoint":      func(e, _ map[string]any) { e["dst_endpoint"] = map[string]any{"svc_name": ""} },
		"an address in words":    func(e, _ map[string]any) { e["src_endpoint"] = map[string]any{"ip": "unix"} },
		"a list of statuses":     func(e, _ map[string]any) { e["status_detail"] = []string{"a"} },
	} {
		if wrong := s.event(event(refused, change)); len(wrong) == 0 {
			t.Errorf("%s: the schema has nothing against it", name)
		}
	}
	if wrong := s.event(event(refused, func(_, _ map[string]any) {})); len(wrong) != 0 {
		t.Errorf("unchanged: %v", wrong)
	}
}
