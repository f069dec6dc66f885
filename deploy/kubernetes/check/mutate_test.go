package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Each fault that a person may make is found, and named.
func TestFaultsAreFound(t *testing.T) {
	for _, tt := range []struct{ name, file, old, changed, fault string }{
		{"a field that is not there", "base/deployment.yaml", "replicas: 2", "replicaz: 2", `unknown field "spec.replicaz"`},
		{"a field in another case", "base/deployment.yaml", "      terminationGracePeriodSeconds", "      TerminationGracePeriodSeconds", `unknown field "spec.template.spec.TerminationGracePeriodSeconds"`},
		{"a field at the wrong depth", "base/deployment.yaml", "      enableServiceLinks: false", "      containers0: []", "unknown field"},
		{"a value of another type", "base/deployment.yaml", "failureThreshold: 300", "failureThreshold: often", "cannot unmarshal"},
		{"a quantity", "base/deployment.yaml", "memory: 1Gi}\n            limits", "memory: 1Gb}\n            limits", "quantities must match"},
		{"a word", "base/networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingres, Egress]", `"Ingres", want one of`},
		{"a word of the pod", "base/deployment.yaml", "type: RuntimeDefault", "type: Runtime", `"Runtime", want one of`},
		{"a protocol", "base/networkpolicy.yaml", "{protocol: UDP, port: 53}", "{protocol: UPD, port: 53}", `"UPD", want one of`},
		{"a missing field", "autoscaling/hpa.yaml", "  maxReplicas: 6\n", "", "spec.maxReplicas is missing"},
		{"a missing name", "base/deployment.yaml", "{name: public, containerPort: 8080}", "{name: public}", "containerPort is missing"},
		{"another kind", "base/disruption.yaml", "policy/v1", "policy/v1beta1", "no kind policy/v1beta1"},
		{"a selector", "base/deployment.yaml", "    matchLabels: {app.kubernetes.io/name: receiver}\n  strategy", "    matchLabels: {app.kubernetes.io/name: reciever}\n  strategy", "Deployment receiver selects"},
		{"a selector of a Service", "base/services.yaml", "  selector: {app.kubernetes.io/name: receiver}\n  ports:\n    - {name: private", "  selector: {app.kubernetes.io/name: receivers}\n  ports:\n    - {name: private", "Service receiver-private selects"},
		{"a selector of the policy", "base/networkpolicy.yaml", "    matchLabels: {app.kubernetes.io/name: receiver}\n  policyTypes", "    matchLabels: {app: receiver}\n  policyTypes", "NetworkPolicy receiver selects"},
		{"a selector of the budget", "base/disruption.yaml", "    matchLabels: {app.kubernetes.io/name: receiver}", "    matchLabels: {app: receiver}", "PodDisruptionBudget receiver selects"},
		{"a selector of the monitor", "monitoring/servicemonitor.yaml", "component: private", "component: metrics", "selects 0 Services"},
		{"a port of the monitor", "monitoring/servicemonitor.yaml", "port: private", "port: metrics", `has no port "metrics"`},
		{"a port of a Service", "base/services.yaml", "targetPort: public", "targetPort: http", "Service receiver: the pods have no port http"},
		{"a port of the policy", "embedded/networkpolicy.yaml", "port: nats}", "port: 4223}", "the pods have no port 4223"},
		{"a policy without a port", "base/networkpolicy.yaml", "        - {protocol: TCP, port: public}\n", "        - {protocol: TCP, port: private}\n", "lets nobody in to the port public"},
		{"a policy for everybody", "base/networkpolicy.yaml", "    - from:\n        - namespaceSelector:\n            matchLabels: {kubernetes.io/metadata.name: monitoring}\n      ports:", "    - ports:", "lets in everybody"},
		{"a probe's port", "base/deployment.yaml", "httpGet: {path: /readyz, port: private}", "httpGet: {path: /readyz, port: public}", "the readiness probe asks"},
		{"a probe's path", "base/deployment.yaml", "            httpGet: {path: /healthz, port: private}\n            periodSeconds: 10", "            httpGet: {path: /readyz, port: private}\n            periodSeconds: 10", "the liveness probe asks"},
		{"the autoscaler's target", "autoscaling/hpa.yaml", "kind: Deployment, name: receiver", "kind: Deployment, name: receivers", "scales Deployment receivers"},
		{"a Service for the set", "embedded/kustomization.yaml", "value: receiver-private}", "value: receiver-headless}", `no Service "receiver-headless"`},
		{"a volume", "base/deployment.yaml", "{name: state, mountPath", "{name: states, mountPath", `no volume "states"`},
		{"a map", "base/deployment.yaml", "configMap: {name: receiver}", "configMap: {name: reciever}", `the ConfigMap "reciever"`},
		{"a Secret", "base/deployment.yaml", "secret: {name: receiver}", "secret: {name: receiver-keys}", "does not list the keys of the Secret receiver-keys"},
		{"a key of a Secret", "monitoring/servicemonitor.yaml", "key: token}", "key: tokens}", "uses the key tokens"},
		{"a key of the configuration", "base/config.yaml", "hub: crm", "hob: crm", "config.yaml:6: sources.crm.hob"},
		{"a file of no Secret", "base/config.yaml", "file:crm.key", "file:erp.key", "erp.key"},
		{"a file of no Secret, embedded", "embedded/config.yaml", "nats-tls/tls.key}", "nats-tls/key.pem}", "key.pem"},
		{"another port", "base/config.yaml", "address: :8080", "address: :9080", `the port public is 8080, and the configuration has ":9080"`},
		{"only loopback", "embedded/config.yaml", "address: :4222", "address: 127.0.0.1:4223", "the port nats is 4222"},
		{"a folder that is read-only", "base/config.yaml", "/var/lib/receiver/checkpoints", "/etc/receiver/checkpoints", "in no volume that can be written"},
		{"a store in no volume", "embedded/config.yaml", "folder: /var/lib/receiver/store", "folder: /var/lib/store", "in no volume that can be written"},
		{"a longer shutdown", "base/config.yaml", "log: {format: json}", "limits: {shutdown_timeout: 50s}", "terminationGracePeriodSeconds is 1m0s"},
		{"no time for proxies", "base/deployment.yaml", "sleep: {seconds: 15}", "sleep: {seconds: 1}", "preStop waits 1s"},
		{"no way to NATS", "base/networkpolicy.yaml", "port: 4222", "port: 4223", "no NetworkPolicy lets the receiver out to TCP 4222"},
		{"no names", "embedded/networkpolicy.yaml", "        - {protocol: UDP, port: 53}\n", "", "out to UDP 53"},
		{"no way to the platform", "base/networkpolicy.yaml", "port: 443", "port: 8443", "out to TCP 443"},
		{"a network", "base/networkpolicy.yaml", "172.16.0.0/12", "172.16.0.0/8", `"172.16.0.0/8" is no network`},
		{"NATS at another port", "base/config.yaml", "nats.nats:4222", "nats.nats:4333", "out to TCP 4333"},
		{"a command for another folder", "base/deployment.yaml", "--config, /etc/receiver/", "--config, /etc/receivers/", "the configuration is mounted at"},
		{"two pods on one store", "embedded/kustomization.yaml", "value: 1}", "value: 2}", "has not one pod with a store"},
		{"one pod without", "base/deployment.yaml", "replicas: 2", "replicas: 1", "has not one pod with a store"},
		{"two that scale", "autoscaling/kustomization.yaml", "path: /spec/replicas}", "path: /spec/revisionHistoryLimit}", "missing"},
		{"one pod at night", "autoscaling/hpa.yaml", "minReplicas: 2", "minReplicas: 1", "does not keep two pods"},
		{"two budgets", "base/disruption.yaml", "  maxUnavailable: 1", "  maxUnavailable: 1\n  minAvailable: 1", "either minAvailable or maxUnavailable"},
		{"a probe of two kinds", "base/deployment.yaml", "            httpGet: {path: /readyz, port: private}", "            httpGet: {path: /readyz, port: private}\n            tcpSocket: {port: private}", "ProbeHandler has 2 kinds"},
		{"a volume of two kinds", "base/deployment.yaml", "emptyDir: {sizeLimit: 64Mi}", "emptyDir: {sizeLimit: 64Mi}\n          hostPath: {path: /var}", "VolumeSource has 2 kinds"},
		{"a name", "base/disruption.yaml", "  name: receiver\n", "  name: Receiver_1\n", "RFC 1123"},
		{"a label", "monitoring/servicemonitor.yaml", "  labels: {app.kubernetes.io/name: receiver}", "  labels: {app.kubernetes.io/name: the receiver}", "valid label"},
		{"a long name of a port", "base/deployment.yaml", "{name: public, containerPort", "{name: public-of-the-receiver, containerPort", "must be no more than 15"},
		{"service links", "base/deployment.yaml", "      enableServiceLinks: false\n", "", "enableServiceLinks is not false"},
		{"root", "base/deployment.yaml", "runAsUser: 65532", "runAsUser: 0", "it may run as root"},
		{"a file system that can be written", "base/deployment.yaml", "            readOnlyRootFilesystem: true\n", "", "readOnlyRootFilesystem is not true"},
		{"capabilities", "base/deployment.yaml", "drop: [ALL]", "drop: [NET_RAW]", "it keeps capabilities"},
		{"secrets for all", "base/deployment.yaml", "defaultMode: 0440", "defaultMode: 0444", "read by others"},
		{"secrets for all, embedded", "embedded/statefulset.yaml", "defaultMode: 0440", "defaultMode: 0644", "read by others"},
		{"too little memory", "base/deployment.yaml", "limits: {memory: 1Gi}", "limits: {memory: 512Mi}", "memory is under 868Mi"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := copied(t)
			file := filepath.Join(root, tt.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), tt.old); n != 1 {
				t.Fatalf("%s has %q %d times, want once", tt.file, tt.old, n)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(text), tt.old, tt.changed, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := check(t, root); err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%v, want %q", err, tt.fault)
			}
		})
	}
}

// made are files that must be more than text.
var made = sync.OnceValues(func() (map[string]string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"receiver-nats"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "audit.key")
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), nil, 0o600); err != nil {
		return nil, err
	}
	if err := exec.Command(os.Getenv("RECEIVER"), "--config", filepath.Join(dir, "config.yaml"), "audit", "init", "--key-file", name).Run(); err != nil {
		return nil, err
	}
	audit, err := os.ReadFile(name)
	return map[string]string{
		"audit.key": string(audit),
		"tls.crt":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"tls.key":   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}, err
})

// dummy returns what a key of a Secret may hold.
func dummy(t *testing.T, key string) string {
	t.Helper()
	files, err := made()
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := files[key]; ok {
		return text
	}
	return "a-secret-of-the-tests-" + key
}
