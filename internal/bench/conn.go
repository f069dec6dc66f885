package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// conn is one connection to the receiver. It reads of an answer what is counted and
// nothing else: what the generator takes of the machine, the receiver does not have.
type conn struct {
	nc      net.Conn
	in      *bufio.Reader
	body    []byte
	closing bool // the receiver has said that it closes the connection
}

// maxAnswer bounds the body of an answer; those of a receiver are far below.
const maxAnswer = 1 << 20

func dial(ctx context.Context, address string, until time.Time) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the receiver: %w", err)
	}
	// One deadline for the whole life: a receiver that hangs must not hang us.
	if err := nc.SetDeadline(until); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return &conn{nc: nc, in: bufio.NewReader(nc)}, nil
}

// do sends a request and reads the answer: its status and its body, which is good until
// the next call.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.nc.Write(request); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

func (c *conn) answer() (status int, body []byte, err error) {
	status, length, chunked, err := c.head()
	if err != nil {
		return 0, nil, err
	}
	switch {
	case chunked:
		c.body, err = c.chunks()
	case length > maxAnswer:
		err = errTooLong
	default:
		c.body = append(c.body[:0], make([]byte, length)...)
		_, err = io.ReadFull(c.in, c.body)
	}
	return status, c.body, err
}

var (
	errTooLong = errors.New("the answer is too long for a receiver")
	errNotHTTP = errors.New("the answer is not HTTP/1.1")
)

// head reads the status line and the headers.
func (c *conn) head() (status, length int, chunked bool, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, false, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, false, errNotHTTP
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, false, errNotHTTP
	}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return status, length, chunked, nil
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return 0, 0, false, errNotHTTP
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, 0, false, errNotHTTP
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			c.closing = bytes.EqualFold(value, []byte("close"))
		}
	}
}

// chunks reads a body of unknown length, and the empty trailer behind it.
func (c *conn) chunks() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(c.in), maxAnswer))
	if err != nil {
		return nil, err
	}
	if line, err := c.in.ReadSlice('\n'); err != nil || len(bytes.TrimSpace(line)) > 0 {
		return nil, errNotHTTP
	}
	return body, nil
}
