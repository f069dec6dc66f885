package auditlog

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"receiver/internal/job"
)

// OCSF is an entry as an event of the Open Cybersecurity Schema Framework, version 1.3.0:
// a callback as HTTP Activity (class 4002) with the profile security_control, an action as
// Entity Management (class 3004) with the profile host. docs/audit.md tells the mapping;
// testdata has the part of the schema that it is tested with.
//
// https://schema.ocsf.io/1.3.0, read 2026-11-23.
type OCSF map[string]any

const ocsfVersion = "1.3.0"

// The identifiers of the schema that are used here.
const (
	categoryIdentity, categoryNetwork     = 3, 4
	classEntityManagement, classHTTP      = 3004, 4002
	activityUpdate                        = 3
	severityInformational, severityMedium = 1, 3
	statusSuccess, statusFailure          = 1, 2
	allowed, denied                       = 1, 2
	dispositionAllowed, dispositionBlock  = 1, 2
	dispositionQuarantined                = 3
	other                                 = 99 // its sibling says what
)

// ToOCSF maps an entry. Product and version are those of this program.
func ToOCSF(e Entry, version string) OCSF {
	o := OCSF{
		"time": e.Received.UnixMilli(),
		"metadata": map[string]any{
			"version": ocsfVersion, "uid": e.ID, "sequence": e.Sequence, "logged_time": e.Stored.UnixMilli(),
			"original_time": stamp(e.Received), "log_name": e.Stream,
			"product": map[string]any{"name": "receiver", "vendor_name": "receiver", "version": version},
		},
	}
	if e.Verdict == Action {
		return o.action(e)
	}
	return o.callback(e)
}

func (o OCSF) class(category, class, activity int, profile string) {
	o["category_uid"], o["class_uid"], o["activity_id"], o["type_uid"] = category, class, activity, class*100+activity
	o["metadata"].(map[string]any)["profiles"] = []string{profile}
}

// end sets how it ended. The schema has names for that; what an entry calls it is the code.
func (o OCSF) end(status int, code, detail string) {
	o["status_id"], o["status"] = status, map[int]string{statusSuccess: "Success", statusFailure: "Failure"}[status]
	o.set("status_code", code)
	o.set("status_detail", detail)
}

func (o OCSF) callback(e Entry) OCSF {
	method, path := e.request()
	request := OCSF{}
	activity := activityOf(method)
	o.class(categoryNetwork, classHTTP, activity, "security_control")
	if activity == other {
		o["activity_name"] = method
	} else {
		request.set("http_method", method)
	}
	if path != "" {
		request["url"] = map[string]any{"path": path}
	}
	severity, status, action, disposition := severityInformational, statusSuccess, allowed, dispositionAllowed
	switch e.Verdict {
	case Refused:
		severity, status, action, disposition = severityMedium, statusFailure, denied, dispositionBlock
	case job.Quarantined:
		disposition = dispositionQuarantined
	}
	o["severity_id"], o["action_id"], o["disposition_id"] = severity, action, disposition
	o.end(status, e.Verdict, e.Reason)
	if e.Size >= 0 {
		request["length"] = e.Size
	}
	o["http_request"] = map[string]any(request)
	o["http_response"] = map[string]any{"code": e.Status()}
	if _, err := netip.ParseAddr(e.Remote); err == nil {
		o["src_endpoint"] = map[string]any{"ip": e.Remote}
	} else if e.Remote != "" {
		o["src_endpoint"] = map[string]any{"name": e.Remote}
	}
	o["dst_endpoint"] = map[string]any{"svc_name": "receiver"}
	unmapped := OCSF{}
	for name, value := range map[string]string{
		"verdict": e.Verdict, "source": e.Source, "kind": e.Kind, "job": e.Job, "result": e.Result, "evidence": e.Evidence,
		"key": e.Key, "fingerprint": e.Fingerprint, "signature": e.Signature, "body_sha256": e.Body,
	} {
		unmapped.set(name, value)
	}
	o["unmapped"] = map[string]any(unmapped)
	return o
}

// request returns the method and the path that a callback came by, never with its token.
func (e Entry) request() (method, path string) {
	if e.Reason == job.WrongPath || e.Reason == job.WrongMethod {
		method, path, _ = strings.Cut(e.Claimed, " ")
		return method, path
	}
	return http.MethodPost, "/callbacks/" + cmp.Or(e.Claimed, e.Source)
}

// activityOf returns the activity_id of an HTTP method: other for one that the schema has not, and
// 0 if it was not recorded.
func activityOf(method string) int {
	if method == "" {
		return 0
	}
	methods := []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"}
	if i := slices.Index(methods, method); i >= 0 {
		return i + 1
	}
	return other
}

func (o OCSF) action(e Entry) OCSF {
	o.class(categoryIdentity, classEntityManagement, activityUpdate, "host") // which has the actor
	o["severity_id"] = severityInformational
	o.end(statusSuccess, "", "")
	operator := e.Operator
	if operator == "" {
		operator = "receiver"
	}
	o["actor"] = map[string]any{"user": map[string]any{"name": operator}}
	o["entity"] = map[string]any{"name": "receiver", "type_id": other, "type": "Service"}
	o.set("comment", strings.TrimSpace(e.Reason))
	unmapped := map[string]any{"action": e.What}
	if len(e.Details) > 0 {
		unmapped["details"] = e.Details
	}
	o["unmapped"] = unmapped
	return o
}

// set sets a member, unless its value is empty.
func (o OCSF) set(name, value string) {
	if value != "" {
		o[name] = value
	}
}
