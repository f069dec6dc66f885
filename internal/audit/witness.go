package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

var (
	// ErrWitness is returned when a witness cannot be asked or its answer is not understood.
	// Try again with a later checkpoint.
	ErrWitness = errors.New("witness did not cosign")

	// ErrWitnessRefused is returned when a witness says that the checkpoint contradicts what it
	// has cosigned, or that it does not know the log or its key. Unless the witness was set up
	// wrongly this is the sign of a fork: verify the log, and stop sealing until it is clear.
	ErrWitnessRefused = errors.New("witness refused the checkpoint")

	// ErrWitnessAhead is returned when a witness has cosigned a larger tree than the
	// checkpoint's. Another replica has sealed more; or this log was rolled back.
	ErrWitnessAhead = errors.New("witness has cosigned a larger tree")
)

const (
	witnessTimeout = 10 * time.Second
	maxWitnessBody = 64 << 10
)

// Witness asks one witness for cosignatures on any number of logs. C2SP: tlog-witness, add-checkpoint. Its
// methods may be called concurrently.
type Witness struct {
	url    string
	key    note.Verifier
	client *http.Client

	mu    sync.Mutex
	sizes map[string]int64 // of the largest tree that it is known to have cosigned, by origin
}

// NewWitness returns the witness with this submission prefix and verifier key. A nil client
// means one of its own with a timeout of ten seconds.
func NewWitness(prefix, vkey string, client *http.Client) (*Witness, error) {
	key, err := NewCosignatureVerifier(vkey)
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = &http.Client{Timeout: witnessTimeout}
	}
	return &Witness{
		url: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", key: key, client: client, sizes: make(map[string]int64),
	}, nil
}

// Name returns the witness's name, as its key has it.
func (w *Witness) Name() string { return w.key.Name() }

// Cosign asks for a cosignature on a checkpoint of l and returns the checkpoint with it. It
// is verified; what the log's keys say does not matter for that.
func (w *Witness) Cosign(ctx context.Context, l *Log, cp Checkpoint) (Checkpoint, error) {
	lines, err := w.ask(ctx, l, cp)
	if err != nil {
		return Checkpoint{}, err
	}
	return mergeSignatures(cp, lines, w.key, l.o.Keys)
}

// ask returns the signature lines of the witness's answer, which nobody has verified yet.
func (w *Witness) ask(ctx context.Context, l *Log, cp Checkpoint) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for attempt := 0; ; attempt++ {
		if ahead := w.sizes[cp.Origin]; ahead > cp.Tree.N {
			delete(w.sizes, cp.Origin) // it is asked again the next time, and may have been wrong
			return nil, fmt.Errorf("%s, of %d leaves, not %d: %w", w.Name(), ahead, cp.Tree.N, ErrWitnessAhead)
		}
		status, body, err := w.post(ctx, l, cp)
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w: %w", w.Name(), ErrWitness, err)
		}
		if status == http.StatusConflict && attempt == 0 {
			// C2SP: the answer is the size it has; a client that has forgotten asks this way.
			var size int64
			if size, err = parseSize(body); err == nil {
				w.sizes[cp.Origin] = size
				continue
			}
		}
		if status == http.StatusOK {
			w.sizes[cp.Origin] = cp.Tree.N
			return body, nil
		}
		return nil, fmt.Errorf("asking %s: status %d: %w", w.Name(), status, refusal(status))
	}
}

// refusal tells a verdict on the checkpoint from a failure.
func refusal(status int) error {
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
		return ErrWitnessRefused
	}
	return ErrWitness
}

func (w *Witness) post(ctx context.Context, l *Log, cp Checkpoint) (int, []byte, error) {
	old := w.sizes[cp.Origin]
	proof, err := l.proveTree(ctx, cp.Tree, old, nil)
	if err != nil {
		return 0, nil, err
	}
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintf(&body, "%s\n", h)
	}
	body.WriteString("\n")
	body.Write(cp.Note)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, &body)
	if err != nil {
		return 0, nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxWitnessBody))
	return resp.StatusCode, answer, err
}

// parseSize reads a tree size on a line of its own.
func parseSize(body []byte) (int64, error) {
	text, ok := strings.CutSuffix(string(body), "\n")
	size, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || size < 0 || strconv.FormatInt(size, 10) != text {
		return 0, fmt.Errorf("%w: %q is no tree size", ErrWitness, text)
	}
	return size, nil
}

// Cosign asks a witness to cosign the newest checkpoint, stores the cosignature with it if
// it still is the newest by then, and returns the cosigned checkpoint either way: it is
// worth keeping, and ProveAt proves against it. It may be called while Seal runs.
func (s *Sealer) Cosign(ctx context.Context, w *Witness) (Checkpoint, error) {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if refused != nil {
		return Checkpoint{}, refused
	}
	cp, err := s.log.Checkpoint(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	lines, err := w.ask(ctx, s.log, cp)
	if err != nil {
		return Checkpoint{}, err
	}
	cosigned, err := mergeSignatures(cp, lines, w.key, s.log.o.Keys)
	if err != nil {
		return Checkpoint{}, err
	}
	for range maxConflicts {
		err = s.attach(ctx, cosigned, lines, w)
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	return cosigned, err
}

// attach adds signature lines to the stored checkpoint if it is of the same tree.
func (s *Sealer) attach(ctx context.Context, cosigned Checkpoint, lines []byte, w *Witness) error {
	current, rev, err := s.log.load(ctx)
	if err != nil || current.Tree != cosigned.Tree {
		return err
	}
	merged, err := mergeSignatures(current, lines, w.key, s.log.o.Keys)
	if err != nil || bytes.Equal(merged.Note, current.Note) {
		return err
	}
	if _, err := s.checkpoints.Store(ctx, merged.Note, rev); err != nil {
		return fmt.Errorf("storing cosignature of %s: %w", w.Name(), err)
	}
	return nil
}
