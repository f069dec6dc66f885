package metrics

import (
	"net/http"
	"slices"
	"strconv"

	"receiver/api"
)

// NoOperation is the operation of a request to the private listener that is none of the contract.
const NoOperation = "_"

func (m *Metrics) makeRequests() {
	m.requests = m.vector("receiver_api_requests_total",
		"Requests to the private listener by operation of the contract, _ for any other address, and status.", "operation", "status")
}

// startRequests has the series of all operations exist. Commands that open no listener do not read
// the contract.
func (m *Metrics) startRequests() {
	failed := []int{http.StatusInternalServerError}
	for _, k := range api.ProblemKinds {
		if status := k.Status(); !slices.Contains(failed, status) {
			failed = append(failed, status)
		}
	}
	start := func(operation string, statuses []int) {
		for _, status := range statuses {
			m.requests.WithLabelValues(operation, strconv.Itoa(status))
		}
	}
	for _, o := range api.Operations() {
		start(o.ID, o.Statuses)
		start(o.ID, failed)
	}
	start(NoOperation, failed)
}

// Request counts a request to the private listener.
func (m *Metrics) Request(operation string, status int) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
}
