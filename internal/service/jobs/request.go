package jobs

import (
	"bytes"
	"encoding/json"

	"receiver/api"
	"receiver/internal/submission"
	"receiver/internal/submit"
)

// fit refuses a request that no platform takes, before its file is read, and turns one to gather
// rows into that of the platform.
func fit(q *submission.Request) error {
	if g, ok := q.Gather.(api.Gathering); ok {
		if err := gathering(q, g); err != nil {
			return err
		}
	}
	switch {
	case q.Direction == "UPLOAD" && q.Object == "":
		return api.BadRequest.Problem("name the object that the rows are of with ?object=")
	case len(q.Metadata) > 0 && !isObject(q.Metadata):
		return api.BadRequest.Problem("metadata is not a JSON object")
	case len(q.Payload) > 0 && !json.Valid(q.Payload):
		return api.BadRequest.Problem("callback_payload is not JSON")
	}
	return nil
}

func isObject(text json.RawMessage) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}

// downloadFormats are the platform's names of the formats of a download.
var downloadFormats = map[api.GatheringFormat]string{
	"": "txt/csv", api.GatheringFormatCsv: "txt/csv", api.GatheringFormatJson: "application/json", api.GatheringFormatJsonl: "application/jsonl",
}

// gathering reads a request to gather rows.
func gathering(q *submission.Request, g api.Gathering) error {
	q.Direction, q.Metadata, q.Payload, q.Object = "DOWNLOAD", g.Metadata, g.CallbackPayload, g.Object
	query := submit.Query{Q: g.Q, From: g.From, To: g.To, LastRunDate: g.LastRunDate, ContinueFromJobID: g.ContinueFromJobId}
	download := submit.Download{
		Object: g.Object, SelectFields: g.SelectFields, Where: g.Where, From: g.From, To: g.To, FilterDateField: g.FilterDateField,
		FilterNulls: g.FilterNulls, Limit: g.Limit, APILimit: g.ApiLimit, PageSize: g.PageSize,
	}
	common := submit.Download{From: g.From, To: g.To}
	switch g.Direction {
	case api.GatheringDirectionQuery:
		if download != common || g.Format != "" {
			return api.BadRequest.Problem("a query takes q, from, to, last_run_date, continue_from_job_id, metadata and callback_payload only")
		}
		q.Gather = query
	case api.GatheringDirectionDownload:
		if g.Q != "" || g.LastRunDate != "" || g.Metadata != nil || g.CallbackPayload != nil {
			return api.BadRequest.Problem("a download does not take q, last_run_date, metadata or callback_payload")
		}
		var known bool
		if download.Format, known = downloadFormats[g.Format]; !known {
			return api.BadRequest.Problem("format %q is neither csv, json nor jsonl", g.Format)
		}
		if g.ContinueFromJobId != "" {
			if err := json.Unmarshal([]byte(g.ContinueFromJobId), &download.ContinueFromJobID); err != nil {
				return api.BadRequest.Problem("continue_from_job_id %q of a download is not a number", g.ContinueFromJobId)
			}
		}
		q.Gather = download
	default:
		return api.BadRequest.Problem(`direction %q is neither query nor download; a file is sent as text/csv or multipart/form-data`, g.Direction)
	}
	return nil
}
