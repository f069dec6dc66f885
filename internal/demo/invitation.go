package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Invitation says what to try while the demonstration runs. With the last step it fits on a
// terminal of 24 lines.
func (d *Demo) Invitation() string {
	self, err := os.Executable()
	if err != nil || strings.Contains(self, "go-build") {
		self = "go run ./cmd/receiver"
	}
	folder, err := filepath.Abs(d.Folder)
	if err != nil {
		folder = d.Folder
	}
	return fmt.Sprintf(`
The demo runs until Ctrl-C. In another terminal, try:

  D=%[2]s; export RECEIVER_CONFIG=$D/config.yaml
  alias receiver=%[1]q
  %-44[3]s # what is known about the job
  receiver audit verify                        # no record was changed
  receiver consumers add orders                # a program of yours reads the events

  # a callback signed as by the platform; send it again, and without -H
  printf '{"id":"7","status":"COMPLETED"}' > body.json
  curl -i -H "$(receiver sign --key-file $D/signature.key body.json)" \
    --data-binary @body.json %[4]s/callbacks/demo

  # %[5]s/readyz   %[5]s/metrics
  # next: docs/tutorial.md
`, self, folder, "receiver jobs show "+d.submitted.Job.ID, d.Receiver.PublicURL(), d.Receiver.PrivateURL())
}
