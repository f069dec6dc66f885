package config_test

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"receiver/internal/config"
)

// serviceVariables returns what Kubernetes sets for a Service with one named port.
func serviceVariables(service, ip, portName, protocol string, port int) []string {
	name := strings.ToUpper(strings.ReplaceAll(service, "-", "_"))
	number, upper := strconv.Itoa(port), strings.ToUpper(protocol)
	address := protocol + "://" + net.JoinHostPort(ip, number)
	of := name + "_PORT_" + number + "_" + upper
	vars := []string{
		name + "_SERVICE_HOST=" + ip, name + "_SERVICE_PORT=" + number, name + "_PORT=" + address,
		of + "=" + address, of + "_PROTO=" + protocol, of + "_PORT=" + number, of + "_ADDR=" + ip,
	}
	if portName != "" {
		vars = append(vars, name+"_SERVICE_PORT_"+strings.ToUpper(strings.ReplaceAll(portName, "-", "_"))+"="+number)
	}
	return vars
}

func TestVariablesOfKubernetesServicesAreIgnoredWithOneWarning(t *testing.T) {
	for _, row := range []struct{ service, ip, port, protocol string }{
		{"receiver", "10.0.0.11", "http", "tcp"},
		{"receiver", "fd00::11", "", "tcp"},
		{"receiver-nats", "10.0.0.12", "client", "tcp"},
		{"receiver-crm-http", "10.0.0.13", "x", "udp"},
		{"receiver--x", "10.0.0.14", "sctp-1", "sctp"},
		{"receiver-port", "10.0.0.15", "port", "tcp"},
		{"receiver-service", "10.0.0.16", "service-port", "tcp"},
		{"receiver-service-port", "10.0.0.16", "service-host", "tcp"},
		// Their variables can look like settings.
		{"receiver-nats-mode", "10.0.0.17", "mode", "tcp"},
		{"receiver-sources-crm", "10.0.0.18", "hub", "tcp"},
		{"receiver-sources-x", "10.0.0.19", "signature-keys", "tcp"},
		{"receiver-sources-x", "10.0.0.19", "callback-token", "tcp"},
		{"receiver-sources-a-service-port-b", "10.0.0.20", "user-secret", "tcp"},
	} {
		t.Run(row.service+"/"+row.port, func(t *testing.T) {
			vars := serviceVariables(row.service, row.ip, row.port, row.protocol, 8080)
			c := load(t, crm, vars...)
			if len(c.Warnings) != 1 || strings.Contains(c.Warnings[0], "\n") || len(c.Sources) != 1 {
				t.Fatalf("warnings = %q, sources = %v, want one line and the source crm", c.Warnings, c.Sources)
			}
			for _, v := range vars {
				if name, _, _ := strings.Cut(v, "="); !strings.Contains(c.Warnings[0], name) {
					t.Errorf("warning = %q, want %s in it", c.Warnings[0], name)
				}
			}
		})
	}
}

func TestOneVariableOfAServiceIsIgnored(t *testing.T) {
	for _, v := range slices.Concat(serviceVariables("receiver", "10.0.0.11", "http", "tcp", 8080), serviceVariables("receiver-nats", "10.0.0.11", "", "tcp", 4222)) {
		if c := load(t, crm, v); len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "environment: these variables are ignored, because Kubernetes sets") {
			t.Errorf("%s: warnings = %q, want the one of Kubernetes", v, c.Warnings)
		}
	}
}

func TestVariablesOfDockerLinksAreIgnoredWithOneWarning(t *testing.T) {
	const end = "tcp://172.17.0.2:8090"
	vars := append(serviceVariables("receiver", "172.17.0.2", "", "tcp", 8080), "RECEIVER_NAME=/web/receiver",
		"RECEIVER_ENV_PATH=/bin", "RECEIVER_ENV_RECEIVER_PORT=8080", "RECEIVER_ENV_EMPTY=",
		"RECEIVER_PORT_8080_TCP_START=tcp://172.17.0.2:8080", "RECEIVER_PORT_8080_TCP_PORT_START=8080",
		"RECEIVER_PORT_8080_TCP_END="+end, "RECEIVER_PORT_8080_TCP_PORT_END=8090")
	if c := load(t, crm, vars...); len(c.Warnings) != 1 || len(c.Sources) != 1 {
		t.Errorf("warnings = %q, sources = %v, want one warning and the source crm", c.Warnings, c.Sources)
	}
	// A setting with such a name is read, and without the link's name a variable is a mistake.
	c := load(t, crm, append(vars, "RECEIVER_AUDIT_NAME=eu-1", "RECEIVER_SOURCES_X_ENV_HUB=a", "RECEIVER_SOURCES_X_ENV_SIGNATURE_KEYS=abcdefghijklmnopqrstuvwxyz")...)
	if c.Audit.Name != "eu-1" || c.Sources["x-env"].Hub != "a" {
		t.Errorf("audit.name = %q, sources = %+v, want eu-1 and x-env with the hub a", c.Audit.Name, c.Sources)
	}
}

