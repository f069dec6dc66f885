package service

import (
	"context"
	"fmt"
	"slices"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/publish/anchorstream"
	"receiver/internal/publish/schema"
	"receiver/internal/service/logs"
)

// anchor looks at an anchor in another NATS account.
func (x examiner) anchor(ctx context.Context, i int, n config.AnchorNATS) []doctor.Finding {
	d := doctor.Anchor{Where: n.Stream + " at " + n.URLs[0], Setting: fmt.Sprintf("audit.anchors[%d].nats", i)}
	account, err := anchorstream.Dial(logs.AnchorOptions(x.cfg, n))
	if err != nil {
		d.Err = err
		return d.Findings()
	}
	defer account.Close()
	for _, stream := range logs.Streams {
		facts, err := account.Facts(ctx, logs.Place(x.cfg.Audit), stream)
		if err != nil {
			d.Err = err
			return d.Findings()
		}
		for _, weak := range facts.Weak {
			if !slices.Contains(d.Weak, weak) {
				d.Weak = append(d.Weak, weak)
			}
		}
		d.Ours = facts.Account != "" && facts.Account == x.account(ctx)
		d.MayRewrite, d.Known, d.Removed = facts.MayRewrite, facts.Known, facts.Removed
	}
	return d.Findings()
}

// account is the one that the streams are in, of a cluster; empty if it is not known.
// Accounts of other servers may have the same name: that of the embedded server is its own.
func (x examiner) account(ctx context.Context) string {
	if x.embedded() {
		return ""
	}
	survey, err := schema.SurveyCluster(ctx, external(x.cfg), storeOptions(x.cfg, x.log))
	if err != nil {
		return ""
	}
	defer survey.Close()
	return survey.Account(ctx)
}
