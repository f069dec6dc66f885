package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"receiver/api"
)

// Message is a message as a stream has it.
type Message struct {
	Stream, Subject string
	Header          map[string][]string
	Data            []byte
}

// Check returns the name that the contract of the streams, api/asyncapi.yaml, has for the message,
// as CHANNEL/MESSAGE. It is an error if the message is not as the contract says, or has a header or
// a member that the contract does not name.
func (m Message) Check() (name string, err error) {
	all, err := messages()
	if err != nil {
		return "", err
	}
	for _, c := range all {
		if c.stream != m.Stream || !c.subject.MatchString(m.Subject) {
			continue
		}
		if err := c.check(m); err != nil {
			return c.name, fmt.Errorf("the message on %s is not the %s of api/asyncapi.yaml: %w", m.Subject, c.name, err)
		}
		return c.name, nil
	}
	return "", fmt.Errorf("api/asyncapi.yaml has no channel of stream %s for the subject %s", m.Stream, m.Subject)
}

// MessageNames returns the names of all messages of the contract, as Check gives them.
func MessageNames() ([]string, error) {
	all, err := messages()
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return names, err
}

// checker holds the messages on some subjects to their schemas.
type checker struct {
	name, stream, contentType string
	subject                   *regexp.Regexp
	header, payload           *jsonschema.Schema
}

func (c *checker) check(m Message) error {
	header := map[string]any{}
	for name, values := range m.Header {
		if len(values) != 1 {
			return fmt.Errorf("the header %s has %d values", name, len(values))
		}
		header[name] = values[0]
	}
	if err := c.header.Validate(header); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	switch {
	case header["receiver-data-ref"] != nil && len(m.Data) > 0:
		return errors.New("it has a payload, and refers to one")
	case header["receiver-data-ref"] != nil:
		return nil
	case header["receiver-encryption"] != nil:
		if len(m.Data) > 0 && !bytes.HasPrefix(m.Data, []byte("age-encryption.org/v1\n")) {
			return errors.New("the payload is not encrypted")
		}
		return nil
	}
	var payload any = string(m.Data)
	if c.contentType == "application/json" {
		var err error
		if payload, err = jsonschema.UnmarshalJSON(bytes.NewReader(bytes.TrimPrefix(m.Data, []byte("\ufeff")))); err != nil {
			return fmt.Errorf("payload: %w", err)
		}
	}
	if err := c.payload.Validate(payload); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	return nil
}

// messages are the checkers of all messages. One that is on a channel with several is on the
// subject that ends in its name.
var messages = sync.OnceValues(func() ([]checker, error) {
	d, err := Document(api.AsyncAPI)
	if err != nil {
		return nil, err
	}
	var all []checker
	channels, err := d.Members("channels")
	for _, name := range slices.Sorted(maps.Keys(channels)) {
		if err != nil {
			return nil, err
		}
		var made []checker
		made, err = d.checkers(name, channels[name])
		all = append(all, made...)
	}
	return all, err
})

