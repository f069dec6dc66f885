package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Kubernetes gives each container variables for every Service of its namespace, unless
// enableServiceLinks is false. Those of a Service whose name begins with receiver begin
// with our prefix. A variable is recognised by its name and by its value, which is always
// an IP address, a port or both: RECEIVER_NATS_PORT=4222 is a mistake and no such variable.
//
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
// (read 2026-11-29). Docker's --link gives the same for a container, and more: the container's
// name and its whole environment, and the ends of a range of ports.
var (
	linkHost     = regexp.MustCompile(`^RECEIVER(_[A-Z0-9_]*)?_SERVICE_HOST$`)
	linkPort     = regexp.MustCompile(`^RECEIVER(_[A-Z0-9_]*)?_SERVICE_PORT(_[A-Z0-9_]+)?$`)
	linkAddress  = regexp.MustCompile(`^RECEIVER(_[A-Z0-9_]*)?_PORT$`)
	linkEndpoint = regexp.MustCompile(`^RECEIVER(?:_[A-Z0-9_]*)?_PORT_([0-9]+)_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR|_START|_PORT_START|_END|_PORT_END)?$`)
	linkName     = regexp.MustCompile(`^RECEIVER(_[A-Z0-9_]*)?_NAME$`)
	linkNameIs   = regexp.MustCompile(`^/[\w.-]+/[\w.-]+$`)
)

// isServiceLink reports whether a variable has the form and the value of one that
// Kubernetes sets for a Service. A name can have several forms: RECEIVER_SERVICE_PORT is the
// port of the Service receiver, and the address of the Service receiver-service.
func isServiceLink(name, value string) bool {
	number := port(value) && value != "0"
	protocol, at := endpoint(value)
	m := linkEndpoint.FindStringSubmatch(name)
	return number && linkPort.MatchString(name) ||
		isIP(value) && linkHost.MatchString(name) ||
		protocol != "" && linkAddress.MatchString(name) ||
		linkNameIs.MatchString(value) && linkName.MatchString(name) ||
		m != nil && isEndpoint(m[1], strings.ToLower(m[2]), m[3], value, protocol+" "+at)
}

// isEndpoint reports whether a value is that of a variable for this port and protocol.
func isEndpoint(number, protocol, part, value, address string) bool {
	switch part {
	case "_PROTO":
		return value == protocol
	case "_PORT", "_PORT_START":
		return value == number
	case "_PORT_END":
		return port(value)
	case "_END":
		return strings.HasPrefix(address, protocol+" ")
	case "_ADDR":
		return isIP(value)
	}
	return address == protocol+" "+number
}

// endpoint reads a value such as tcp://10.0.0.11:8080; for any other, protocol is empty.
func endpoint(value string) (protocol, number string) {
	protocol, address, _ := strings.Cut(value, "://")
	at, err := netip.ParseAddrPort(address)
	if err != nil || !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return "", ""
	}
	return protocol, strconv.Itoa(int(at.Port()))
}

func isIP(value string) bool {
	_, err := netip.ParseAddr(value)
	return err == nil
}

// isNamedPort reports whether a variable is the port of a Service that shows itself by its
// other variables too. A port's name is free, so this one alone can look like a setting:
// the port hub of the Service receiver-sources-crm, like the hub of the source
// crm-service-port.
func (l *loader) isNamedPort(name string) bool {
	const port = "_SERVICE_PORT"
	for at := range len(name) {
		if strings.HasPrefix(name[at:], port+"_") && isServiceLink(name, l.env[name]) {
			if isServiceLink(name[:at]+"_SERVICE_HOST", l.env[name[:at]+"_SERVICE_HOST"]) {
				return true
			}
		}
	}
	return false
}

// isLinkEnv reports whether a variable is one of the environment of a container that Docker links:
// then there is the container's name, too.
func (l *loader) isLinkEnv(name string) bool {
	for at := range len(name) {
		if strings.HasPrefix(name[at:], "_ENV_") && isServiceLink(name[:at]+"_NAME", l.env[name[:at]+"_NAME"]) {
			return true
		}
	}
	return false
}

// serviceLinks returns the variables of Kubernetes Services among ours, and warns of them.
func (l *loader) serviceLinks(sources []string, referred map[string]bool) map[string]bool {
	links := map[string]bool{}
	for name, value := range l.env {
		short, ours := strings.CutPrefix(name, envPrefix)
		link := ours && !referred[name] && (isServiceLink(name, value) || l.isLinkEnv(name))
		if link && (len(match(short, sources)) == 0 || l.isNamedPort(name)) {
			links[name] = true
		}
	}
	l.warnOfServiceLinks(slices.Sorted(maps.Keys(links)))
	return links
}

// mostNamed is how many ignored variables the warning names.
const mostNamed = 10

// warnOfServiceLinks names the variables that are ignored, all in one warning.
func (l *loader) warnOfServiceLinks(ignored []string) {
	if len(ignored) == 0 {
		return
	}
	named := strings.Join(ignored[:min(len(ignored), mostNamed)], ", ")
	if more := len(ignored) - mostNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	l.warnings = append(l.warnings, Fault{File: "environment", Wrong: "these variables are ignored, because Kubernetes sets them for Services, or Docker for links, whose names begin with receiver: " +
		named + "; to remove them, set enableServiceLinks: false in the pod spec"})
}
