package auditlog

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"receiver/internal/job"
)

// OCSF is an entry as an event of the Open Cybersecurity Schema Framework, version 1.3.0:
// a callback as HTTP Activity (class 4002) with the profile security_control, an action as
// Entity Management (class 3004). docs/audit.md tells the mapping.
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

func (o OCSF) class(category, class, activity int) {
	o["category_uid"], o["class_uid"], o["activity_id"], o["type_uid"] = category, class, activity, class*100+activity
}

func (o OCSF) callback(e Entry) OCSF {
	method, path := e.request()
	o.class(categoryNetwork, classHTTP, activityOf(method))
	o["metadata"].(map[string]any)["profiles"] = []string{"security_control"}
	severity, status, action, disposition := severityInformational, statusSuccess, allowed, dispositionAllowed
	switch e.Verdict {
	case Refused:
		severity, status, action, disposition = severityMedium, statusFailure, denied, dispositionBlock
	case job.Quarantined:
		disposition = dispositionQuarantined
	}
	o["severity_id"], o["status_id"], o["action_id"], o["disposition_id"] = severity, status, action, disposition
	o["status"] = e.Verdict
	o.set("status_detail", e.Reason)
	request := map[string]any{"http_method": method, "url": map[string]any{"path": path}}
	if e.Size >= 0 {
		request["body_length"] = e.Size
	}
	o["http_request"] = request
	o["http_response"] = map[string]any{"code": e.Status()}
	if e.Remote != "" {
		o["src_endpoint"] = map[string]any{"ip": e.Remote}
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

// activityOf returns the activity_id of an HTTP method, 99 for one that the schema has not.
func activityOf(method string) int {
	methods := []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"}
	if i := slices.Index(methods, method); i >= 0 {
		return i + 1
	}
	return 99
}

func (o OCSF) action(e Entry) OCSF {
	o.class(categoryIdentity, classEntityManagement, activityUpdate)
	o["severity_id"], o["status_id"] = severityInformational, statusSuccess
	operator := e.Operator
	if operator == "" {
		operator = "receiver"
	}
	o["actor"] = map[string]any{"user": map[string]any{"name": operator}}
	o["entity"] = map[string]any{"name": "receiver", "type": "Service"}
	o.set("comment", strings.TrimSpace(e.Reason))
	o["unmapped"] = map[string]any{"action": e.What, "details": e.Details}
	return o
}

// set sets a member, unless its value is empty.
func (o OCSF) set(name, value string) {
	if value != "" {
		o[name] = value
	}
}
