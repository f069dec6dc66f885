package records

import (
	"errors"
	"strings"

	"receiver/api"
	"receiver/internal/job"
)

// Following returns what GET /v1/events is asked for to have the events on a subject with NATS
// wildcards, and which of their subjects are wanted.
func Following(subject string) (p api.FollowEventsParams, wanted func(subject string) bool, err error) {
	tokens := strings.Split(subject, ".")
	if tokens[0]+"." != job.JobsPrefix {
		return p, nil, errors.New("must begin with jobs. by HTTP; use `receiver audit list` for refused callbacks")
	}
	if len(tokens) > 1 && tokens[1] != "*" && tokens[1] != ">" {
		p.Source = []string{tokens[1]}
	}
	if kind := tokens[len(tokens)-1]; len(tokens) == 4 && kind != "*" && kind != ">" {
		p.Kind = []job.Kind{job.Kind(kind)}
	}
	return p, func(subject string) bool { return matches(tokens, strings.Split(subject, ".")) }, nil
}

// matches reports whether the tokens of a pattern match those of a subject.
func matches(pattern, subject []string) bool {
	for i, token := range pattern {
		switch {
		case token == ">":
			return len(subject) > i
		case len(subject) <= i || token != "*" && token != subject[i]:
			return false
		}
	}
	return len(subject) == len(pattern)
}
