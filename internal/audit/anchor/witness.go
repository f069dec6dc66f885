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
	// ErrRefused is returned when a witness does not know the log or its key. It says nothing
	// about the log: have the witness's owner enter the log's public key.
	ErrRefused = errors.New("the witness does not know this log or its key; give its owner the public key that receiver audit keys prints")

	// ErrForgotten is returned for a place that has less of a log than it received.
	ErrForgotten = errors.New("the anchor has less than it received")
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
	told  map[string]int64 // of the largest that it has cosigned for this receiver
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
		url: strings.TrimSuffix(prefix, "/") + "/add-checkpoint", key: key, client: client, sizes: make(map[string]int64), told: make(map[string]int64),
	}, nil
}

// Key returns the witness's verifier key.
func (w *Witness) Key() note.Verifier { return w.key }

// Cosigned has the witness held to what it has cosigned in an earlier life of this program.
func (w *Witness) Cosigned(origin string, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[origin] = max(w.told[origin], size)
	w.sizes[origin] = max(w.sizes[origin], size)
}

// maxMoves is how often the witness may name another size before it is left for later: other
// replicas have it cosign too.
const maxMoves = 4

// Ask implements audit.Cosigner. Other errors are ErrRefused, ErrForgotten and audit.ErrWitness.
func (w *Witness) Ask(ctx context.Context, cp audit.Checkpoint, prove func(old int64) (tlog.TreeProof, error)) ([]byte, error) {
	w.mu.Lock()
	old, told := w.sizes[cp.Origin], w.told[cp.Origin]
	w.mu.Unlock()
	if old > cp.Tree.N {
		old = 0 // it may not be asked for less than it has, and says itself what it has
	}
	for range maxMoves {
		status, body, err := w.post(ctx, cp, old, prove)
		if err != nil {
			return nil, fmt.Errorf("asking %s: %w: %w", w.key.Name(), audit.ErrWitness, err)
		}
		switch status {
		case http.StatusOK:
			w.Cosigned(cp.Origin, cp.Tree.N)
			return body, nil
		case http.StatusConflict: // C2SP: the answer is the size that it has
			size, err := parseSize(body)
			if err != nil {
				return nil, fmt.Errorf("asking %s: %w", w.key.Name(), err)
			}
			if size < told {
				return nil, fmt.Errorf("%s: %w: it has cosigned a tree of size %d, and says that it has one of %d", w.key.Name(), ErrForgotten, told, size)
			}
			if size > cp.Tree.N || size == old && size == cp.Tree.N {
				return nil, &audit.WitnessedError{Witness: w.key.Name(), Size: size}
			}
			w.learn(cp.Origin, size)
			old = size
		case http.StatusUnprocessableEntity:
			if old > 0 { // the proof holds for the checkpoint, so it does not for what the witness has
				return nil, &audit.WitnessedError{Witness: w.key.Name(), Size: old}
			}
			fallthrough
		default:
			return nil, fmt.Errorf("asking %s: status %d: %w", w.key.Name(), status, refusal(status))
		}
	}
	return nil, fmt.Errorf("asking %s: %w: it named another size each time", w.key.Name(), audit.ErrWitness)
}

// learn takes the witness's word for the size that it has.
func (w *Witness) learn(origin string, size int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sizes[origin] = size
}

// refusal tells a wrong set-up from a failure.
func refusal(status int) error {
	if status == http.StatusForbidden || status == http.StatusNotFound {
		return ErrRefused
	}
	return audit.ErrWitness
}

func (w *Witness) post(ctx context.Context, cp audit.Checkpoint, old int64, prove func(old int64) (tlog.TreeProof, error)) (int, []byte, error) {
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
