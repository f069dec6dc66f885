package conformance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// most is more than any receiver of callbacks should take.
const most = 33 << 20

// lengths lie about how long a body is, or are right and too large.
func (r *runner) lengths() []probe {
	body := r.fresh()
	with := func(name string, expect expectation, body []byte, lines ...string) probe {
		q := r.post(body, append(lines, r.right(body))...)
		q.noLength = true
		return r.probe(name, expect, "POST, signed, "+plain(strings.Join(lines, "; ")), q)
	}
	n := len(body)
	length := func(text string) string { return "Content-Length: " + text }
	more := with("longer than the body, then the end", refused, body, length(itoa(n+10)))
	more.half = true
	one := with("one byte longer than the body, then the end", refused, body, length(itoa(n+1)))
	one.half = true
	probes := []probe{
		more, one,
		with("shorter than the body", refused, body, length(itoa(n-10))),
		with("0, and a body", refused, body, length("0")),
		with("two that differ", refused, body, length(itoa(n)), length(itoa(n-1))),
		with("two that differ, the right one last", refused, body, length("0"), length(itoa(n))),
		// RFC 9112, section 6.3: refused, or taken for one.
		with("two that are equal", either, body, length(itoa(n)), length(itoa(n))),
		with("a list", either, body, length(itoa(n)+", "+itoa(n))),
		with("a list that differs", refused, body, length(itoa(n)+", "+itoa(n+1))),
		with("none, and a body", refused, body),
	}
	for _, text := range []string{"-1", "-" + itoa(n), "+" + itoa(n), fmt.Sprintf("0x%x", n), fmt.Sprintf("%x", n) + "h", itoa(n) + ".0", itoa(n) + "e0", itoa(n) + " 0",
		"", "abc", `"` + itoa(n) + `"`, "1_0", "184467440737095516" + itoa(n), "9223372036854775808", "²"} {
		probes = append(probes, with("written "+plain(text), refused, body, length(text)))
	}
	huge := r.post(nil, length("9223372036854775807"), r.right(nil))
	huge.noLength = true
	announced := r.post(nil, length(itoa(most)), r.right(nil))
	announced.noLength = true
	for _, c := range []struct {
		name string
		q    request
	}{{"2^63-1 announced, nothing sent", huge}, {"33 MiB announced, nothing sent", announced}} {
		p := r.probe(c.name, refused, "POST, "+c.q.lines[1], c.q)
		p.half = true
		probes = append(probes, p)
	}
	return append(probes, r.flood("33 MiB sent, unsigned", false, r.post(nil)), r.flood("33 MiB sent, the signature of an empty body", false, r.post(nil, r.right(nil))))
}

// flood sends a body without an end that is worth waiting for, with a length or in chunks.
func (r *runner) flood(name string, chunked bool, q request) probe {
	q.noLength = true
	piece := bytes.Repeat([]byte("x"), 64<<10)
	if chunked {
		q.lines = append(q.lines, "Transfer-Encoding: chunked")
		piece = fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece)
	} else {
		q.lines = append(q.lines, "Content-Length: "+itoa(most))
	}
	p := r.probe(name, refused, "POST, "+q.lines[len(q.lines)-1], q)
	p.want = "refused or closed before all of it is read"
	p.run = r.stream(p, piece, most/len(piece))
	return p
}

// stream sends a head and then pieces until the receiver says something or closes.
func (r *runner) stream(p probe, piece []byte, times int) func(context.Context) (string, string) {
	head := p.raw
	return func(ctx context.Context) (string, string) {
		began := time.Now()
		c, err := p.to.dial(ctx)
		if err != nil {
			return plain(err.Error()), "no connection"
		}
		defer c.Close()
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
		_ = c.SetDeadline(began.Add(2 * answerTime))
		done := make(chan seen, 1)
		go func() { done <- read(c, "POST") }()
		sent := make(chan int64, 1)
		go func() {
			n, _ := c.Write(head)
			more, _ := io.Copy(c, io.LimitReader(&repeated{piece: piece}, int64(len(piece)*times)))
			if int(more) == len(piece)*times {
				closeWrite(c)
			}
			sent <- int64(n) + more
		}()
		s := <-done
		s.took = time.Since(began)
		_ = c.Close()
		text := fmt.Sprintf("%s; %.1f MiB were read", r.redact(p, s.String()), float64(<-sent)/(1<<20))
		return text, refused.wrong(s)
	}
}

