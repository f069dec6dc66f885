package simulator

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// getObjects lists names, or under "Elements-Version: Helium" objects. OC: (a) row 4
func (p *Platform) getObjects(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Elements-Version"), "Helium") {
		p.write(w, http.StatusOK, laidOut(p.dice(), encoded(p.o.Objects)))
		return
	}
	kinds := []string{"vendor", "vdr", "ceCanonical"}
	rows := make([]json.RawMessage, len(p.o.Objects))
	for i, name := range p.o.Objects {
		rows[i] = p.object([]field{{"name", name}, {"vendorName", strings.ToUpper(name)}, {"type", kinds[i%len(kinds)]}})
	}
	p.write(w, http.StatusOK, list(rows))
}

// getMetadata describes the fields that downloads of the object have. OC: 2
func (p *Platform) getMetadata(w http.ResponseWriter, r *http.Request) {
	if !p.knows(r.PathValue("object")) {
		p.refuse(w, http.StatusNotFound, "no such object")
		return
	}
	rows := make([]json.RawMessage, len(columns))
	for i, name := range columns {
		fields := []field{{"type", "string"}, {"vendorPath", name}}
		if i%2 == 0 {
			fields = append(fields, field{"vendorDisplayName", strings.TrimPrefix(name, "C_")},
				field{"vendorNativeType", "text"}, field{"vendorRequired", strings.HasSuffix(name, "EmailAddress")})
		}
		rows[i] = p.object(fields)
	}
	p.write(w, http.StatusOK, p.object([]field{{"fields", rows}}))
}

func (p *Platform) knows(object string) bool { return slices.Contains(p.o.Objects, object) }

// columns are what generated rows have: those of the contract's example.
var columns = []string{"C_EmailAddress", "C_FirstName", "C_LastName", "C_Title", "C_BusPhone", "C_Company", "C_Website1"}
