package page

import (
	"strconv"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/page/perminute"
)

// Traffic is the chart of the overview.
func (v *visit) Traffic() perminute.View {
	got, err := client.Answer[api.Traffic](v.api.GetTraffic(v.r.Context(), &api.GetTrafficParams{}))
	if err != nil {
		return perminute.View{Error: err.Error()}
	}
	t := perminute.New(got)
	t.MayList = v.May("audit")
	return t
}

// traffic shows the same as a table.
func (p *Page) traffic(v *visit) error {
	got, err := client.Answer[api.Traffic](v.api.GetTraffic(v.r.Context(), &api.GetTrafficParams{}))
	if err != nil {
		return err
	}
	t := perminute.New(got)
	t.MayList = v.May("audit")
	return v.show("traffic", "Callbacks a minute", t, "minutes")
}

// trafficMinute leads to the callbacks of a minute, whose number counts since 1970. The chart has
// so many of these addresses that they must be short.
func (p *Page) trafficMinute(v *visit) error {
	n, err := strconv.ParseUint(v.r.PathValue("minute"), 10, 32)
	if err != nil {
		return api.NoSuchPath.Problem("%q is no minute", v.r.PathValue("minute"))
	}
	return v.back(perminute.Address(time.Unix(int64(n)*60, 0)))
}