// repeated reads the same bytes again and again.
type repeated struct {
	piece []byte
	at    int
}

// Read implements io.Reader.
func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.piece[r.at:])
	r.at = (r.at + n) % len(r.piece)
	return n, nil
}

// chunks are bodies in pieces.
func (r *runner) chunks() []probe {
	body := r.fresh()
	n := len(body)
	with := func(name string, expect expectation, sent string) probe {
		q := r.post([]byte(sent), "Transfer-Encoding: chunked", r.right(body))
		q.noLength = true
		p := r.probe(name, expect, plain(short(sent)), q)
		p.body = body
		return p
	}
	const end = "0\r\n\r\n"
	one := fmt.Sprintf("%x\r\n%s\r\n", n, body)
	cut := with("no last chunk", refused, one)
	cut.half = true
	half := with("truncated within a chunk", refused, one[:n/2])
	half.half = true
	size := func(name, size string) probe {
		return with("a size written "+name, refused, size+"\r\n"+string(body)+"\r\n"+end)
	}
	return []probe{
		with("in one piece", either, one+end),
		with("byte by byte", either, byBytes(body)+end),
		with("with an extension", either, fmt.Sprintf("%x;a=b\r\n%s\r\n", n, body)+end),
		with("with a trailer", either, one+"0\r\nX-Other: x\r\n\r\n"),
		with("a length in the trailer", either, one+"0\r\nContent-Length: 5\r\n\r\n"),
		cut, half,
		size("0x", fmt.Sprintf("0x%x", n)), size("with -", fmt.Sprintf("-%x", n)), size("with +", fmt.Sprintf("+%x", n)),
		size("with 17 digits", fmt.Sprintf("1%016x", n)), size("with 300 zeros", strings.Repeat("0", 300)+fmt.Sprintf("%x", n)),
		size("with a g", fmt.Sprintf("%xg", n)), size("empty", ""), size("with an underscore", fmt.Sprintf("%x_", n)),
		size("too small", fmt.Sprintf("%x", n-1)), size("with NUL", fmt.Sprintf("%x\x00", n)),
		with("no line end after a chunk", refused, fmt.Sprintf("%x\r\n%s", n, body)+end),
		with("bare line feeds in an extension", refused, fmt.Sprintf("%x;a\nb\r\n%s\r\n", n, body)+end),
		with("1 MiB of an extension", refused, fmt.Sprintf("%x;", n)+strings.Repeat("a", 1<<20)+"\r\n"+string(body)+"\r\n"+end),
		with("1 MiB of trailers", refused, one+"0\r\n"+strings.Repeat("X-Other: "+strings.Repeat("x", 1000)+"\r\n", 1000)+"\r\n"),
		r.flood("chunks without an end, unsigned", true, r.post(nil)),
		r.flood("chunks without an end, the signature of an empty body", true, r.post(nil, r.right(nil))),
		r.extensions(),
	}
}

// extensions are endless chunks of one byte, each with a long extension.
func (r *runner) extensions() probe {
	q := r.post(nil, "Transfer-Encoding: chunked")
	q.noLength = true
	p := r.probe("chunks of a byte with extensions of 1 KiB, without an end", refused, "POST, 1;xxx…", q)
	p.want = "refused or closed before 33 MiB of it are read"
	piece := []byte("1;" + strings.Repeat("x", 1<<10) + "\r\na\r\n")
	p.run = r.stream(p, piece, most/len(piece))
	return p
}

func byBytes(body []byte) string {
	var b strings.Builder
	for _, c := range body {
		b.WriteString("1\r\n" + string([]byte{c}) + "\r\n")
	}
	return b.String()
}
