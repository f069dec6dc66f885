package config

import (
	"net/netip"
	"reflect"
	"time"
)

// A shape says how a part of the schema is written in YAML.
type shape int

const (
	leafShape    shape = iota // one value
	sectionShape              // a mapping with known keys
	listShape                 // a sequence of entries
	namedShape                // a mapping from free names to sections
)

// A part is one place of the schema, read once from the tags of [Config].
type part struct {
	key   string
	tag   reflect.StructTag
	typ   reflect.Type
	shape shape
	index int     // of the struct field it came from
	parts []*part // of a section, in the order of the struct
	elem  *part   // what a list or a named mapping holds
}

const sourcesKey = "sources"

var (
	// schema describes the whole configuration, sourcePart one source in it.
	schema     = describe(reflect.TypeFor[Config](), "")
	sourcePart = schema.find(sourcesKey).elem
	secretType = reflect.TypeFor[Secret]()
)

// opaque are the struct types that are one value in YAML.
var opaque = map[reflect.Type]bool{
	secretType:                      true,
	reflect.TypeFor[time.Time]():    true,
	reflect.TypeFor[netip.Prefix](): true,
}

func describe(t reflect.Type, tag reflect.StructTag) *part {
	p := &part{key: tag.Get("key"), tag: tag, typ: t}
	switch {
	case t.Kind() == reflect.Slice:
		p.shape, p.elem = listShape, describe(t.Elem(), tag)
	case t.Kind() == reflect.Map:
		p.shape, p.elem = namedShape, describe(t.Elem(), "")
	case t.Kind() == reflect.Struct && !opaque[t]:
		p.shape = sectionShape
		for i := range t.NumField() {
			f := t.Field(i)
			if _, ok := f.Tag.Lookup("key"); !ok {
				continue
			}
			c := describe(f.Type, f.Tag)
			c.index = i
			p.parts = append(p.parts, c)
		}
	}
	return p
}

// find returns the part of a section with the given key, or nil.
func (p *part) find(key string) *part {
	for _, c := range p.parts {
		if c.key == key {
			return c
		}
	}
	return nil
}

// short returns the part that a list entry written as one text stands for: the
// entry itself, or the one field of it that is tagged short.
func (p *part) short() *part {
	for _, c := range p.parts {
		if _, ok := c.tag.Lookup("short"); ok {
			return c
		}
	}
	return p
}

// keys lists the keys of a section.
func (p *part) keys() []string {
	var keys []string
	for _, c := range p.parts {
		keys = append(keys, c.key)
	}
	return keys
}

// join makes the path of a key beneath a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// ours reports whether a secret is one that no other system dictates.
func (p *part) ours() bool { return p.tag.Get("ours") != "" }
