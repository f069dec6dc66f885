package evidence

import (
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/service/records"
)

// shown is a verification that has ended as the API gives it, with what is kept of one before.
func shown(v api.Verification, found records.Verified, at time.Time) api.Verification {
	v.Ok, v.Outside, v.KeysGone = &found.OK, &found.Outside, found.Gone
	v.Logs, v.Faults, v.Places = []api.LogCheck{}, faults(found.Faults), []api.ComparedPlace{}
	for _, r := range found.Logs {
		v.Logs = append(v.Logs, api.LogCheck{
			Origin: r.Origin, Time: at, Ok: r.OK(), Size: r.Size, From: r.From, To: r.To, Records: r.Records, Absent: r.Absent, Removed: r.Outside,
			Unsealed: r.Unsealed, Signatures: r.Reverified, Unchecked: r.NotChecked, Checkpoints: r.Checkpoints, SignedBy: r.Keys,
			Faults: faults(r.Faults), Omitted: r.Omitted + max(len(r.Faults)-mostFaults, 0),
		})
	}
	for _, p := range found.Places {
		place := api.ComparedPlace{Kind: p.Kind, Where: p.Where, Error: p.Error, Logs: []api.PlaceHolds{}}
		for _, h := range p.Logs {
			place.Logs = append(place.Logs, api.PlaceHolds{Log: h.Log, Checkpoints: h.Checkpoints, Size: h.Size, Time: h.Time})
		}
		v.Places = append(v.Places, place)
	}
	return v
}

// faults are the first of all.
func faults(all []audit.Fault) []api.LogFault {
	few := []api.LogFault{}
	for _, f := range all[:min(len(all), mostFaults)] {
		few = append(few, api.LogFault{Stream: f.Stream, Sequence: f.Seq, Kind: string(f.Kind), Detail: f.Detail})
	}
	return few
}
