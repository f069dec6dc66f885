package runbook_test

import (
	"testing"

	"receiver/internal/runbook"
)

func TestRunbooksAreRead(t *testing.T) {
	t.Parallel()
	b, there := runbook.Find("ReceiverStoreFull")
	if !there || len(b.Parts) != 4 || b.Parts[0].Label != "Meaning" || b.Parts[3].Label != "Over" {
		t.Errorf("Find = %+v, %v, want the four parts", b, there)
	}
	if got, want := runbook.Meaning("ReceiverStoreFull"), "The embedded store takes no writes, and callbacks are answered 503"; got != want {
		t.Errorf("Meaning = %q, want %q", got, want)
	}
	if _, there := runbook.Find("Runbooks"); there || runbook.Meaning("") != "" {
		t.Error("there is a runbook for no alert")
	}
}
