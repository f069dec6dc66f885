package anchor

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
	"golang.org/x/mod/sumdb/tlog"

	"receiver/internal/audit"
)

var (
	// ErrRefused is returned when a witness says that the checkpoint contradicts what it
	// has cosigned, or that it does not know the log or its key. Unless the witness was set up
	// wrongly this is the sign of a fork: verify the log, and stop sealing until it is clear.
	ErrRefused = errors.New("witness refused the checkpoint")

	// ErrAhead is returned when a witness has cosigned a larger tree than the
	// checkpoint's. Another replica has sealed more; or this log was rolled back.
	ErrAhead = errors.New("witness has cosigned a larger tree")
)

const (
	witnessTimeout = 10 * time.Second
	maxWitnessBody = 64 << 10
)

// Witness asks one witness for cosignatures on any number of logs. C2SP: tlog-witness,
// add-checkpoint. Its methods may be called concurrently.
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
	key, err := audit.NewCosignatureVerifier(vkey)
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

// Key returns the witness's verifier key.
func (w *Witness) Key() note.Verifier { return w.key }

// Ask returns the signature lines of the witness's answer, not verified yet. Prove returns the
// proof that a tree with old leaves is a prefix of the checkpoint's.
func (w *Witness) Ask(ctx context.Context, cp audit.Checkpoint, prove func(old int64) (tlog.TreeProof, error)) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for attempt := 0; ; attempt++ {
		if ahead := w.sizes[cp.Origin]; ahead > cp.Tree.N {
			delete(w.sizes, cp.Origin) // it is asked again the next time, and may have been wrong
			return nil, fmt.Errorf("%s, of size %d, not %d: %w", w.key.Name(), ahead, cp.Tree.N, ErrAhead)
		}
		status, body, err := w.post(ctx, cp, prove)
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w: %w", w.key.Name(), audit.ErrWitness, err)
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
		return nil, fmt.Errorf("asking %s: status %d: %w", w.key.Name(), status, refusal(status))
	}
}

// refusal tells a verdict on the checkpoint from a failure.
func refusal(status int) error {
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
		return ErrRefused
	}
	return audit.ErrWitness
}

func (w *Witness) post(ctx context.Context, cp audit.Checkpoint, prove func(old int64) (tlog.TreeProof, error)) (int, []byte, error) {
	old := w.sizes[cp.Origin]
	proof, err := prove(old)
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
		return 0, fmt.Errorf("%w: %q is not a tree size", audit.ErrWitness, text)
	}
	return size, nil
}
