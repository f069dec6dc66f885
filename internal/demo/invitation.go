package demo

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Invitation says what to try while the demonstration runs; self is how to run this program.
func (d *Demo) Invitation(self string) string {
	return fmt.Sprintf(`
The demo runs until Ctrl-C. In another terminal, try:

  # send a callback that is signed as by the platform
  printf '{"id":"7","status":"COMPLETED","recordsCount":1,"recordsFailedCount":0}' > body.json
  curl -si -H "$(%[1]s sign --key-file %[2]s body.json)" --data-binary @body.json %[3]s/callbacks/demo

  # send it again, and send one without a signature
  curl -si -H "$(%[1]s sign --key-file %[2]s body.json)" --data-binary @body.json %[3]s/callbacks/demo
  curl -si --data-binary @body.json %[3]s/callbacks/demo

  # print the events; read them as a consumer, with the nats command and in Go
  %[1]s --config %[4]s events watch --since 1h
  %[5]s
  %[8]s

  # verify that no record was changed
  %[1]s --config %[4]s audit verify

public  %[3]s   private %[6]s (/readyz, /metrics)   platform %[7]s
`, self, filepath.Join(d.Folder, "signature.key"), d.Receiver.PublicURL(), filepath.Join(d.Folder, configFile), d.Consumer().Command(),
		d.Receiver.PrivateURL(), d.Platform.URL, strings.ReplaceAll(strings.TrimSpace(d.Consumer().Go()), "\n", "\n  "))
}
