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
		{"none", doctor.Port{}, []string{"ok no port leads"}},
		{"loopback", doctor.Port{Address: "127.0.0.1:4222", Consumers: 2, Connections: 256},
			[]string{"ok every program of this machine, and no other one (127.0.0.1:4222), in clear text; 2 named consumers have credentials, and nobody else gets in; 256 connections may be open at once"}},
		{"nobody yet", doctor.Port{Address: "127.0.0.1:4222"}, []string{"ok nobody gets in, since no consumer has credentials yet"}},
		{"a broken file", doctor.Port{Address: "127.0.0.1:4222", Consumers: 1, Unreadable: errors.New("broken")}, []string{"ok 1 named", "warning not let in: broken"}},
		{"localhost", doctor.Port{Address: "localhost:4222"}, []string{"ok every program of this machine"}},
		{"IPv6 loopback", doctor.Port{Address: "[::1]:4222", TLS: true}, []string{"ok every program of this machine, and no other one ([::1]:4222), by TLS"}},
		{"one address", doctor.Port{Address: "10.0.0.1:4222", TLS: true}, []string{"ok any machine that reaches 10.0.0.1:4222, by TLS;"}},
		{"every address", doctor.Port{Address: ":4222", TLS: true, Certificates: true}, []string{"ok any machine, on every address of this one (:4222), by TLS and with a certificate"}},
		{"every address, IPv6", doctor.Port{Address: "[::]:4222", TLS: true}, []string{"ok any machine, on every address"}},
		{"in clear", doctor.Port{Address: "0.0.0.0:4222"}, []string{"error any machine, on every address of this one (0.0.0.0:4222), in clear text"}},
		{"strangers", doctor.Port{Address: "127.0.0.1:4222", Strangers: true}, []string{"ok every program", "warning lets in clients without credentials"}},
		{"strangers from elsewhere", doctor.Port{Address: ":4222", TLS: true, Strangers: true}, []string{"ok any machine", "error lets in clients without credentials"}},
		{"a certificate for long", doctor.Port{Address: ":4222", TLS: true, Expires: now.Add(15 * 24 * time.Hour)}, []string{"ok by TLS"}},
		{"a certificate that ends", doctor.Port{Address: ":4222", TLS: true, Expires: now.Add(13 * 24 * time.Hour)}, []string{"ok by TLS", "warning ends at 2026-12-12"}},
		{"a certificate that has ended", doctor.Port{Address: ":4222", TLS: true, Expires: now}, []string{"ok by TLS", "error has ended at 2026-11-29"}},
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
