package records

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"receiver/internal/auditlog"
	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/verify"
	"receiver/internal/words"
)

// Verdicts are those of entries; that of an action is among those of a query for actions.
var Verdicts = []string{
	auditlog.Accepted, auditlog.Unrecognised, auditlog.Refused, job.Duplicate, job.Late, job.Quarantined, job.Unconfirmed,
}

// refusals are the reasons of the verdict refused.
var refusals = []string{
	string(verify.Missing), string(verify.Ambiguous), string(verify.Malformed), string(verify.UnsupportedAlgorithm), string(verify.Mismatch),
	callback.MissingToken, callback.MismatchToken, callback.BadCredentials, job.UnknownSource, job.WrongPath, job.WrongMethod, job.Encoded,
}

// Reasons are those of the verdicts refused and unrecognised.
var Reasons = append(slices.Clone(refusals),
	job.ErrNotJSON.Error(), job.ErrTrailing.Error(), job.ErrDuplicateKey.Error(), job.ErrTooDeep.Error(), job.ErrEvent.Error(), job.ErrNoID.Error(), job.ErrNoStatus.Error())

// checkWords finds verdicts and reasons that no entry has. The reason of an action is an
// operator's.
func (q *Query) checkWords() error {
	verdicts := Verdicts
	if q.Actions {
		verdicts = append(slices.Clone(verdicts), auditlog.Action)
	}
	for _, v := range q.Filter.Verdicts { // the reason of a refusal says the verdict
		if err := words.Check(v, slices.Concat(verdicts, Reasons)); err != nil {
			return fmt.Errorf("verdict %w", err)
		}
	}
	for _, what := range q.Filter.Actions {
		if err := words.Check(what, job.Actions); err != nil {
			return fmt.Errorf("action %w", err)
		}
	}
	for _, r := range q.Filter.Reasons {
		if err := words.Check(r, Reasons); err != nil && !q.Actions {
			return fmt.Errorf("reason %w", err)
		}
	}
	return nil
}

// The forms of the subjects that events and attempts are stored on.
const (
	jobForm     = "jobs.<source>.<job>.<kind>"
	attemptForm = "attempts.<source>.<verdict>"
)

// CheckSubject returns why a subject with NATS wildcards matches nothing that is ever stored in
// JOBS or, with attempts, in ATTEMPTS. It does not look at the source: CheckSource does.
func CheckSubject(subject string, attempts bool) error {
	tokens := strings.Split(subject, ".")
	for i, token := range tokens {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") && token != "*" && (token != ">" || i < len(tokens)-1) {
			return fmt.Errorf("%q is no subject: * stands for a whole token, and > for all that follow", subject)
		}
	}
	form, last := strings.Split(jobForm, "."), words.Strings(job.Kinds)
	beginnings := []string{"jobs"}
	if attempts {
		beginnings = append(beginnings, "attempts")
	}
	if attempts && tokens[0] == "attempts" {
		form, last = strings.Split(attemptForm, "."), append(slices.Clone(refusals), job.Duplicate, job.Late, job.Quarantined, job.Unconfirmed)
	}
	switch open := tokens[len(tokens)-1] == ">"; {
	case tokens[0] != "*" && tokens[0] != ">" && !slices.Contains(beginnings, tokens[0]):
		return fmt.Errorf("%q: %w", subject, words.Check(tokens[0], beginnings))
	case len(tokens) == 3 && form[0] == "jobs" && tokens[2] == string(job.Unrecognised):
		return nil // as earlier versions stored it
	case len(tokens) > len(form) || !open && len(tokens) < len(form):
		return fmt.Errorf("%q matches nothing, because subjects have the form %s; * stands for any token, and > for all that follow", subject, strings.Join(form, "."))
	case len(tokens) == len(form) && !open && tokens[len(form)-1] != "*":
		if err := words.Check(tokens[len(form)-1], last); err != nil {
			return fmt.Errorf("%q: the %s %w", subject, strings.Trim(form[len(form)-1], "<>"), err)
		}
	}
	return nil
}

// ErrUnknownSource is in the chain if a source is neither configured nor recorded.
var ErrUnknownSource = errors.New("the source is not known")

// CheckSource returns an error if the source that a subject names is neither configured nor has
// anything recorded: it may have been configured before.
func CheckSource(ctx context.Context, bus *publish.Store, subject string, configured []string) error {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 2 || tokens[1] == "*" || tokens[1] == ">" || tokens[1] == job.NoSource {
		return nil
	}
	unknown := words.Check(tokens[1], configured)
	if unknown == nil {
		return nil
	}
	for _, err := range bus.Messages(ctx, publish.Watch{Subjects: []string{tokens[0] + "." + tokens[1] + ".>"}}) {
		return err // there is something
	}
	return fmt.Errorf("%w: %w", ErrUnknownSource, unknown)
}
