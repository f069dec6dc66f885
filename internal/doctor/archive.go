package doctor

import (
	"fmt"
	"time"
)

// Archive is the folder that serve exports to.
type Archive struct {
	Folder string
	// Err is why nothing can be written there.
	Err error
	Disk
	// InStore is true of a folder within that of the store.
	InStore bool
}

// leastArchive is what must be free for archives.
const leastArchive = 1 << 30

// Findings judges it.
func (a Archive) Findings() []Finding {
	f := Finding{What: fmt.Sprintf("the archives in %s have %s of free disk space", a.Folder, size(a.Free)), Setting: "audit.export.folder"}
	switch {
	case a.Err != nil:
		f.Severity, f.What = Error, "no archive can be written: "+a.Err.Error()
		f.Why, f.Change = "records are removed by age and size without being archived", "folder: a folder that exists, and that this user can write to"
	case a.InStore:
		f.Severity, f.What = Warning, "the archives are in the folder of the store: "+a.Folder
		f.Why, f.Change = "they are lost with it, and fill its disk", "folder: a folder on another disk"
	case a.Kind == inMemory || a.Kind == inLayer:
		f.Severity, f.What = Warning, fmt.Sprintf("the archives are in %s: %s", map[string]string{inMemory: "memory", inLayer: "the writable layer of a container"}[a.Kind], a.Folder)
		f.Why, f.Change = "they are lost at a restart", "folder: a folder on a disk"
	case a.Free < leastArchive:
		f.Severity = Warning
		f.Why, f.Change = "an export that does not fit is tried again, and archives nothing", "free disk space, or move older archives elsewhere"
	default:
		f.Setting = ""
	}
	return []Finding{f}
}

// Unarchived is the oldest record of a stream that is in no archive.
type Unarchived struct {
	Stream string
	// Stored is when it was stored, Ends when its age removes it; zero if there is none, or no age.
	Stored, Ends time.Time
	// Due is true if it is removed soon.
	Due bool
}

// Finding judges it.
func (u Unarchived) Finding() Finding {
	switch {
	case u.Stored.IsZero():
		return Finding{What: "every record of " + u.Stream + " is in an archive"}
	case !u.Due:
		return Finding{What: "the oldest record of " + u.Stream + " that is in no archive was stored at " + u.Stored.UTC().Format(time.RFC3339)}
	}
	when := "when newer ones need its space"
	if !u.Ends.IsZero() {
		when = "by age on " + u.Ends.UTC().Format(time.RFC3339) + ", or earlier by size"
	}
	return Finding{
		Severity: Warning, What: fmt.Sprintf("records of %s that are in no archive are removed soon, the oldest %s", u.Stream, when),
		Why:     "only their hashes stay, so they can be neither read nor proved later",
		Setting: "audit.export.folder", Change: "folder: a folder for archives; or run `receiver audit export`, or keep records longer",
	}
}
