package check

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// harden holds the pod to the profile "restricted" of Kubernetes, and to less.
func (s *set) harden() error {
	var faults []error
	want := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, errors.New(s.workload+": "+fault))
		}
	}
	is := func(b *bool, value bool) bool { return b != nil && *b == value }
	pod, c := s.pod.Spec, s.pod.Spec.Containers[0]
	want(is(pod.EnableServiceLinks, false), "enableServiceLinks is not false")
	want(is(pod.AutomountServiceAccountToken, false), "automountServiceAccountToken is not false")
	if p := pod.SecurityContext; p == nil {
		want(false, "there is no securityContext")
	} else {
		want(is(p.RunAsNonRoot, true) && p.RunAsUser != nil && *p.RunAsUser > 0, "it may run as root")
		want(p.FSGroup != nil && p.RunAsGroup != nil && *p.FSGroup == *p.RunAsGroup, "the files of its secrets are not of its group")
		want(p.SeccompProfile != nil && p.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault, "seccompProfile is not RuntimeDefault")
	}
	if p := c.SecurityContext; p == nil {
		want(false, "its container has no securityContext")
	} else {
		want(is(p.AllowPrivilegeEscalation, false), "allowPrivilegeEscalation is not false")
		want(is(p.ReadOnlyRootFilesystem, true), "readOnlyRootFilesystem is not true")
		want(p.Capabilities != nil && len(p.Capabilities.Drop) == 1 && p.Capabilities.Drop[0] == "ALL" && len(p.Capabilities.Add) == 0, "it keeps capabilities")
	}
	// 3 * limits.bodies and 100MiB.
	want(c.Resources.Limits.Memory().Cmp(resource.MustParse("868Mi")) >= 0, "the limit of memory is under 868Mi")
	want(c.Resources.Requests.Memory().Cmp(*c.Resources.Limits.Memory()) == 0, "it may be promised memory that is not there")
	for _, v := range pod.Volumes {
		if v.Projected != nil {
			want(v.Projected.DefaultMode != nil && *v.Projected.DefaultMode&0o227 == 0, "the volume "+v.Name+" may be written, or read by others")
		}
		want(v.Secret == nil && v.HostPath == nil, "the volume "+v.Name+" is neither projected, empty nor claimed")
	}
	return errors.Join(faults...)
}

var keyRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| `([a-z.-]+)` \\|")

// documented returns the keys of each Secret, as docs/kubernetes.md lists them.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string][]string{}
	for _, row := range keyRow.FindAllStringSubmatch(string(text), -1) {
		keys[row[1]] = append(keys[row[1]], row[2])
	}
	if len(keys) < 3 {
		t.Fatalf("docs/kubernetes.md lists %v: the pattern of its rows is another", keys)
	}
	return keys
}

// configured lays out the container's folder of configuration with a file for each documented key
// of a Secret, and has receiver check the configuration there.
func (s *set) configured(t *testing.T, root string) error {
	t.Helper()
	receiver := os.Getenv("RECEIVER")
	if receiver == "" {
		t.Fatal("RECEIVER is not set to the program: bash .ci/run kubernetes builds it")
	}
	dir, keys := t.TempDir(), documented(t)
	text, err := s.lay(t, dir, keys)
	if err != nil {
		return err
	}
	if out, err := exec.Command(receiver, "tokens", "add", "prometheus", "--scope", "read", "--file", filepath.Join(dir, "tokens.json")).CombinedOutput(); err != nil {
		return fmt.Errorf("receiver tokens add: %w: %s", err, out)
	}
	if out, err := exec.Command(receiver, "--config", filepath.Join(dir, "config.yaml"), "config", "check").CombinedOutput(); err != nil {
		return fmt.Errorf("%s: receiver config check: %w: %s", s.workload, err, strings.ReplaceAll(string(out), dir+"/", ""))
	}
	return errors.Join(s.agrees(text), s.credentials(keys))
}

// lay writes what the volume config has in it.
func (s *set) lay(t *testing.T, dir string, keys map[string][]string) (config string, err error) {
	t.Helper()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range s.pod.Spec.Volumes {
		if v.Name != "config" || v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			switch {
			case source.ConfigMap != nil:
				for name, text := range s.maps[source.ConfigMap.Name].Data {
					write(name, text)
					config = text
				}
			case source.Secret != nil:
				known := keys[source.Secret.Name]
				if len(known) == 0 {
					return "", fmt.Errorf("docs/kubernetes.md does not list the keys of the Secret %s", source.Secret.Name)
				}
				paths := map[string]string{}
				for _, item := range source.Secret.Items {
					paths[item.Key] = item.Path
				}
				for _, key := range known {
					if name := key; key != "tokens.json" {
						if len(paths) > 0 {
							name = paths[key]
						}
						write(name, dummy(t, key))
					}
				}
			}
		}
	}
	if config == "" {
		return "", errors.New("the volume config has no configuration")
	}
	return config, nil
}

