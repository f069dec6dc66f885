package main

import (
	"context"
	"time"

	"receiver/internal/certs"
	"receiver/internal/consumers"
	"receiver/internal/doctor"
	"receiver/internal/publish"
)

// port says who reaches the port of the embedded NATS server.
func (x examination) port(context.Context) []doctor.Finding {
	if !x.embedded() {
		return []doctor.Finding{{What: "this receiver opens no NATS port: the cluster's operator says who reaches it"}}
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
	all, err := consumers.Readable(folder)
	p.Consumers, p.Unreadable = len(all), err
	p.Strangers, _ = publish.AdmitsStrangers(folder) // that it cannot be asked is said by the check of nats
	return append(p.Findings(time.Now()), found...)
}
