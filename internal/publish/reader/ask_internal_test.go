package reader

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// answered is an answer as it is sent: headers and data.
func answered(stream, subject, seq, pending, data string) string {
	return fmt.Sprintf("NATS/1.0\r\nNats-Stream: %s\r\nNats-Subject: %s\r\nNats-Sequence: %s\r\nNats-Time-Stamp: %s\r\n%sNats-Last-Sequence: 0\r\n\r\n%s",
		stream, subject, seq, time.Unix(1e9, 0).UTC().Format(time.RFC3339Nano), pending, data)
}

const (
	single = ""
	behind = "Nats-Num-Pending: 1\r\n"
	ended  = "NATS/1.0 204 EOB\r\nNats-Num-Pending: 0\r\n\r\n"
	cut    = "\x00" // between two answers
)

// arrived is an answer as the client library returns it.
func arrived(b []byte) *nats.Msg {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return &nats.Msg{Data: b}
	}
	header, err := nats.DecodeHeadersMsg(b[:end+4])
	if err != nil {
		return &nats.Msg{Data: b}
	}
	return &nats.Msg{Header: header, Data: b[end+4:]}
}

// The reader takes from any answers to a request for several messages only messages of the stream:
// each of them due, in order, once, and no more than it requested.
func FuzzAnswers(f *testing.F) {
	one, two, three := answered("JOBS", "jobs.a", "1", behind, "x"), answered("JOBS", "jobs.b", "2", behind, ""), answered("JOBS", "jobs.c", "3", behind, "z")
	for _, seed := range []string{
		one + cut + two + cut + three + cut + ended,
		one + cut + one, two + cut + one, one + cut + three + cut + ended, "NATS/1.0 404 Message Not Found\r\n\r\n", ended, "",
		answered("MINE", "jobs.a", "1", behind, ""), answered("JOBS", "jobs.a", "1", single, ""), answered("JOBS", "", "1", behind, ""),
		answered("JOBS", "jobs.a", "18446744073709551615", behind, "") + cut + one, answered("JOBS", "jobs.a", "0", behind, ""),
		answered("JOBS", "jobs.a", "-1", behind, ""), "NATS/1.0\r\nStatus: 404\r\n" + one[len("NATS/1.0\r\n"):],
		"NATS/1.0\r\nNats-Stream: MINE\r\nNats-Sequence: 7\r\n" + one[len("NATS/1.0\r\n"):],
	} {
		f.Add([]byte(seed), uint64(1), uint64(3))
	}
	f.Fuzz(func(t *testing.T, line []byte, from, most uint64) {
		from, most = max(from, 1), max(most, 1) // as a reader requests
		a := answers{stream: "JOBS", next: from, left: most, bytes: maxBytes}
		for _, b := range bytes.Split(line, []byte(cut)) {
			before := len(a.all)
			done, err := a.take(arrived(b))
			if err != nil && len(a.all) > 0 {
				t.Fatalf("%d messages count beside %v", len(a.all), err)
			}
			if err == nil && !done && len(a.all) != before+1 {
				t.Fatal("an answer that is no message and not the end was passed over")
			}
			if done {
				break
			}
		}
		if uint64(len(a.all)) > most {
			t.Fatalf("took %d messages, asked for %d", len(a.all), most)
		}
		due := from
		for _, m := range a.all {
			if m.Sequence < due || m.Subject == "" || m.Time.IsZero() && m.Sequence == 0 {
				t.Fatalf("took sequence %d on %q where %d was due", m.Sequence, m.Subject, due)
			}
			due = m.Sequence + 1
		}
	})
}

// Each row has the answers to one request, and what the reader takes from them.
func TestForeignAnswersAreRefused(t *testing.T) {
	t.Parallel()
	one, two := answered("JOBS", "jobs.a", "1", behind, "x"), answered("JOBS", "jobs.b", "2", behind, "")
	large := answered("JOBS", "jobs.a", "1", behind, string(make([]byte, maxBytes)))
	for name, row := range map[string]struct {
		answers []string
		taken   int
		err     error
	}{
		"two and the end":                          {[]string{one, two, ended}, 2, nil},
		"nothing":                                  {[]string{"NATS/1.0 404 Message Not Found\r\n\r\n"}, 0, nil},
		"one larger than the batch":                {[]string{large, ended}, 1, nil},
		"more behind it":                           {[]string{large, two}, 0, errForeign},
		"one twice":                                {[]string{one, one}, 0, errForeign},
		"out of order":                             {[]string{two, one}, 0, errForeign},
		"of another stream":                        {[]string{one, answered("MINE", "jobs.b", "2", behind, "")}, 0, errForeign},
		"more than was asked for":                  {[]string{one, two, answered("JOBS", "jobs.c", "3", behind, ""), answered("JOBS", "jobs.d", "4", behind, "")}, 0, errForeign},
		"no message":                               {[]string{one, "hello"}, 0, errForeign},
		"a sequence that none has":                 {[]string{answered("JOBS", "jobs.a", "0", behind, "")}, 0, errForeign},
		"a sequence that is too long":              {[]string{answered("JOBS", "jobs.a", "18446744073709551616", behind, "")}, 0, errForeign},
		"the last sequence there can be, and more": {[]string{answered("JOBS", "jobs.a", "18446744073709551615", behind, ""), one}, 1, nil},
		"one alone, of a server before 2.11":       {[]string{answered("JOBS", "jobs.a", "1", single, "")}, 0, errNoBatches},
		"headers of the message's own before":      {[]string{"NATS/1.0\r\nNats-Stream: MINE\r\nNats-Sequence: 7\r\n" + one[len("NATS/1.0\r\n"):], ended}, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := answers{stream: "JOBS", next: 1, left: 3, bytes: maxBytes}
			var err error
			for i, done := 0, false; i < len(row.answers) && !done; i++ {
				done, err = a.take(arrived([]byte(row.answers[i])))
			}
			if len(a.all) != row.taken || !errors.Is(err, row.err) {
				t.Errorf("took %d messages, %v, want %d, %v", len(a.all), err, row.taken, row.err)
			}
		})
	}
}
