package check

import (
	"errors"
	"fmt"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// set is what one variant has.
type set struct {
	// workload is its kind and name, selector its own, and pod its template.
	workload, service string
	selector          *meta.LabelSelector
	pod               core.PodTemplateSpec
	claims            []core.PersistentVolumeClaim
	replicas          *int32

	services map[string]core.Service
	maps     map[string]core.ConfigMap
	others   []any
}

func sort(objects []any) *set {
	s := &set{services: map[string]core.Service{}, maps: map[string]core.ConfigMap{}}
	for _, object := range objects {
		switch o := object.(type) {
		case *apps.Deployment:
			s.workload, s.selector, s.pod, s.replicas = "Deployment "+o.Name, o.Spec.Selector, o.Spec.Template, o.Spec.Replicas
		case *apps.StatefulSet:
			s.workload, s.selector, s.pod, s.replicas = "StatefulSet "+o.Name, o.Spec.Selector, o.Spec.Template, o.Spec.Replicas
			s.service, s.claims = o.Spec.ServiceName, o.Spec.VolumeClaimTemplates
		case *core.Service:
			s.services[o.Name] = *o
		case *core.ConfigMap:
			s.maps[o.Name] = *o
		default:
			s.others = append(s.others, object)
		}
	}
	return s
}

// port reports whether the pod has a port, by name or number.
func (s *set) port(p intstr.IntOrString) bool {
	for _, have := range s.pod.Spec.Containers[0].Ports {
		if p.Type == intstr.String && have.Name == p.StrVal || p.Type == intstr.Int && have.ContainerPort == p.IntVal {
			return true
		}
	}
	return false
}

// selects reports a selector that does not select the pods.
func (s *set) selects(by string, selector *meta.LabelSelector) error {
	chosen, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		return fmt.Errorf("%s: %w", by, err)
	}
	if chosen.Empty() || !chosen.Matches(labels.Set(s.pod.Labels)) {
		return fmt.Errorf("%s selects %q, and the pods are %q", by, chosen, labels.Set(s.pod.Labels))
	}
	return nil
}

// refer reports references from one object to another that lead nowhere.
func (s *set) refer() error {
	if len(s.pod.Spec.Containers) != 1 {
		return fmt.Errorf("%s has %d containers, want one", s.workload, len(s.pod.Spec.Containers))
	}
	faults := []error{s.selects(s.workload, s.selector), s.probes(), s.mounts()}
	for _, spread := range s.pod.Spec.TopologySpreadConstraints {
		faults = append(faults, s.selects("a topology spread constraint", spread.LabelSelector))
	}
	if _, ok := s.services[s.service]; s.service != "" && !ok {
		faults = append(faults, fmt.Errorf("%s: there is no Service %q", s.workload, s.service))
	}
	for name, service := range s.services {
		faults = append(faults, s.selects("Service "+name, &meta.LabelSelector{MatchLabels: service.Spec.Selector}))
		for _, p := range service.Spec.Ports {
			if !s.port(p.TargetPort) {
				faults = append(faults, fmt.Errorf("Service %s: the pods have no port %s", name, p.TargetPort.String()))
			}
		}
	}
	scaled := false
	for _, object := range s.others {
		_, is := object.(*autoscaling.HorizontalPodAutoscaler)
		scaled = scaled || is
		faults = append(faults, s.other(object))
	}
	if one := len(s.claims) > 0; !scaled && (s.replicas == nil || one != (*s.replicas == 1)) {
		faults = append(faults, fmt.Errorf("%s has not one pod with a store, or several without", s.workload))
	}
	return errors.Join(faults...)
}

func (s *set) other(object any) error {
	switch o := object.(type) {
	case *policy.PodDisruptionBudget:
		return s.selects("PodDisruptionBudget "+o.Name, o.Spec.Selector)
	case *networking.NetworkPolicy:
		return errors.Join(s.selects("NetworkPolicy "+o.Name, &o.Spec.PodSelector), s.policy(o))
	case *autoscaling.HorizontalPodAutoscaler:
		if s.replicas != nil {
			return fmt.Errorf("%s sets its replicas, and HorizontalPodAutoscaler %s does, too", s.workload, o.Name)
		}
		if o.Spec.MinReplicas == nil || *o.Spec.MinReplicas < 2 || o.Spec.MaxReplicas < *o.Spec.MinReplicas {
			return fmt.Errorf("HorizontalPodAutoscaler %s does not keep two pods", o.Name)
		}
		if target := o.Spec.ScaleTargetRef.Kind + " " + o.Spec.ScaleTargetRef.Name; target != s.workload {
			return fmt.Errorf("HorizontalPodAutoscaler %s scales %s, and there is %s", o.Name, target, s.workload)
		}
	case *monitoring.ServiceMonitor:
		return s.monitor(o)
	}
	return nil
}

