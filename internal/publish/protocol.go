package publish

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"receiver/internal/job"
)

// The NATS client protocol, as far as a wire needs it.
//
// https://docs.nats.io/reference/reference-protocols/nats-protocol and NATS ADR-4 for headers.

// header is a header that a message gets on its way.
type header struct{ name, value string }

const lineEnd = "\r\n"

// headerSize is how many bytes the headers of a message take; none take none.
func headerSize(h job.Header, more []header) int {
	size := len(h)
	for _, m := range more {
		size += len(m.name) + len(": ") + len(m.value) + len(lineEnd)
	}
	if size == 0 {
		return 0
	}
	return len(headerLine) + len(lineEnd) + size + len(lineEnd)
}

// appendMessage appends a message as a client sends it: PUB, or HPUB if it has headers.
func appendMessage(out []byte, msg *message, reply string, more []header) []byte {
	size := headerSize(msg.header, more)
	if size == 0 {
		out = append(out, "PUB "...)
	} else {
		out = append(out, "HPUB "...)
	}
	out = append(append(out, msg.subject...), ' ')
	if reply != "" {
		out = append(append(out, reply...), ' ')
	}
	if size > 0 {
		out = append(strconv.AppendInt(out, int64(size), 10), ' ')
	}
	out = append(strconv.AppendInt(out, int64(size+len(msg.data)), 10), lineEnd...)
	if size > 0 {
		out = append(append(out, headerLine...), lineEnd...)
		for _, m := range more { // first, so that nothing stands before what the server looks for
			out = append(append(append(append(out, m.name...), ": "...), m.value...), lineEnd...)
		}
		out = append(append(out, msg.header...), lineEnd...)
	}
	return append(append(out, msg.data...), lineEnd...)
}

// incoming is what a server says. Its slices are good until the next one.
type incoming struct {
	ping         bool
	subject      []byte // of a message; nil for everything else
	header, data []byte // of a message
	info         []byte // the JSON of INFO
}

// lineReader reads what a server says.
type lineReader struct {
	r    *bufio.Reader
	body []byte
}

// mostAnswer bounds an answer; acknowledgements are below 1 KiB.
const mostAnswer = 64 << 10

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, mostAnswer)}
}

// errProtocol is what is returned for what is no protocol, or none that a wire asked for.
var errProtocol = errors.New("the server speaks no protocol of ours")

// next reads on. After an error nothing more can be read.
func (l *lineReader) next() (incoming, error) {
	for {
		text, err := l.r.ReadSlice('\n')
		if err != nil {
			return incoming{}, fmt.Errorf("reading what the server says: %w", err)
		}
		verb, args, _ := bytes.Cut(bytes.TrimRight(text, lineEnd), []byte(" "))
		switch string(verb) {
		case "MSG", "HMSG":
			return l.message(args, len(verb) == len("HMSG"))
		case "PING":
			return incoming{ping: true}, nil
		case "INFO":
			return incoming{info: args}, nil
		case "-ERR":
			return incoming{}, fmt.Errorf("the server says %s", args)
		case "PONG", "+OK":
			continue
		}
		return incoming{}, errProtocol
	}
}

// message reads the rest of MSG subject sid [reply] size, or HMSG subject sid [reply] size
// of the headers, size of all.
func (l *lineReader) message(args []byte, headers bool) (incoming, error) {
	fields := bytes.Fields(args)
	numbers := 1
	if headers {
		numbers = 2
	}
	if n := len(fields) - numbers; n != 2 && n != 3 {
		return incoming{}, errProtocol
	}
	size, err := strconv.Atoi(string(fields[len(fields)-1]))
	top := 0
	if err == nil && headers {
		top, err = strconv.Atoi(string(fields[len(fields)-2]))
	}
	if err != nil || size < 0 || size > mostAnswer || top < 0 || top > size {
		return incoming{}, errProtocol
	}
	subject := append(l.body[:0], fields[0]...)
	n := len(subject)
	l.body = append(subject, make([]byte, size+len(lineEnd))...)
	if _, err := io.ReadFull(l.r, l.body[n:]); err != nil {
		return incoming{}, fmt.Errorf("reading a message: %w", err)
	}
	if string(l.body[n+size:]) != lineEnd {
		return incoming{}, errProtocol
	}
	return incoming{subject: l.body[:n], header: l.body[n : n+top], data: l.body[n+top : n+size]}, nil
}

// signOn signs in to a server as the owner of a key, subscribes to the answers under
// prefix, and returns the largest message that the server takes.
func signOn(w io.Writer, r *lineReader, owner nkeys.KeyPair, prefix string) (maxPayload int, err error) {
	in, err := r.next()
	if err != nil {
		return 0, err
	}
	var info struct {
		Nonce      string `json:"nonce"`
		MaxPayload int    `json:"max_payload"`
	}
	if err := json.Unmarshal(in.info, &info); err != nil || info.Nonce == "" {
		return 0, errProtocol
	}
	public, err := owner.PublicKey()
	if err != nil {
		return 0, err
	}
	signature, err := owner.Sign([]byte(info.Nonce))
	if err != nil {
		return 0, err
	}
	options, err := json.Marshal(map[string]any{
		"verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1,
		"name": "receiver publishes", "lang": "go", "version": nats.Version,
		"nkey": public, "sig": base64.RawURLEncoding.EncodeToString(signature),
	})
	if err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(w, "CONNECT %s\r\nSUB %s* 1\r\n", options, prefix)
	return info.MaxPayload, err
}
