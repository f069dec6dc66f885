// Package check builds the manifests of deploy/kubernetes as kustomize does, and holds them against
// the types of Kubernetes, against each other, and against receiver's own check of its
// configuration. It is a module of its own, so that receiver depends on none of this.
package check

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
	syaml "sigs.k8s.io/yaml/goyaml.v3"
)

// variants are the folders that people build. The last has components in it.
var variants = []string{"base", "embedded", "example"}

// kinds are those that the manifests may use, by apiVersion and kind.
var kinds = map[string]func() any{
	"apps/v1 Deployment":                      func() any { return new(apps.Deployment) },
	"apps/v1 StatefulSet":                     func() any { return new(apps.StatefulSet) },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(monitoring.ServiceMonitor) },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networking.NetworkPolicy) },
	"policy/v1 PodDisruptionBudget":           func() any { return new(policy.PodDisruptionBudget) },
	"v1 ConfigMap":                            func() any { return new(core.ConfigMap) },
	"v1 Namespace":                            func() any { return new(core.Namespace) },
	"v1 Service":                              func() any { return new(core.Service) },
}

// build returns the objects of a variant in a copy of deploy/kubernetes, each in its type. A field
// that its type does not have, a field that is there twice, and a value of another type are errors.
func build(root, variant string) ([]any, error) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, variant))
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", variant, err)
	}
	text, err := made.AsYaml()
	if err != nil {
		return nil, err
	}
	var all []any
	for documents := syaml.NewDecoder(bytes.NewReader(text)); ; {
		var document any
		if err := documents.Decode(&document); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		one, err := syaml.Marshal(document)
		if err != nil {
			return nil, err
		}
		var meta struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal(one, &meta); err != nil {
			return nil, err
		}
		made, known := kinds[meta.APIVersion+" "+meta.Kind]
		if !known {
			return nil, fmt.Errorf("%s: no kind %s %s is known here; add it to kinds", variant, meta.APIVersion, meta.Kind)
		}
		object := made()
		data, err := yaml.YAMLToJSONStrict(one)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", variant, meta.Kind, err)
		}
		// As the API server with --validate=strict: names of fields have one case.
		strict, err := json.UnmarshalStrict(data, object)
		if err := errors.Join(append(strict, err)...); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", variant, meta.Kind, err)
		}
		all = append(all, object)
	}
}

// check returns every fault of the manifests in a copy of deploy/kubernetes.
func check(t *testing.T, root string) error {
	t.Helper()
	var faults []error
	for _, variant := range variants {
		objects, err := build(root, variant)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, object := range objects {
			faults = append(faults, conforms(object))
		}
		s := sort(objects)
		faults = append(faults, s.refer(), s.harden(), s.configured(t, root))
	}
	return errors.Join(faults...)
}

// The manifests as they are have no fault.
func TestManifests(t *testing.T) {
	if err := check(t, ".."); err != nil {
		t.Error(err)
	}
}

// The autoscaler's metric is the one that the adapter's rule makes, of one that the receiver has.
func TestTheAdapterServesTheMetric(t *testing.T) {
	hpa, err := os.ReadFile("../autoscaling/hpa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rule, err := os.ReadFile("../autoscaling/prometheus-adapter.yaml")
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`metric: \{name: (\w+)\}`).FindSubmatch(hpa)
	names := regexp.MustCompile(`seriesQuery: (\w+)\{.*(?s:.*)name: \{matches: \^(\w+)\$, as: (\w+)\}`).FindSubmatch(rule)
	if metric == nil || names == nil || string(metric[1]) != string(names[3]) || string(names[1]) != string(names[2]) {
		t.Fatalf("the autoscaler asks for %q, and the rule has %q", metric, names)
	}
	found := false
	err = filepath.WalkDir("../../../internal", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			var text []byte
			text, err = os.ReadFile(name)
			found = found || bytes.Contains(text, []byte(`"`+string(names[1])+`"`))
		}
		return err
	})
	if err != nil || !found {
		t.Errorf("no metric of the receiver is %s (%v)", names[1], err)
	}
}

// Every key of a Secret that the page lists is in use, and the example names an image of a
// registry.
func TestTheDocumentedKeysAreInUse(t *testing.T) {
	var used strings.Builder
	for _, variant := range variants {
		objects, err := build("..", variant)
		if err != nil {
			t.Fatal(err)
		}
		s := sort(objects)
		for _, m := range s.maps {
			used.WriteString(m.Data["config.yaml"])
		}
		if image := s.pod.Spec.Containers[0].Image; (variant == "example") != strings.Contains(image, "/") {
			t.Errorf("the image of %s is %q", variant, image)
		}
	}
	for secret, keys := range documented(t) {
		for _, key := range keys {
			if secret != "receiver-metrics" && !strings.Contains(used.String(), key) {
				t.Errorf("docs/kubernetes.md lists the key %s of the Secret %s, which no configuration uses", key, secret)
			}
		}
	}
}

// copied returns a copy of deploy/kubernetes without this module.
func copied(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"base", "embedded", "monitoring", "autoscaling", "example"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
