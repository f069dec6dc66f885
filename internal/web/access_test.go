package web_test

import (
	"context"
	"time"

	"receiver/internal/access"
	"receiver/internal/web"
)

// tokens are those of a private listener with one token that opens everything, or with none.
func tokens(private string) *access.Set { return access.NewSet(private, 100_000, time.Now) }

// unrecorded takes a record and keeps it nowhere.
func unrecorded(context.Context, web.Use) (uint64, error) { return 1, nil }
