package main_test

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// trace is what strace -f -y wrote down of a receiver, each call at the lines where it
// began and ended. A call begins after strace wrote its beginning, and the thread goes on
// after strace wrote its end; so what one call waited for ended on an earlier line.
type trace struct {
	writes map[string][]call // to the blocks of JOBS, by the subjects of the events in them
	syncs  map[string][]call // by path
	acks   []call            // answers 200 that name an event
	since  int               // events written to JOBS since its last fsync
	most   int               // events that one fsync was for
}

type call struct {
	began, ended  int
	path, subject string
}

// jobsBlocks is in the paths of the files that hold the events.
const jobsBlocks = "/streams/JOBS/msgs/"

var (
	straceCall   = regexp.MustCompile(`^(\d+) +(\w+)\((\d+)<([^>]*)>`)
	straceResume = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	straceWhole  = regexp.MustCompile(`, (\d+)(?:, \d+)?\) += (\d+)$`) // of a write: the requested and the written length
	eventSubject = regexp.MustCompile(`jobs\.[a-z0-9-]+\.[A-Za-z0-9_~-]+\.finished`)
)

// readTrace reads the output of strace. Its error names a line that is not understood.
func readTrace(from io.Reader) (*trace, error) {
	tr := &trace{writes: map[string][]call{}, syncs: map[string][]call{}}
	type half struct {
		text  string
		began int
	}
	open := map[string]half{} // by thread
	lines := bufio.NewReaderSize(from, 1<<20)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			return tr, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading line %d: %w", n, err)
		}
		line = strings.TrimSuffix(line, "\n")
		thread, _, _ := strings.Cut(line, " ")
		if first, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			open[thread] = half{first, n}
			continue
		}
		began := n
		if m := straceResume.FindString(line); m != "" {
			line, began = open[thread].text+line[len(m):], open[thread].began
			delete(open, thread)
		}
		tr.add(line, began, n)
	}
}

// add notes one call with its result.
func (tr *trace) add(text string, began, ended int) {
	m := straceCall.FindStringSubmatch(text)
	if m == nil {
		return // a signal, an exit, or a call on no file
	}
	name, path := m[2], m[4]
	c := call{began: began, ended: ended, path: path}
	switch {
	case name == "fsync" || name == "fdatasync":
		if strings.HasSuffix(text, " = 0") {
			tr.syncs[path] = append(tr.syncs[path], c)
		}
		if strings.Contains(path, jobsBlocks) {
			tr.most, tr.since = max(tr.most, tr.since), 0
		}
	case strings.Contains(text, `"HTTP/1.1 200 OK\r\n`):
		if c.subject = eventSubject.FindString(text); c.subject != "" {
			tr.acks = append(tr.acks, c)
		}
	case strings.Contains(path, jobsBlocks) && strings.HasSuffix(path, ".blk"):
		if m := straceWhole.FindStringSubmatch(text); m == nil || m[1] != m[2] {
			return // not written whole
		}
		for _, subject := range eventSubject.FindAllString(text, -1) {
			tr.since++
			tr.writes[subject] = append(tr.writes[subject], c)
		}
	}
}

// judge returns how many answers 200 there were, the most events that one fsync was
// for, and what is to be said of each answer that began before the end of an fsync of its event.
func (tr *trace) judge() (acks, most int, early []string) {
	for _, ack := range tr.acks {
		if !tr.durable(ack) {
			early = append(early, fmt.Sprintf("the answer about %s at line %d, written at %v", ack.subject, ack.began, tr.writes[ack.subject]))
		}
	}
	return len(tr.acks), tr.most, early
}

func (tr *trace) durable(ack call) bool {
	for _, w := range tr.writes[ack.subject] {
		for _, s := range tr.syncs[w.path] {
			if w.ended < s.began && s.ended < ack.began {
				return true
			}
		}
	}
	return false
}

func TestJudgeOfTraces(t *testing.T) {
	t.Parallel()
	const (
		blk   = "7 pwrite64(5</d/streams/JOBS/msgs/1.blk>, \"..jobs.demo.1.finished..\", 9, 0) = 9\n"
		sync  = "7 fsync(5</d/streams/JOBS/msgs/1.blk>) = 0\n"
		reply = "8 write(6<socket:[1]>, \"HTTP/1.1 200 OK\\r\\n..jobs.demo.1.finished..\", 9) = 9\n"
	)
	for what, c := range map[string]struct {
		text  string
		early int
	}{
		"in order":               {blk + sync + reply, 0},
		"no fsync":               {blk + reply, 1},
		"fsync too late":         {blk + reply + sync, 1},
		"fsync too early":        {sync + blk + reply, 1},
		"fsync of another file":  {blk + strings.Replace(sync, "1.blk", "2.blk", 1) + reply, 1},
		"fsync failed":           {blk + strings.Replace(sync, "= 0", "= -1 EIO (Input/output error)", 1) + reply, 1},
		"written in part":        {strings.Replace(blk, "= 9", "= 8", 1) + sync + reply, 1},
		"never written":          {sync + reply, 1},
		"written to a batch":     {strings.Replace(blk, "JOBS/msgs", "JOBS/batches/x/msgs", 1) + sync + reply, 1},
		"another event":          {strings.Replace(blk, "demo.1", "demo.2", 1) + sync + reply, 1},
		"fsync ends too late":    {blk + "7 fsync(5</d/streams/JOBS/msgs/1.blk> <unfinished ...>\n" + reply + "7 <... fsync resumed>) = 0\n", 1},
		"fsync begins too early": {"7 fsync(5</d/streams/JOBS/msgs/1.blk> <unfinished ...>\n" + strings.Replace(blk, "7", "9", 1) + "7 <... fsync resumed>) = 0\n" + reply, 1},
		"other calls between": {blk + "7 fsync(5</d/streams/JOBS/msgs/1.blk> <unfinished ...>\n8 write(1</dev/null>, \"x\", 1) = 1\n" +
			"7 <... fsync resumed>) = 0\n" + reply, 0},
	} {
		tr, err := readTrace(strings.NewReader(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if acks, _, early := tr.judge(); acks != 1 || len(early) != c.early {
			t.Errorf("%s: judge = %d answers, %d before their fsync, want 1 and %d", what, acks, len(early), c.early)
		}
	}
}