// policy holds that the private port is open to some only, and that what is allowed in is there.
func (s *set) policy(o *networking.NetworkPolicy) error {
	var faults []error
	open := map[string]bool{}
	for _, rule := range o.Spec.Ingress {
		if len(rule.Ports) == 0 || len(rule.From) == 0 {
			faults = append(faults, fmt.Errorf("NetworkPolicy %s lets in everybody, or to all ports", o.Name))
		}
		for _, p := range rule.Ports {
			if p.Port == nil || !s.port(*p.Port) {
				faults = append(faults, fmt.Errorf("NetworkPolicy %s: the pods have no port %s", o.Name, p.Port.String()))
				continue
			}
			open[p.Port.String()] = true
		}
	}
	for _, p := range s.pod.Spec.Containers[0].Ports {
		if !open[p.Name] {
			faults = append(faults, fmt.Errorf("NetworkPolicy %s lets nobody in to the port %s", o.Name, p.Name))
		}
	}
	if len(o.Spec.PolicyTypes) != 2 {
		faults = append(faults, fmt.Errorf("NetworkPolicy %s limits %v, want Ingress and Egress", o.Name, o.Spec.PolicyTypes))
	}
	return errors.Join(faults...)
}

func (s *set) monitor(o *monitoring.ServiceMonitor) error {
	chosen, err := meta.LabelSelectorAsSelector(&o.Spec.Selector)
	if err != nil {
		return err
	}
	var faults []error
	found := 0
	for _, service := range s.services {
		if !chosen.Matches(labels.Set(service.Labels)) {
			continue
		}
		found++
		for _, endpoint := range o.Spec.Endpoints {
			known := false
			for _, p := range service.Spec.Ports {
				known = known || p.Name == endpoint.Port
			}
			if !known {
				faults = append(faults, fmt.Errorf("ServiceMonitor %s: the Service %s has no port %q", o.Name, service.Name, endpoint.Port))
			}
			if endpoint.Authorization == nil {
				faults = append(faults, fmt.Errorf("ServiceMonitor %s: the metrics need a token", o.Name))
			}
		}
	}
	if found != 1 {
		faults = append(faults, fmt.Errorf("ServiceMonitor %s selects %d Services, want one", o.Name, found))
	}
	return errors.Join(faults...)
}

// probes go to the paths that serve what they ask.
func (s *set) probes() error {
	c := s.pod.Spec.Containers[0]
	var faults []error
	for name, want := range map[string]struct {
		probe *core.Probe
		path  string
	}{
		"startup": {c.StartupProbe, "/healthz"}, "liveness": {c.LivenessProbe, "/healthz"}, "readiness": {c.ReadinessProbe, "/readyz"},
	} {
		switch p := want.probe; {
		case p == nil || p.HTTPGet == nil:
			faults = append(faults, fmt.Errorf("there is no %s probe by HTTP", name))
		case p.HTTPGet.Path != want.path || p.HTTPGet.Port.String() != "private" || !s.port(p.HTTPGet.Port):
			faults = append(faults, fmt.Errorf("the %s probe asks %s at the port %s, want %s at private", name, p.HTTPGet.Path, p.HTTPGet.Port.String(), want.path))
		case p.TimeoutSeconds < 3:
			faults = append(faults, fmt.Errorf("the %s probe waits %d s, want 3: the receiver asks NATS for 2 s", name, p.TimeoutSeconds))
		}
	}
	return errors.Join(faults...)
}

// mounts has all volumes mounted, and all that is mounted there.
func (s *set) mounts() error {
	var faults []error
	volumes := map[string]bool{}
	for _, v := range s.pod.Spec.Volumes {
		volumes[v.Name] = false
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.ConfigMap != nil {
				if _, ok := s.maps[source.ConfigMap.Name]; !ok {
					faults = append(faults, fmt.Errorf("the volume %s has the ConfigMap %q, which is not there", v.Name, source.ConfigMap.Name))
				}
			}
		}
	}
	for _, c := range s.claims {
		volumes[c.Name] = false
	}
	for _, m := range s.pod.Spec.Containers[0].VolumeMounts {
		if _, ok := volumes[m.Name]; !ok {
			faults = append(faults, fmt.Errorf("there is no volume %q to mount at %s", m.Name, m.MountPath))
		}
		volumes[m.Name] = true
	}
	for name, mounted := range volumes {
		if !mounted {
			faults = append(faults, fmt.Errorf("the volume %q is not mounted", name))
		}
	}
	for name := range s.services {
		if strings.Contains(name, "nats") && !s.port(intstr.FromString("nats")) {
			faults = append(faults, fmt.Errorf("Service %s is there without a port nats", name))
		}
	}
	return errors.Join(faults...)
}
