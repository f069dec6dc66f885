package natsserver

import (
	"reflect"
	"testing"

	"github.com/rs/zerolog"
)

// A restart happens beside goroutines that read the settings: it changes none of them, and comes
// back to the port that was assigned at the first start.
func TestARestartChangesNoSetting(t *testing.T) {
	t.Parallel()
	s, err := Start(Embedded{Folder: t.TempDir(), Address: "127.0.0.1:0", SyncAlways: true, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	before, address := s.e, s.URL()
	s.mu.Lock()
	err = s.restart()
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.e, before) {
		t.Errorf("settings after the restart: %+v, want %+v", s.e, before)
	}
	if got := s.URL(); got != address {
		t.Errorf("address after the restart: %s, want %s", got, address)
	}
}
