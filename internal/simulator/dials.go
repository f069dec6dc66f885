package simulator

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dial is one name of the text form: how it is set and how a set one is written.
type dial struct {
	name, takes string
	set         func(f *Faults, value string) error
	get         func(f Faults) []string // values to write, none when unset
}

// dials are all there are, in the order in which String writes them.
func dials() []dial {
	return []dial{
		{"callback", "once | never | late:<duration> | twice | times:<n> | early", setCallback, getCallback},
		{"signature", "right | wrong_key[:<n>] | forged[:<n>] | none[:<n>], n: first attempts only", setSignature, getSignature},
		wordDial("keys", "v1 | v3", func(f *Faults) *string { return &f.Keys }, oneOf("v1", "v3")),
		wordDial("id", "string | number | big", func(f *Faults) *string { return &f.ID }, oneOf("string", "number", "big")),
		{"status", "<final status, verbatim>", setStatus, func(f Faults) []string { return given(f.Status) }},
		wordDial("progress", "[<status> | none], RUNNING when bare", func(f *Faults) *string { return &f.Progress }, statusOr("RUNNING")),
		wordDial("conflict", "[<status> | none], another than the first when bare", func(f *Faults) *string { return &f.Conflict }, statusOr("other")),
		{"failed", "<n> | all", setFailed, getFailed},
		wordDial("post", "<code> | drop | lost | none", func(f *Faults) *string { return &f.Post }, postWord),
		{"http", "<code>[:<n> | :all] | drop[:<n> | :all], may be repeated", addAnswer, getAnswers},
		{"html", "(bare)", setHTML, getHTML},
		durationDial("retry_after", func(f *Faults) *time.Duration { return &f.RetryAfter }),
		durationDial("slow", func(f *Faults) *time.Duration { return &f.Slow }),
		durationDial("callback_timeout", func(f *Faults) *time.Duration { return &f.Timeout }),
		{"mix", "[<dial>+<dial>/<dial>…], one alternative per job, every fault when bare", setMix, getMix},
		{"rate", "<chance of a draw, above 0, to 1>", setRate, getRate},
	}
}

// wordDial is a dial kept as one checked word.
func wordDial(name, takes string, at func(*Faults) *string, check func(string) (string, error)) dial {
	return dial{name, takes,
		func(f *Faults, v string) (err error) { *at(f), err = check(v); return err },
		func(f Faults) []string { return given(*at(&f)) },
	}
}

func durationDial(name string, at func(*Faults) *time.Duration) dial {
	return dial{name, "<duration>",
		func(f *Faults, v string) (err error) { *at(f), err = duration(v); return err },
		func(f Faults) []string {
			if *at(&f) == 0 {
				return nil
			}
			return []string{at(&f).String()}
		},
	}
}

func given(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func oneOf(words ...string) func(string) (string, error) {
	return func(v string) (string, error) {
		if !slices.Contains(words, v) {
			return "", fmt.Errorf("takes %s", strings.Join(words, " or "))
		}
		return v, nil
	}
}

var statusShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_ -]{0,39}$`)

func statusOr(bare string) func(string) (string, error) {
	return func(v string) (string, error) {
		if v == "" {
			return bare, nil
		}
		if !statusShape.MatchString(v) {
			return "", errors.New("a status begins with a letter, then letters, digits, _ - and spaces, 40 at most")
		}
		return v, nil
	}
}

// setStatus reads "v1" and "v3" as the names of the status body, which no status is called.
func setStatus(f *Faults, v string) (err error) {
	if v == "v1" || v == "v3" {
		f.Keys = v
		return nil
	}
	if v == "" {
		return errors.New("takes the final status")
	}
	f.Status, err = statusOr("")(v)
	return err
}

func duration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > 30*24*time.Hour {
		return 0, errors.New("takes a duration above 0 and up to 720h, such as 250ms or 2h")
	}
	return d, nil
}

func number(v string, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("takes a whole number from 1 to %d", most)
	}
	return n, nil
}

func setCallback(f *Faults, v string) (err error) {
	mode, arg, has := strings.Cut(v, ":")
	c := Callback{Mode: mode}
	switch {
	case mode == "late" && has:
		c.Late, err = duration(arg)
	case mode == "times" && has:
		c.Times, err = number(arg, 1000)
	case v == "twice":
		c = Callback{Mode: "times", Times: 2}
	case !slices.Contains([]string{"once", "never", "early"}, v):
		err = errors.New("takes once, never, late:<duration>, twice, times:<n> or early")
	}
	f.Callback = c
	return err
}

func getCallback(f Faults) []string {
	switch f.Callback.Mode {
	case "late":
		return []string{"late:" + f.Callback.Late.String()}
	case "times":
		return []string{"times:" + strconv.Itoa(f.Callback.Times)}
	}
	return given(f.Callback.Mode)
}

func setSignature(f *Faults, v string) (err error) {
	mode, arg, has := strings.Cut(v, ":")
	s := Signature{Mode: mode}
	if has {
		s.Attempts, err = number(arg, 1000)
	}
	if !slices.Contains([]string{"right", "wrong_key", "forged", none}, mode) {
		err = errors.New("takes right, wrong_key, forged or none, and perhaps :<n>")
	}
	f.Signature = s
	return err
}

func getSignature(f Faults) []string {
	if f.Signature.Attempts > 0 {
		return []string{f.Signature.Mode + ":" + strconv.Itoa(f.Signature.Attempts)}
	}
	return given(f.Signature.Mode)
}

func setFailed(f *Faults, v string) (err error) {
	if f.Failed = AllRows; v != "all" {
		f.Failed, err = number(v, 1<<30)
	}
	return err
}

func getFailed(f Faults) []string {
	switch f.Failed {
	case 0:
		return nil
	case AllRows:
		return []string{"all"}
	}
	return []string{strconv.Itoa(f.Failed)}
}
