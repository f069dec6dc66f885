package consumers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// ErrCredentials means that there is something in the place of the credentials.
var ErrCredentials = errors.New("exists, and is not overwritten")

// Admission is a consumer to be added, and what else is done for it.
type Admission struct {
	Name     string
	Durables []string
	// Credentials is the file for its credentials.
	Credentials string
	// Make makes a durable, and reports whether it was there already.
	Make func(ctx context.Context, durable string) (existed bool, err error)
	// Remove removes a durable that Make made.
	Remove func(ctx context.Context, durable string) error
	// Record stores that the consumer is added.
	Record func(ctx context.Context) error
}

// Admit adds the consumer to the store in folder: the file for its credentials, its durables, the
// record of it, and last its key. If a step fails, only the record is left, so that the consumer is
// not admitted and Admit can be tried again.
func (a Admission) Admit(ctx context.Context, folder string) (made Consumer, err error) {
	unlock, err := Lock(ctx, folder)
	if err != nil {
		return made, err
	}
	defer unlock()
	if err := free(folder, a.Name, a.Durables); err != nil {
		return made, err
	}
	var undo []func(context.Context) error
	defer func() {
		if err == nil {
			return
		}
		err = fmt.Errorf("consumer %s is not added: %w", a.Name, err)
		for _, step := range slices.Backward(undo) {
			err = errors.Join(err, step(context.WithoutCancel(ctx)))
		}
	}()
	file, err := os.OpenFile(a.Credentials, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return made, fmt.Errorf("%s %w; name another file with --creds", a.Credentials, ErrCredentials)
	}
	if err != nil {
		return made, fmt.Errorf("making the file for its credentials: %w", err)
	}
	undo = append(undo, func(context.Context) error { return errors.Join(file.Close(), os.Remove(a.Credentials)) })
	for _, d := range a.Durables {
		existed, err := a.Make(ctx, d)
		if err != nil {
			return made, err
		}
		if !existed {
			undo = append(undo, func(ctx context.Context) error { return a.Remove(ctx, d) })
		}
	}
	if err := a.Record(ctx); err != nil {
		return made, err
	}
	made, creds, err := Add(folder, a.Name, a.Durables, time.Now())
	if err != nil {
		return made, err
	}
	undo = append(undo, func(context.Context) error { _, err := Remove(folder, a.Name); return err })
	if _, err := file.Write(creds); err != nil {
		return made, fmt.Errorf("writing its credentials: %w", err)
	}
	if err := file.Sync(); err != nil {
		return made, fmt.Errorf("writing its credentials: %w", err)
	}
	return made, file.Close()
}
