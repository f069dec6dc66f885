package show

import (
	"testing"

	"receiver/internal/publish/schema"
)

func TestEffect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change schema.Change
		want   string
	}{
		{schema.Change{}, "apply changes it"},
		{schema.Change{Drops: 7}, "apply --drop changes it and deletes 7 stored messages"},
		{schema.Change{Refused: true}, "apply changes it; no receiver starts with the current setting"},
		{schema.Change{Blocked: "copy it", Refused: true}, "not in place: copy it; no receiver starts with the current setting"},
	} {
		if got := effect(tt.change); got != tt.want {
			t.Errorf("effect(%+v) = %q, want %q", tt.change, got, tt.want)
		}
	}
}
