package page

import (
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/page/sealed"
)

// checkpointsShown is how many checkpoints a page has.
const checkpointsShown = 50

// checkWait is how long the page waits for a verification that it began. Most end in it.
const checkWait = 5 * time.Second

// evidence shows the logs: how far each is intact, by whose word, and what is not covered. It is
// also where the name of a record is given for a certificate.
func (p *Page) evidence(v *visit) error {
	record := strings.TrimSpace(v.r.URL.Query().Get("record"))
	if id := strings.ToUpper(record); recordName.MatchString(id) {
		return v.back("/evidence/" + id)
	}
	all, err := client.Answer[api.Logs](v.api.GetLogs(v.r.Context()))
	if err != nil {
		return err
	}
	shown := sealed.NewOverview(all)
	shown.Record = record
	return v.show("evidence", "Evidence", shown, "logs")
}

// verifyLogs has the receiver verify the logs.
func (p *Page) verifyLogs(v *visit) error {
	_, err := client.Answer[api.Verification](v.api.VerifyLogs(v.r.Context(), &api.VerifyLogsParams{Wait: checkWait.String()}))
	if err != nil {
		return err
	}
	return v.back("/evidence")
}

// checkpoints shows the checkpoints of a log over time.
func (p *Page) checkpoints(v *visit) error {
	stream, after, most := v.r.PathValue("stream"), v.r.URL.Query().Get("after"), checkpointsShown
	page, err := client.Answer[api.CheckpointPage](v.api.ListCheckpoints(v.r.Context(), stream, &api.ListCheckpointsParams{Limit: &most, After: after}))
	if err != nil {
		return err
	}
	return v.show("checkpoints", "Checkpoints of "+stream, sealed.NewHistory(page, after == ""), "history")
}
