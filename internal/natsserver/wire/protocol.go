package wire

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
)

// The NATS client protocol, as far as a Conn needs it.
//
// https://docs.nats.io/reference/reference-protocols/nats-protocol and NATS ADR-4 for headers.

// Message is one message to be published.
type Message struct {
	Subject string
	// Header are its headers as sent, a line `name: value` for each, ended by CR LF; More are
	// further headers, which come before them.
	Header, More []byte
	Data         []byte
}

const (
	lineEnd = "\r\n"
	// headerStart opens a block of headers.
	headerStart = "NATS/1.0" + lineEnd
)

// headerSize is the size of the headers in bytes; 0 if there are none.
func (m Message) headerSize() int {
	size := len(m.Header) + len(m.More)
	if size == 0 {
		return 0
	}
	return len(headerStart) + size + len(lineEnd)
}

// appendTo appends the message as a client sends it: PUB, or HPUB if it has headers.
func (m Message) appendTo(out []byte, reply string) []byte {
	size := m.headerSize()
	if size == 0 {
		out = append(out, "PUB "...)
	} else {
		out = append(out, "HPUB "...)
	}
	out = append(append(out, m.Subject...), ' ')
	if reply != "" {
		out = append(append(out, reply...), ' ')
	}
	if size > 0 {
		out = append(strconv.AppendInt(out, int64(size), 10), ' ')
	}
	out = append(strconv.AppendInt(out, int64(size+len(m.Data)), 10), lineEnd...)
	if size > 0 {
		out = append(append(out, headerStart...), m.More...) // first, so that the server finds its headers at the start
		out = append(append(out, m.Header...), lineEnd...)
	}
	return append(append(out, m.Data...), lineEnd...)
}

// incoming is what the server sends. Its slices are valid until the next call.
type incoming struct {
	ping         bool
	subject      []byte // of a message; nil for everything else
	header, data []byte // of a message
	info         []byte // the JSON of INFO
}

// lineReader reads what the server sends.
type lineReader struct {
	r    *bufio.Reader
	body []byte
}

// maxAnswer bounds an answer; acknowledgements are below 1 KiB.
const maxAnswer = 64 << 10

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, maxAnswer)}
}

// errProtocol is returned for bytes that are no protocol, or that a Conn did not ask for.
var errProtocol = errors.New("the server sent an unexpected protocol message")

// next reads on. After an error nothing more can be read.
func (l *lineReader) next() (incoming, error) {
	for {
		text, err := l.r.ReadSlice('\n')
		if err != nil {
			return incoming{}, fmt.Errorf("reading from the server: %w", err)
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
			return incoming{}, fmt.Errorf("the server reports %s", args)
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
	if err != nil || size < 0 || size > maxAnswer || top < 0 || top > size {
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

// signIn signs in to a server as the owner of a key, subscribes to the answers under
// prefix, and returns the largest message that the server takes.
func signIn(w io.Writer, r *lineReader, owner nkeys.KeyPair, prefix string) (maxPayload int, err error) {
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
