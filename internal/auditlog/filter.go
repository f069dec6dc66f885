package auditlog

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Filter says which entries are wanted. A field that is empty asks for nothing; within a
// list, one match is enough.
type Filter struct {
	// Since and Until bound when a record was stored: from Since on, before Until.
	Since, Until time.Time
	// Sources are names of sources, or what an address claimed to be one.
	Sources []string
	// Verdicts and Reasons are words of Entry. A reason among the verdicts asks for the callbacks
	// that have it.
	Verdicts, Reasons []string
	// Networks are those that callbacks came from.
	Networks []netip.Prefix
	// Keys are names or fingerprints of keys.
	Keys []string
	// Jobs are ids of jobs.
	Jobs []string
	// Bodies are SHA-256 in hexadecimal, or how they begin.
	Bodies []string
	// Actions are those of recorded actions, and Operators what the records call who did them.
	// Callbacks have neither.
	Actions, Operators []string
	// Events are wanted, too, that tell of no callback and no action.
	Events bool
}

// Match reports whether an entry is wanted.
func (f Filter) Match(e Entry) bool {
	return !e.Stored.Before(f.Since) && (f.Until.IsZero() || e.Stored.Before(f.Until)) &&
		wants(f.Sources, e.Source, e.Claimed) && f.judged(e) && wants(f.Reasons, e.Reason) &&
		wants(f.Actions, e.What) && wants(f.Operators, e.Operator) &&
		wants(f.Keys, e.Key, e.Fingerprint) && wants(f.Jobs, e.Job) && f.from(e.Remote) && f.body(e.Body)
}

// OnlyActions reports whether no callback can match.
func (f Filter) OnlyActions() bool {
	return len(f.Actions)+len(f.Operators) > 0 || len(f.Verdicts) > 0 && !slices.ContainsFunc(f.Verdicts, func(v string) bool { return v != Action })
}

// judged reports whether a verdict is wanted. The reason of an action is an operator's text.
func (f Filter) judged(e Entry) bool {
	return wants(f.Verdicts, e.Verdict) || e.Verdict != Action && wants(f.Verdicts, e.Reason)
}

// wants reports whether one of the values, unless it is empty, is wanted.
func wants(wanted []string, values ...string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(values, func(v string) bool { return v != "" && slices.Contains(wanted, v) })
}

func (f Filter) from(remote string) bool {
	if len(f.Networks) == 0 {
		return true
	}
	address, err := netip.ParseAddr(remote)
	return err == nil && slices.ContainsFunc(f.Networks, func(n netip.Prefix) bool { return n.Contains(address.Unmap()) })
}

func (f Filter) body(sum string) bool {
	if len(f.Bodies) == 0 {
		return true
	}
	return slices.ContainsFunc(f.Bodies, func(b string) bool { return b != "" && strings.HasPrefix(sum, strings.ToLower(b)) })
}

// ParseNetwork reads an address or a network in CIDR form.
func ParseNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(text)
}