// agrees holds the manifests against the configuration: ports, times and folders.
func (s *set) agrees(text string) error {
	var c struct {
		Public  struct{ Address string }
		Private struct{ Address string }
		NATS    struct {
			Mode     string
			URLs     []string
			Embedded struct{ Address, Folder string }
		}
		Audit struct {
			Checkpoint string `json:"checkpoint_file"`
		}
		Limits struct {
			Shutdown string `json:"shutdown_timeout"`
		}
	}
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	var faults []error
	for _, m := range s.pod.Spec.Containers[0].VolumeMounts {
		if command := strings.Join(s.pod.Spec.Containers[0].Command, " "); m.Name == "config" && !strings.Contains(command, "--config "+m.MountPath+"/config.yaml") {
			faults = append(faults, fmt.Errorf("the configuration is mounted at %s, and the command is %s", m.MountPath, command))
		}
	}
	for _, p := range s.pod.Spec.Containers[0].Ports {
		address := map[string]string{"public": c.Public.Address, "private": c.Private.Address, "nats": c.NATS.Embedded.Address}[p.Name]
		if _, port, err := net.SplitHostPort(address); err != nil || port != strconv.Itoa(int(p.ContainerPort)) {
			faults = append(faults, fmt.Errorf("the port %s is %d, and the configuration has %q", p.Name, p.ContainerPort, address))
		}
	}
	shutdown := 20 * time.Second
	if c.Limits.Shutdown != "" {
		var err error
		if shutdown, err = time.ParseDuration(c.Limits.Shutdown); err != nil {
			return err
		}
	}
	pod := s.pod.Spec
	var pause time.Duration
	if l := pod.Containers[0].Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
		pause = time.Duration(l.PreStop.Sleep.Seconds) * time.Second
	}
	if pause < 10*time.Second {
		faults = append(faults, fmt.Errorf("preStop waits %v, want 10s: proxies still send connections", pause))
	}
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < pause+shutdown+10*time.Second {
		faults = append(faults, fmt.Errorf("terminationGracePeriodSeconds is %v, want 10s more than %v of preStop and %v of limits.shutdown_timeout", grace, pause, shutdown))
	}
	for _, written := range []string{c.Audit.Checkpoint, c.NATS.Embedded.Folder} {
		ok := written == ""
		for _, m := range pod.Containers[0].VolumeMounts {
			ok = ok || !m.ReadOnly && strings.HasPrefix(written, m.MountPath+"/")
		}
		if !ok {
			faults = append(faults, fmt.Errorf("%s is in no volume that can be written", written))
		}
	}
	faults = append(faults, s.reaches(c.NATS.URLs))
	if embedded, claims := c.NATS.Mode != "external", len(s.claims) > 0; embedded != claims {
		faults = append(faults, fmt.Errorf("%s: the store is embedded: %v; it has volumes that stay: %v", s.workload, embedded, claims))
	}
	return errors.Join(faults...)
}

// reaches holds that the network rules let the receiver ask names, the platform and NATS.
func (s *set) reaches(urls []string) error {
	want := map[string]bool{"UDP 53": false, "TCP 53": false, "TCP 443": false}
	for _, address := range urls {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		want["TCP "+u.Port()] = false
	}
	var faults []error
	for _, object := range s.others {
		if policy, ok := object.(*networking.NetworkPolicy); ok {
			for _, rule := range policy.Spec.Egress {
				if len(rule.Ports) == 0 || len(rule.To) == 0 {
					faults = append(faults, fmt.Errorf("NetworkPolicy %s lets the receiver out to everywhere, or to all ports", policy.Name))
				}
				for _, p := range rule.Ports {
					to := string(*p.Protocol) + " " + p.Port.String()
					if _, needed := want[to]; !needed {
						faults = append(faults, fmt.Errorf("NetworkPolicy %s lets the receiver out to %s, which it does not need", policy.Name, to))
					}
					want[to] = true
				}
			}
		}
	}
	for to, allowed := range want {
		if !allowed {
			faults = append(faults, fmt.Errorf("no NetworkPolicy lets the receiver out to %s", to))
		}
	}
	return errors.Join(faults...)
}

// credentials holds that the Secrets of the ServiceMonitor are documented.
func (s *set) credentials(keys map[string][]string) error {
	for _, object := range s.others {
		if m, ok := object.(*monitoring.ServiceMonitor); ok {
			for _, e := range m.Spec.Endpoints {
				if e.Authorization == nil || e.Authorization.Credentials == nil {
					continue
				}
				ref := e.Authorization.Credentials
				if got := strings.Join(keys[ref.Name], " "); got != ref.Key {
					return fmt.Errorf("ServiceMonitor %s uses the key %s of the Secret %s, and docs/kubernetes.md lists %q", m.Name, ref.Key, ref.Name, got)
				}
			}
		}
	}
	return nil
}
