package job

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// MaxID is the longest job id in bytes that is taken for one. Longer ids are not
// known from the platform and would make subjects that NATS is not made for.
const MaxID = 256

// ValidSource reports whether name can be the name of a source: one to 32 of the characters a to z,
// 0 to 9 and dash. Such a name is a subject token without encoding.
func ValidSource(name string) bool { return sourceName.MatchString(name) }

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

var sourceName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// The beginnings of the subjects of each stream.
const (
	JobsPrefix        = "jobs."
	AttemptsPrefix    = "attempts."
	ActionsPrefix     = "actions."
	watchPrefix       = "watch."
	submissionsPrefix = "submissions."
	replaysPrefix     = "replays."
	sinksPrefix       = "sinks."
	checkpointsPrefix = "checkpoints."
)

// The patterns that match all subjects of a stream.
const (
	AllJobs        = JobsPrefix + ">"
	AllAttempts    = AttemptsPrefix + ">"
	AllActions     = ActionsPrefix + ">"
	AllWatches     = watchPrefix + ">"
	AllSubmissions = submissionsPrefix + ">"
	AllReplays     = replaysPrefix + ">"
	AllSinks       = sinksPrefix + ">"
	AllCheckpoints = checkpointsPrefix + ">"
)

// Pattern returns the pattern of the subjects of a source, a job and a kind of event; each
// that is empty may be any.
func Pattern(source, id string, k Kind) string {
	token := "*"
	if id != "" {
		token = Token(id)
	}
	return JobsPrefix + cmp.Or(source, "*") + "." + token + "." + cmp.Or(string(k), "*")
}

// AttemptPattern returns the pattern of the subjects of all attempts with a verdict.
func AttemptPattern(verdict string) string { return AttemptsPrefix + "*." + verdict }

// SubmissionSubject returns `submissions.<source>.<name>`.
func SubmissionSubject(source, name string) string {
	return submissionsPrefix + source + "." + Token(name)
}

// ReplaySubject returns `replays.` and the subject of an event that is published once more.
func ReplaySubject(event string) string { return replaysPrefix + event }

// CheckpointSubject returns `checkpoints.<name>.<stream>`.
func CheckpointSubject(name, stream string) string { return checkpointsPrefix + name + "." + stream }

// Subject returns `jobs.<source>.<job>.<kind>`. For the kind Unrecognised, which belongs to
// no job, the id is the SHA-256 of the body in hexadecimal, as BodySHA256 gives it. Without
// one it is `jobs.<source>.unrecognised`, on which earlier versions stored all of that kind.
func Subject(source, id string, k Kind) string {
	if k == Unrecognised && id == "" {
		return JobsPrefix + source + "." + string(k)
	}
	return JobsPrefix + source + "." + Token(id) + "." + string(k)
}

// ParseSubject undoes Subject. Its error says what is wrong with a subject that Subject
// cannot have made.
func ParseSubject(subject string) (source, id string, k Kind, err error) {
	parts := strings.Split(subject, ".")
	if len(parts) < 3 || len(parts) > 4 || parts[0]+"." != JobsPrefix || !ValidSource(parts[1]) {
		return "", "", "", fmt.Errorf("subject %q is not jobs.<source>.<job>.<kind>", subject)
	}
	source, k = parts[1], Kind(parts[len(parts)-1])
	bare := len(parts) == 3
	if !k.valid() || bare && k != Unrecognised {
		return "", "", "", fmt.Errorf("subject %q does not end in a kind of event", subject)
	}
	if bare {
		return source, "", k, nil
	}
	if k == Unrecognised && !digest.MatchString(parts[2]) {
		return "", "", "", fmt.Errorf("subject %q: token %q is not the SHA-256 of a body", subject, parts[2])
	}
	if id, err = parseToken(parts[2]); err != nil {
		return "", "", "", fmt.Errorf("subject %q: %w", subject, err)
	}
	return source, id, k, nil
}

// Token returns the id as one subject token: unchanged if it consists of letters, digits, `_` and
// `-` only and without `Nats-`, else `~` and the unpadded base64url of its bytes. So no id from
// outside can add a token, a wildcard or a space to a subject, or the name of a header that the
// server acts on to a header, and no two ids share a token.
//
// An id that is longer than MaxID is none, but may be asked for. Its token, `~~` and its SHA-256,
// is one that no event has: a server closes the connection of a client that names a longer subject.
func Token(id string) string {
	if len(id) > MaxID {
		return fmt.Sprintf("~~%x", sha256.Sum256([]byte(id)))
	}
	if plain(id) {
		return id
	}
	return "~" + base64.RawURLEncoding.EncodeToString([]byte(id))
}

func parseToken(token string) (string, error) {
	encoded, ok := strings.CutPrefix(token, "~")
	if !ok {
		if !plain(token) {
			return "", fmt.Errorf("token %q is not a job id", token)
		}
		return token, nil
	}
	id, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || Token(string(id)) != token {
		return "", fmt.Errorf("token %q is not the encoding of a job id", token)
	}
	return string(id), nil
}

func plain(id string) bool {
	if id == "" || strings.Contains(id, ServerPrefix) {
		return false
	}
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
