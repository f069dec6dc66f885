package job

// meaning is what a member of a job's notification or status says.
type meaning uint8

const (
	nothing meaning = iota
	isID
	isStatus
	isObjectName
	isDirection
	isRecords
	isFailed
	isWarned
	isError
	isMessage
	isFormat
	isInstance
	isVendorJob
	isStarted
	isEnded
	isPayload
	isMetadata
)

// names are those under which the generations of the platform give one thing, in order of
// preference. A member is known by its name in any case, and with or without underscores and
// hyphens: `records_failed_count` is `recordsFailedCount`.
//
// OC: sections 5.1, 5.4 and 6.2, (b) rows 1 and 2. Of failed rows, the names after the first four
// are in no table; they can mean nothing else.
var names = map[meaning][]string{
	isID:         {"id", "jobId", "job_id"},
	isStatus:     {"status", "jobStatus", "job_status", "bulk_status"},
	isObjectName: {"object_name", "objectName"},
	isDirection:  {"job_direction", "jobDirection"},
	isRecords:    {"recordsCount", "recordCount", "record_count", "numOfLeadsProcessed"},
	isFailed: {
		"recordsFailedCount", "errorCount", "error_count", "numOfRowsFailed",
		"recordsFailed", "recordFailedCount", "failedRecordsCount", "failedRecords", "failedCount", "rowsFailed", "failedRows",
		"numberRecordsFailed", "numOfRecordsFailed",
	},
	isWarned:    {"numOfRowsWithWarning"},
	isError:     {"error", "errorMessage", "errors"},
	isMessage:   {"message", "statusMessage", "infoMessage"},
	isFormat:    {"fileFormat"},
	isInstance:  {"instanceId", "instance_id"},
	isVendorJob: {"vendorJobId"},
	isStarted:   {"bulk_start_time", "createdDate"},
	isEnded:     {"bulk_finish_time", "completionTime", "completion_time"},
	isPayload:   {"callback-payload", "callbackPayload"},
	isMetadata:  {"metadata", "metaData"},
}

// known is what names mean, and their places: each as it is, and folded.
var known = func() map[string]spelling {
	m := map[string]spelling{}
	for means, all := range names {
		for i, name := range all {
			m[name] = spelling{means, uint8(i)}
			if folded := string(fold(nil, name)); m[folded].means == nothing {
				m[folded] = spelling{means, uint8(i)}
			}
		}
	}
	return m
}()

// spelling is one of the names of a meaning: its place among them, behind inOtherCase if it has
// another form.
type spelling struct {
	means meaning
	place uint8
}

const inOtherCase = 1 << 6

// fold appends a name in lower case, without underscores and hyphens.
func fold(to []byte, name string) []byte {
	for _, c := range []byte(name) {
		switch {
		case c == '_' || c == '-':
		case 'A' <= c && c <= 'Z':
			to = append(to, c+'a'-'A')
		default:
			to = append(to, c)
		}
	}
	return to
}

// spelt returns what a name means.
func spelt(name string) spelling {
	if s, ok := known[name]; ok {
		return s
	}
	var room [64]byte
	if len(name) > len(room) {
		return spelling{}
	}
	s := known[string(fold(room[:0], name))]
	s.place |= inOtherCase
	return s
}