func TestManyServicesMakeOneShortWarning(t *testing.T) {
	env := []string{}
	for i := range 200 {
		env = append(env, serviceVariables(fmt.Sprintf("receiver-%d", i), "10.0.0.11", "http", "tcp", 8080)...)
	}
	c := load(t, crm, env...)
	if len(c.Warnings) != 1 || len(c.Warnings[0]) > 1000 || !strings.Contains(c.Warnings[0], " and 1590 more") {
		t.Errorf("warnings = %q, want one that names ten of 1600", c.Warnings)
	}
}

func TestAMistakeIsNotTakenForAService(t *testing.T) {
	for _, v := range []string{
		"RECEIVER_NATS_PORT=4222", "RECEIVER_PORT=8080", "RECEIVER_PORT=tcp://nats:4222", "RECEIVER_PORT=nats://10.0.0.1:4222", "RECEIVER_PORT=",
		"RECEIVER_PORT=tcp://10.0.0.1", "RECEIVER_PORT=10.0.0.1:8080", "RECEIVER_NATS_SERVICE_HOST=nats.example.com", "RECEIVER_NATS_HOST=10.0.0.1",
		"RECEIVER_SERVICE_PORT=http", "RECEIVER_SERVICE_PORT=0", "RECEIVER_SERVICE_PORT=65536", "RECEIVER_SERVICE_PORT_=80",
		"RECEIVER_PORT_8080_TCP=tcp://h", "RECEIVER_PORT_8080_TCP=tcp://10.0.0.1:8081", "RECEIVER_PORT_8080_TCP=udp://10.0.0.1:8080",
		"RECEIVER_PORT_8080_TCP_PROTO=udp", "RECEIVER_PORT_8080_TCP_PORT=80", "RECEIVER_PORT_8080_TCP_ADDR=h", "RECEIVER_PORT_8080_TCP_HOST=10.0.0.1",
		"RECEIVER_ENV_PATH=/bin", "RECEIVER_NAME=web", "RECEIVER_NAME=/web", "RECEIVER_PORT_8080_TCP_PORT_START=80", "RECEIVER_PORT_8080_TCP_END=udp://10.0.0.1:8090",
		"RECEIVER_receiver_SERVICE_HOST=10.0.0.1", "RECEIVER_PORT_8080_TCP=8080", "RECEIVER_PORT_8080_TCP_PORT=10.0.0.1",
	} {
		name, _, _ := strings.Cut(v, "=")
		_, err := config.Load(config.Options{Path: write(t, "config.yaml", crm), Env: []string{v}})
		if want := "environment " + name + ": is not the name of a setting"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Load with %s = %v, want %s", v, err, want)
		}
	}
}

// A variable like a Service's port is a setting as long as no other variable of that Service
// exists, and a variable that the configuration names is its own.
func TestASettingIsNotTakenForAService(t *testing.T) {
	c := load(t, crm, "RECEIVER_SOURCES_X_SERVICE_PORT_HUB=80", "RECEIVER_SOURCES_X_SERVICE_PORT_SIGNATURE_KEYS=env:RECEIVER_SERVICE_PORT",
		"RECEIVER_SERVICE_PORT=8080")
	if s, ok := c.Sources["x-service-port"]; !ok || s.Hub != "80" || s.SignatureKeys[0].Value.Reveal() != "8080" {
		t.Errorf("sources = %+v, want x-service-port with the hub 80 and the key 8080", c.Sources)
	}
}
