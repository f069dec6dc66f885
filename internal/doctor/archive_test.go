package doctor_test

import (
	"errors"
	"testing"
	"time"

	"receiver/internal/doctor"
)

// TestArchives holds what is said of the folder of archives, and of records that are in none.
func TestArchives(t *testing.T) {
	const folder, gib = "audit.export.folder", 1 << 30
	at := func(a doctor.Archive) []doctor.Finding { a.Folder = "/archive"; return a.Findings() }
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	record := func(u doctor.Unarchived) []doctor.Finding { u.Stream = "JOBS"; return []doctor.Finding{u.Finding()} }
	old := now.Add(-85 * 24 * time.Hour)
	hold(t, []row{
		{"a folder with space", at(doctor.Archive{Disk: doctor.Disk{Free: 2 * gib}}), doctor.OK, "the archives in /archive have 2 GiB of free disk space", ""},
		{"a disk that is nearly full", at(doctor.Archive{Disk: doctor.Disk{Free: gib / 2}}), doctor.Warning, "have 512 MiB of free", folder},
		{"no folder", at(doctor.Archive{Err: errors.New("open /archive: no such file")}), doctor.Error, "no archive can be written: open /archive: no such file", folder},
		{"in the store", at(doctor.Archive{InStore: true, Disk: doctor.Disk{Free: 2 * gib}}), doctor.Warning, "in the folder of the store: /archive", folder},
		{"in memory", at(doctor.Archive{Disk: doctor.Disk{Free: 2 * gib, Kind: "memory"}}), doctor.Warning, "are in memory: /archive", folder},
		{"on a share", at(doctor.Archive{Disk: doctor.Disk{Free: 2 * gib, Kind: "network"}}), doctor.OK, "2 GiB of free", ""},
		{"every record archived", record(doctor.Unarchived{}), doctor.OK, "every record of JOBS is in an archive", ""},
		{"a young one is not", record(doctor.Unarchived{Stored: now.Add(-80 * time.Hour)}), doctor.OK, "in no archive was stored at 2026-11-22T04:00:00Z", ""},
		{"one is removed by age", record(doctor.Unarchived{Stored: old, Ends: now.Add(5 * 24 * time.Hour), Due: true}), doctor.Warning, "by age on 2026-11-30T12:00:00Z", folder},
		{"one is removed by size", record(doctor.Unarchived{Stored: old, Due: true}), doctor.Warning, "when newer ones need its space", folder},
	})
}
