package doctor

import (
	"receiver/internal/words"
)

// Numbers of open files from which on a limit is a warning and fine.
const (
	filesFew    = 1024
	filesEnough = 4096
)

// FileLimit judges how many files and connections a process may have open at once.
func FileLimit(limit uint64) Finding {
	f := Finding{
		Severity: Warning, What: "a process of this shell may open " + words.Count(limit, "file"),
		Why:    "each connection needs one, and the store about a hundred; at the limit no callback can connect",
		Change: "LimitNOFILE=65536 in the service's unit, or `ulimit -n 65536` before `receiver serve`",
	}
	switch {
	case limit >= filesEnough:
		return Finding{What: f.What + "; a service has its own limit"}
	case limit < filesFew:
		f.Severity = Error
	}
	return f
}
