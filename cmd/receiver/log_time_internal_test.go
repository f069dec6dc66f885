package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"receiver/internal/config"
)

func TestALogLineHasItsTime(t *testing.T) {
	const layout = "2006-01-02T15:04:05.000Z"
	for _, at := range []time.Time{
		time.Date(2026, 11, 26, 2, 23, 32, 55_999_999, time.UTC), time.Date(2026, 11, 26, 2, 23, 32, 0, time.UTC),
		time.Date(2026, 2, 3, 4, 5, 6, 987_000_000, time.FixedZone("east", 3600)), time.Date(2026, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		if got, want := string(appendTime(nil, at)), at.UTC().Format(layout); got != want {
			t.Errorf("the time of %v is %s, want %s", at, got, want)
		}
	}
	var line bytes.Buffer
	began := time.Now().Truncate(time.Millisecond)
	log := logger(&line, false, config.Log{Level: "info", Format: "json"})
	log.Warn().Msg("x")
	var read struct{ Time time.Time }
	if err := json.Unmarshal(line.Bytes(), &read); err != nil || read.Time.Before(began) || read.Time.After(time.Now()) {
		t.Errorf("the line %s tells %v, %v, want the time it was written", line.Bytes(), read.Time, err)
	}
}
