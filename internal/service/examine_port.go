package service

import (
	"context"
	"time"

	"receiver/internal/certs"
	"receiver/internal/consumers"
	"receiver/internal/doctor"
	"receiver/internal/natsserver"
)

// port judges which clients reach the port of the embedded NATS server.
func (x examiner) port(context.Context) []doctor.Finding {
	if !x.embedded() {
		return []doctor.Finding{{What: "this receiver opens no NATS port; the operator of the cluster controls access"}}
	}
	folder, e := x.cfg.Abs(x.cfg.NATS.Embedded.Folder), x.cfg.NATS.Embedded
	p := doctor.Port{
		Address: e.Address, TLS: e.TLS.On(), Certificates: e.TLS.CAFile != "",
		Connections: connectionsOf(x.cfg).nats,
	}
	var found []doctor.Finding
	if p.TLS {
		if pair, err := certs.Load(x.cfg.Abs(e.TLS.CertFile), x.cfg.Abs(e.TLS.KeyFile)); err == nil {
			p.Expires = pair.Certificate().Leaf.NotAfter
		} else {
			found = doctor.Unseen(err.Error())
		}
	}
	all, err := consumers.List(folder)
	p.Consumers, p.Unreadable = len(all), err
	p.Strangers, _ = natsserver.AdmitsUnauthenticated(folder) // that it cannot be asked is said by the check of nats
	return append(p.Findings(time.Now()), found...)
}
