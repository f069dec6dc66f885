package job

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Action is something that somebody did to an installation rather than something that
// was received by it. It is one message of the stream ACTIONS, on `actions.<what>`; its
// JSON is the message's data.
type Action struct {
	// The action: one of the constants below, or another word of this program.
	What string `json:"what"`
	// Time is when it was about to be done, by the clock of who did it.
	Time time.Time `json:"time"`
	// Operator is who did it, as they said or as the system calls them; empty for what
	// the program does by itself.
	Operator string `json:"operator,omitempty"`
	// Reason is why, in the operator's words.
	Reason string `json:"reason,omitempty"`
	// Details are the facts, a JSON object; none of them is a secret.
	Details json.RawMessage `json:"details,omitempty"`
}

// The actions.
const (
	// ActionStart: a receiver started, with the configuration that its details tell.
	ActionStart = "start"
	// ActionReload: keys or sources were put into force while it ran.
	ActionReload = "reload"
	// ActionCancel: the platform was asked to cancel a job.
	ActionCancel = "cancel"
	// ActionRelease: the event of a quarantined callback was stored.
	ActionRelease = "release"
	// ActionReplay: an event was published once more.
	ActionReplay = "replay"
	// ActionReverify: callbacks refused for a wrong key were accepted after the key was corrected.
	ActionReverify = "reverify"
	// ActionExplain: the signature of a stored callback is checked with the keys of today.
	ActionExplain = "explain"
	// ActionExport: records were written into an archive.
	ActionExport = "export"
	// ActionRename: the logs over the streams go on, or begin anew, under another name.
	ActionRename = "rename"
	// ActionStreams: limits or copies of streams were changed, as its details plan.
	ActionStreams = "streams"
	// ActionTokens: tokens of the private listener were added or removed.
	ActionTokens = "tokens"
	// ActionUse: a token of the private listener is about to be used for more than reading, or,
	// with a status in its details, was.
	ActionUse = "use"
	// ActionMend: what was damaged was left out of the store's files. It is recorded when it
	// is done, since there is no store to record it in before.
	ActionMend = "mend"
	// ActionConsumerAdd: somebody was admitted to read events from the embedded server.
	ActionConsumerAdd = "consumer_add"
	// ActionSinkReplay: events that a sink did not accept are posted to it again.
	ActionSinkReplay = "sink_replay"
	// ActionConsumerRemove: somebody was not admitted any more.
	ActionConsumerRemove = "consumer_remove"
)

// Actions are the words of all actions of this version.
var Actions = []string{
	ActionStart, ActionReload, ActionCancel, ActionRelease, ActionReplay, ActionReverify, ActionExplain, ActionExport, ActionRename, ActionStreams,
	ActionTokens, ActionUse, ActionMend, ActionConsumerAdd, ActionSinkReplay, ActionConsumerRemove,
}

var actionWord = regexp.MustCompile(`^[a-z_]{1,32}$`)

// Subject returns `actions.<what>`.
func (a Action) Subject() string { return ActionsPrefix + a.What }

// Data returns the payload of the action's message. It is an error if What is no word of
// lower case letters and underscores, or Details are no JSON object.
func (a Action) Data() ([]byte, error) {
	if !actionWord.MatchString(a.What) {
		return nil, fmt.Errorf("action %q is not one word of a-z and _", a.What)
	}
	if len(a.Details) > 0 && !bytes.HasPrefix(bytes.TrimSpace(a.Details), []byte("{")) {
		return nil, fmt.Errorf("the details of action %s are not a JSON object", a.What)
	}
	a.Time = a.Time.UTC()
	data, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("encoding action %s: %w", a.What, err)
	}
	return data, nil
}

// ParseAction undoes Subject and Data. It returns an error for a message that this program
// did not write.
func ParseAction(subject string, data []byte) (Action, error) {
	what, ok := strings.CutPrefix(subject, ActionsPrefix)
	if !ok || !actionWord.MatchString(what) {
		return Action{}, fmt.Errorf("subject %q is not actions.<what>", subject)
	}
	var a Action
	if err := json.Unmarshal(data, &a); err != nil {
		return Action{}, fmt.Errorf("message on %q: %w", subject, err)
	}
	if a.What != what {
		return Action{}, fmt.Errorf("message on %q is about action %q", subject, a.What)
	}
	return a, nil
}
