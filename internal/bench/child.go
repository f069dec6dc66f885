package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// Generate is the generator's side of Child: it reads a load from in, prepares it, says
// so on out, waits for the word to begin, and writes the result on out. When in ends,
// sending ends, and the result is of the time until then.
func Generate(ctx context.Context, in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	var l Load
	if err := d.Decode(&l); err != nil {
		return fmt.Errorf("reading the load: %w", err)
	}
	g, err := Start(ctx, l)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := e.Encode(signal{Ready: true}); err != nil {
		return fmt.Errorf("reporting that the load is ready: %w", err)
	}
	var begin signal
	if err := d.Decode(&begin); err != nil {
		return fmt.Errorf("waiting for the start signal: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with the process at the latest
		cancel()
	}()
	r, err := g.Measure(ctx)
	if err != nil {
		return err
	}
	return e.Encode(r)
}

// signal is what the two processes say to each other besides load and result.
type signal struct {
	Ready bool `json:"ready,omitempty"`
	Begin bool `json:"begin,omitempty"`
}

// Child is a generator in a process of its own, so that what this process uses is the
// receiver's doing. It is made by Launch, and must be closed.
type Child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	errors bytes.Buffer
}

// Launch runs a command that calls Generate on its standard input and output, and returns
// when the load is ready. The command must end when its input does.
func Launch(ctx context.Context, cmd *exec.Cmd, l Load) (*Child, error) {
	c := &Child{cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err == nil {
		c.in, err = cmd.StdinPipe()
	}
	if err != nil {
		return nil, fmt.Errorf("making pipes to the generator: %w", err)
	}
	c.out, cmd.Stderr = json.NewDecoder(out), &c.errors
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the generator: %w", err)
	}
	err = c.send(l)
	if err == nil {
		var ready signal
		err = c.receive(ctx, &ready)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Measure lets the generator send, and returns its result. If ctx ends before, the result
// is of the time until then.
func (c *Child) Measure(ctx context.Context) (Result, error) {
	var r Result
	if err := c.send(signal{Begin: true}); err != nil {
		return r, err
	}
	err := c.receive(ctx, &r)
	return r, err
}

func (c *Child) send(v any) error {
	if err := json.NewEncoder(c.in).Encode(v); err != nil {
		return fmt.Errorf("writing to the generator: %w", err)
	}
	return nil
}

// receive reads what the generator says. When ctx ends, its input is closed, upon which
// it says what it has.
func (c *Child) receive(ctx context.Context, v any) error {
	defer context.AfterFunc(ctx, func() { _ = c.in.Close() })()
	if err := c.out.Decode(v); err != nil {
		return fmt.Errorf("reading from the generator: %w", err)
	}
	return nil
}

// Close ends the generator. Its error is what the generator complained of.
func (c *Child) Close() error {
	_ = c.in.Close() // closed already if it was broken off
	defer time.AfterFunc(2*grace, func() { _ = c.cmd.Process.Kill() }).Stop()
	err := c.cmd.Wait()
	if said := strings.TrimSpace(c.errors.String()); said != "" {
		return errors.New(said)
	}
	if err != nil {
		return fmt.Errorf("the generator: %w", err)
	}
	return nil
}
