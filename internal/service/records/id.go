package records

import (
	"strconv"
	"strings"

	"receiver/internal/config"
	"receiver/internal/service/logs"
)

// ParseID reads the name of a record, STREAM/SEQUENCE.
func ParseID(text string) (stream string, seq uint64, err error) {
	name, number, _ := strings.Cut(text, "/")
	seq, err = strconv.ParseUint(number, 10, 64)
	for _, s := range logs.Streams {
		if strings.EqualFold(s, name) && err == nil && seq > 0 {
			return s, seq, nil
		}
	}
	return "", 0, config.UseErrorf("%q is not the name of a record, such as JOBS/12 (streams: %s)", text, strings.Join(logs.Streams, ", "))
}
