package doctor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"receiver/internal/doctor"
)

func TestPort(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name string
		port doctor.Port
		says []string // one for each finding, with its severity in front
	}{
		{"none", doctor.Port{}, []string{"ok no NATS port is open"}},
		{"loopback", doctor.Port{Address: "127.0.0.1:4222", Consumers: 2, Connections: 256},
			[]string{"ok any program on this machine, and no other machine (127.0.0.1:4222), without TLS; consumers with credentials: 2; no other client is accepted; 256 connections may be open at once"}},
		{"nobody yet", doctor.Port{Address: "127.0.0.1:4222"}, []string{"ok no client is accepted, since no consumer has credentials yet"}},
		{"a broken file", doctor.Port{Address: "127.0.0.1:4222", Consumers: 1, Unreadable: errors.New("broken")}, []string{"ok consumers with credentials: 1", "warning consumer is refused: broken"}},
		{"localhost", doctor.Port{Address: "localhost:4222"}, []string{"ok any program on this machine"}},
		{"IPv6 loopback", doctor.Port{Address: "[::1]:4222", TLS: true}, []string{"ok any program on this machine, and no other machine ([::1]:4222), through TLS"}},
		{"one address", doctor.Port{Address: "10.0.0.1:4222", TLS: true}, []string{"ok any machine that reaches 10.0.0.1:4222, through TLS;"}},
		{"every address", doctor.Port{Address: ":4222", TLS: true, Certificates: true}, []string{"ok any machine, at every address of this machine (:4222), through TLS and with a client certificate"}},
		{"every address, IPv6", doctor.Port{Address: "[::]:4222", TLS: true}, []string{"ok any machine, at every address"}},
		{"in clear", doctor.Port{Address: "0.0.0.0:4222"}, []string{"error any machine, at every address of this machine (0.0.0.0:4222), without TLS"}},
		{"strangers", doctor.Port{Address: "127.0.0.1:4222", Strangers: true}, []string{"ok any program", "warning accepts clients without credentials"}},
		{"strangers from elsewhere", doctor.Port{Address: ":4222", TLS: true, Strangers: true}, []string{"ok any machine", "error accepts clients without credentials"}},
		{"a certificate for long", doctor.Port{Address: ":4222", TLS: true, Expires: now.Add(15 * 24 * time.Hour)}, []string{"ok through TLS"}},
		{"a certificate that ends", doctor.Port{Address: ":4222", TLS: true, Expires: now.Add(13 * 24 * time.Hour)}, []string{"ok through TLS", "warning expires at 2026-12-12"}},
		{"a certificate that has ended", doctor.Port{Address: ":4222", TLS: true, Expires: now}, []string{"ok through TLS", "error expired at 2026-11-29"}},
	} {
		found := row.port.Findings(now)
		if len(found) != len(row.says) {
			t.Errorf("%s: %d findings: %+v", row.name, len(found), found)
			continue
		}
		for i, f := range found {
			severity, text, _ := strings.Cut(row.says[i], " ")
			if f.Severity.String() != severity || !strings.Contains(f.What, text) || (f.Severity != doctor.OK) != (f.Change != "") {
				t.Errorf("%s: %s %q (change %q), want %q", row.name, f.Severity, f.What, f.Change, row.says[i])
			}
		}
	}
}
