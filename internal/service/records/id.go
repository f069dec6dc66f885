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

// ParseIDs reads names of records of one stream.
func ParseIDs(records []string) (stream string, seqs []uint64, err error) {
	for _, text := range records {
		s, seq, err := ParseID(text)
		if err != nil {
			return "", nil, err
		}
		if stream != "" && s != stream {
			return "", nil, config.UseErrorf("a bundle contains records of one stream: %s and %s need two bundles", stream, s)
		}
		stream, seqs = s, append(seqs, seq)
	}
	return stream, seqs, nil
}
