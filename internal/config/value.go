package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parse turns the text given for a leaf of the schema into its type. A secret's
// text is never repeated in the problem.
func (l *loader) parse(p *part, text string) (any, *problem) {
	switch p.typ {
	case secretType:
		return l.parseSecret(p, text)
	case reflect.TypeFor[time.Duration]():
		return bounded(p, text, "a duration such as 500ms, 30s or 2160h", time.ParseDuration, shortDuration)
	case reflect.TypeFor[ByteSize]():
		return bounded(p, text, "a size such as 1048576, 64KiB or 8MiB", ParseByteSize, ByteSize.String)
	case reflect.TypeFor[int]():
		return bounded(p, text, "a whole number", strconv.Atoi, strconv.Itoa)
	case reflect.TypeFor[float64]():
		return bounded(p, text, "a number", func(s string) (float64, error) { return strconv.ParseFloat(s, 64) },
			func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	case reflect.TypeFor[bool]():
		if text != "true" && text != "false" {
			return false, &problem{quote(text) + " is not a boolean", "true or false"}
		}
		return text == "true", nil
	case reflect.TypeFor[time.Time]():
		return parseTime(text)
	case reflect.TypeFor[netip.Prefix]():
		return parsePrefix(text)
	default:
		return parseText(p, text)
	}
}

func (l *loader) parseSecret(p *part, text string) (any, *problem) {
	s, wrong := l.secret(text, p.ours())
	if wrong != nil || s.Empty() {
		return s, wrong
	}
	if f, ok := forms[p.tag.Get("form")]; ok {
		if _, bad := f.read(s.Reveal()); bad != "" {
			if found := flawOf(s.Reveal()); found.wrong != "" {
				return s, &problem{placeOf(text) + " " + found.wrong, found.allowed()}
			}
			return s, &problem{"the secret " + bad, f.allowed}
		}
	}
	return s, nil
}

func parseText(p *part, text string) (any, *problem) {
	_, needed := p.tag.Lookup("default")
	oneof := p.tag.Get("oneof")
	f, formed := forms[p.tag.Get("form")]
	switch {
	case text == "" && needed:
		return "", &problem{"is empty", cmp.Or(f.allowed, choices(oneof), "a text")}
	case text == "":
		return "", nil
	case oneof != "" && !contains(oneof, text):
		return "", &problem{quote(text) + " is unknown" + meant(nearest(text, strings.Split(oneof, ","))), choices(oneof)}
	case !formed:
		return text, nil
	}
	clean, wrong := f.read(text)
	if wrong != "" {
		return "", &problem{wrong, f.allowed}
	}
	return clean, nil
}

// bounded parses an ordered value and holds it against the min and max tags.
func bounded[T cmp.Ordered](p *part, text, what string, parse func(string) (T, error), show func(T) string) (any, *problem) {
	var zero T
	low, high := p.tag.Get("min"), p.tag.Get("max")
	allowed := fmt.Sprintf("%s, from %s to %s", what, low, high)
	v, err := parse(text)
	if err != nil {
		return zero, &problem{quote(text) + " is not " + what, allowed}
	}
	least, err1 := parse(low)
	most, err2 := parse(high)
	switch {
	case err1 != nil || err2 != nil:
		return zero, &problem{"the bounds of this setting are invalid: this is a bug, please report it", ""}
	case !(v >= least): // NaN, too
		return zero, &problem{show(v) + " is too small", allowed}
	case v > most:
		return zero, &problem{show(v) + " is too large", allowed}
	}
	return v, nil
}

func parseTime(text string) (any, *problem) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, &problem{quote(text) + " is not a time", "RFC 3339, such as 2026-01-31T00:00:00Z"}
	}
	return t, nil
}

func parsePrefix(text string) (any, *problem) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, &problem{quote(text) + " is not a network", "an IP address or CIDR, such as 10.0.0.7 or 10.0.0.0/8"}
	}
	return p.Masked(), nil
}

// shortDuration is d.String() without the zero units at its end.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote shows a text from outside, shortened and without control characters.
func quote(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}

func contains(oneof, text string) bool {
	for choice := range strings.SplitSeq(oneof, ",") {
		if choice == text {
			return true
		}
	}
	return false
}

func choices(oneof string) string { return strings.ReplaceAll(oneof, ",", ", ") }