func (d Doc) checkers(name string, channel Doc) (all []checker, err error) {
	parameters, err := channel.Members("parameters")
	if err != nil {
		return nil, err
	}
	messages, err := channel.Members("messages")
	if err != nil {
		return nil, err
	}
	for message, m := range messages {
		pattern := regexp.QuoteMeta(channel.Text("address"))
		for p, parameter := range parameters {
			alternatives := parameter.Text("x-pattern")
			if words := parameter.Texts("enum"); len(words) > 0 {
				alternatives = strings.Join(words, "|")
				if len(messages) > 1 {
					alternatives = message
				}
			}
			if alternatives == "" {
				alternatives = ".+"
			}
			pattern = strings.ReplaceAll(pattern, regexp.QuoteMeta("{"+p+"}"), "(?:"+alternatives+")")
		}
		c := checker{name: name + "/" + message, stream: channel.Text("x-stream"), contentType: m.Text("contentType")}
		if c.contentType == "" {
			c.contentType = d.Text("defaultContentType")
		}
		if c.subject, err = regexp.Compile("^" + pattern + "$"); err == nil {
			c.header, err = d.compile(m, "headers")
		}
		if err == nil {
			c.payload, err = d.compile(m, "payload")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// compile makes a schema of a message. Its objects take no members but those that it names.
func (d Doc) compile(message Doc, part string) (*jsonschema.Schema, error) {
	schema, err := d.Whole(message.node[part])
	if err != nil {
		return nil, err
	}
	shut(schema, false)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.AssertContent()
	const name = "memory:///schema.json"
	if err := c.AddResource(name, schema); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

// shut lets the objects of a schema take no further members. A part of an allOf stays open, since
// the other parts name members, too.
func shut(node any, part bool) {
	s, ok := node.(map[string]any)
	if !ok {
		return
	}
	for key, value := range s {
		switch key {
		case "properties":
			for _, p := range value.(map[string]any) {
				shut(p, false)
			}
		case "items", "contentSchema", "additionalProperties":
			shut(value, false)
		case "allOf", "oneOf":
			for _, p := range value.([]any) {
				shut(p, key == "allOf")
			}
		}
	}
	_, has := s["properties"]
	_, all := s["allOf"]
	_, patterns := s["patternProperties"]
	_, more := s["additionalProperties"]
	if (has || all || patterns) && !more && !part {
		s["unevaluatedProperties"] = false
	}
}

// Doc is a part of a document in YAML or JSON, and the document that it is of.
type Doc struct{ node, root map[string]any }

// Document reads a document.
func Document(text []byte) (Doc, error) {
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return Doc{}, fmt.Errorf("reading the document: %w", err)
	}
	// By way of JSON, whose numbers are those that schemas are checked with.
	data, err := json.Marshal(tree)
	if err != nil {
		return Doc{}, fmt.Errorf("reading the document: %w", err)
	}
	read, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return Doc{}, fmt.Errorf("reading the document: %w", err)
	}
	root, ok := read.(map[string]any)
	if !ok {
		return Doc{}, errors.New("the document is no object")
	}
	return Doc{root, root}, nil
}

// Node is the part as encoding/json has it.
func (d Doc) Node() map[string]any { return d.node }

// Text is a member that is text; else empty.
func (d Doc) Text(name string) string {
	s, _ := d.node[name].(string)
	return s
}

// Texts is a member that is a list of texts; else nil.
func (d Doc) Texts(name string) (all []string) {
	list, _ := d.node[name].([]any)
	for _, v := range list {
		s, _ := v.(string)
		all = append(all, s)
	}
	return all
}

// Members are the members of a member, those that are references resolved.
func (d Doc) Members(name string) (map[string]Doc, error) {
	all := map[string]Doc{}
	members, _ := d.node[name].(map[string]any)
	for key, value := range members {
		node, ok := value.(map[string]any)
		if ref, there := node["$ref"].(string); ok && there {
			var err error
			if node, err = d.Find(ref); err != nil {
				return nil, err
			}
		}
		all[key] = Doc{node, d.root}
	}
	return all, nil
}

// At returns a member that is an object; an empty one if it is not.
func (d Doc) At(name string) Doc {
	node, _ := d.node[name].(map[string]any)
	return Doc{node, d.root}
}

// Find returns what a reference names.
func (d Doc) Find(ref string) (map[string]any, error) {
	var node any = d.root
	path, ok := strings.CutPrefix(ref, "#/")
	for name := range strings.SplitSeq(path, "/") {
		m, _ := node.(map[string]any)
		node = m[name]
	}
	found, object := node.(map[string]any)
	if !ok || !object {
		return nil, fmt.Errorf("the document has nothing at %s", ref)
	}
	return found, nil
}

// Whole returns a copy of a node without references: what they name is in their place.
func (d Doc) Whole(node any) (any, error) {
	switch n := node.(type) {
	case map[string]any:
		if ref, ok := n["$ref"].(string); ok {
			found, err := d.Find(ref)
			if err != nil {
				return nil, err
			}
			return d.Whole(found)
		}
		whole := map[string]any{}
		for key, value := range n {
			v, err := d.Whole(value)
			if err != nil {
				return nil, err
			}
			whole[key] = v
		}
		return whole, nil
	case []any:
		var whole []any
		for _, value := range n {
			v, err := d.Whole(value)
			if err != nil {
				return nil, err
			}
			whole = append(whole, v)
		}
		return whole, nil
	}
	return node, nil
}
