package archiving

import (
	"context"
	"os"
	"path/filepath"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/publish"
)

// ExamineFolder looks at audit.export.folder, if it is set.
func ExamineFolder(cfg *config.Config) []doctor.Finding {
	if cfg.Audit.Export.Folder == "" {
		return nil
	}
	folder := cfg.Abs(cfg.Audit.Export.Folder)
	a := doctor.Archive{Folder: folder}
	file, err := os.CreateTemp(folder, unfinished+"*")
	if err == nil {
		err = file.Close()
		_ = os.Remove(file.Name())
	}
	if a.Err = err; err == nil {
		a.Disk, a.Err = doctor.MeasureDisk(folder)
	}
	if cfg.NATS.Embeds() {
		inside, err := filepath.Rel(cfg.Abs(cfg.NATS.Embedded.Folder), folder)
		a.InStore = err == nil && filepath.IsLocal(inside)
	}
	return a.Findings()
}

// Examine looks for records in a store that are removed soon and are in no archive.
func Examine(ctx context.Context, cfg *config.Config, store *publish.Store) []doctor.Finding {
	all, err := Survey(ctx, cfg, store)
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	var found []doctor.Finding
	for _, u := range all {
		found = append(found, doctor.Unarchived{Stream: u.Stream, Stored: u.Stored, Ends: u.Ends, Due: u.Due}.Finding())
	}
	return found
}
