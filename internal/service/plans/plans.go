// Package plans shows what differs between the streams and the configuration.
package plans

import (
	"receiver/api"
	"receiver/internal/publish/schema"
)

// Shown returns a plan as the API and the commands show it.
func Shown(p schema.Plan) api.StreamsPlan {
	all := api.StreamsPlan{Streams: []api.StreamPlan{}}
	for _, s := range p.Streams {
		shown := api.StreamPlan{Stream: s.Stream, Missing: s.Missing, Changes: []api.StreamChange{}}
		for _, c := range s.Changes {
			shown.Changes = append(shown.Changes, api.StreamChange{
				Setting: c.Setting, Have: c.Have, Want: c.Want, Refused: c.Refused, Blocked: c.Blocked, Drops: c.Drops,
			})
		}
		all.Streams = append(all.Streams, shown)
	}
	return all
}
