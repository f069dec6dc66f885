package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// metaMoving marks a stream that Move has begun and that may be incomplete. It has no subject of
// its own meanwhile, so nothing can be stored in it.
const metaMoving = "receiver-moving"

// ErrMove is returned by Move when the other server has a stream that is not the one to be moved.
// Nothing was changed there then.
var ErrMove = errors.New("the stream cannot be moved")

// chunkWait is how long Move waits for the next piece of a stream, and for the other server to take
// it: both servers give up sooner.
const chunkWait = 30 * time.Second

// Move copies all streams and buckets of a store to another server: messages, sequences, times,
// and consumers with their positions. Nothing may write to the store meanwhile. It removes nothing
// on either side but what an interrupted Move has left there. A stream counts as moved once the
// other one has as many messages, the same first and last sequence and message, and all of its
// copies. One that the other server has in this state already is left as it is, so Move continues
// what an earlier one began. JOBS is the first, since a receiver that is started there too early
// must know which jobs have ended. Done is called for each stream that it has moved. It returns the
// names of the streams that are not this program's.
func (s *Survey) Move(ctx context.Context, to *Survey, done func(step string)) (others []string, err error) {
	here, others, err := s.movable(ctx)
	if err != nil {
		return nil, err
	}
	moved, err := s.compare(ctx, to, here)
	if err != nil {
		return nil, err
	}
	for _, info := range here {
		name := info.Config.Name
		if slices.Contains(moved, name) {
			continue
		}
		if err := s.stream(ctx, to, name); err != nil {
			return nil, err
		}
		if err := whole(ctx, place{s, name}, place{to, name}); err != nil {
			return nil, err
		}
		if err := to.release(ctx, info.Config); err != nil {
			return nil, err
		}
		done(name + " is complete there")
	}
	return others, nil
}

// rebuilt are the buckets that a receiver makes again from nothing.
var rebuilt = []string{"KV_" + conn.LeasesBucket, "OBJ_" + conn.LedgerBucket}

// movable returns the streams to move, in their order, and the names of those that are not ours.
func (s *Survey) movable(ctx context.Context) (ours []*jetstream.StreamInfo, others []string, err error) {
	owned := []string{conn.CheckpointsStream, "OBJ_" + conn.PayloadBucket, "OBJ_" + conn.TilesBucket}
	for _, c := range s.opts.Streams.Configs() {
		owned = append(owned, c.Name)
	}
	list := s.js.ListStreams(ctx)
	for info := range list.Info() {
		switch name := info.Config.Name; {
		case slices.Contains(owned, name):
			ours = append(ours, info)
		case !slices.Contains(rebuilt, name):
			others = append(others, name)
		}
	}
	if err := list.Err(); err != nil {
		return nil, nil, fmt.Errorf("%w: asking NATS for its streams: %v", conn.ErrUnavailable, err)
	}
	i := slices.IndexFunc(ours, func(info *jetstream.StreamInfo) bool { return info.Config.Name == conn.JobsStream })
	if i < 0 {
		return nil, nil, fmt.Errorf("%w: %s", conn.ErrMissing, conn.JobsStream)
	}
	ours[0], ours[i] = ours[i], ours[0]
	return ours, others, nil
}

// release gives a moved stream the subjects that it has here.
func (s *Survey) release(ctx context.Context, here jetstream.StreamConfig) error {
	there, err := s.find(ctx, here.Name)
	if err != nil || there == nil {
		return errors.Join(err, conn.ErrMissing)
	}
	config := there.Config
	config.Subjects = here.Subjects
	config.Metadata = maps.Clone(config.Metadata)
	delete(config.Metadata, metaMoving)
	return s.update(ctx, config)
}

// compare refuses another server with a stream that is not one of these as it is here, and returns
// those that are. It removes what an interrupted move has left.
func (s *Survey) compare(ctx context.Context, to *Survey, here []*jetstream.StreamInfo) (moved []string, err error) {
	var wrong []string
	for _, info := range here {
		name := info.Config.Name
		there, err := to.find(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case there == nil:
		case there.Config.Metadata[metaMoving] != "":
			if err := to.remove(ctx, name); err != nil {
				return nil, err
			}
		case there.Config.Metadata[metaCopyOf] == name && there.State.LastSeq > info.State.LastSeq:
			return nil, fmt.Errorf("%w: a receiver has continued what was moved: %s ends there at sequence %d, and here at %d; "+
				"start it only when all streams are there", ErrMove, name, there.State.LastSeq, info.State.LastSeq)
		case there.Config.Metadata[metaCopyOf] != name || there.State.Msgs != info.State.Msgs || there.State.LastSeq != info.State.LastSeq:
			wrong = append(wrong, fmt.Sprintf("%s (%d messages to sequence %d, and here %d to %d)",
				name, there.State.Msgs, there.State.LastSeq, info.State.Msgs, info.State.LastSeq))
		default:
			moved = append(moved, name)
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%w: the other server has streams of these names with other messages: %s; a receiver may have run there before; "+
			"if nothing in them is needed, stop it, remove each by `nats stream rm NAME`, and run the command again", ErrMove, strings.Join(wrong, ", "))
	}
	return moved, nil
}

// stream sends the snapshot of one stream, piece by piece, from one server to the other.
func (s *Survey) stream(ctx context.Context, to *Survey, name string) error {
	info, err := s.find(ctx, name)
	if err != nil || info == nil {
		return errors.Join(err, conn.ErrMissing)
	}
	target, err := to.restore(ctx, info)
	if err != nil {
		return err
	}
	inbox := s.nc.NewRespInbox()
	pieces, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("%w: subscribing to the snapshot of %s: %v", conn.ErrUnavailable, name, err)
	}
	defer func() { _ = pieces.Unsubscribe() }()
	request := map[string]any{"deliver_subject": inbox, "chunk_size": snapshotChunk, "window_size": snapshotWindow}
	if err := s.ask(ctx, "STREAM.SNAPSHOT."+name, request, nil); err != nil {
		return fmt.Errorf("reading stream %s: %w", name, err)
	}
	for {
		piece, err := next(ctx, pieces)
		if err != nil {
			return fmt.Errorf("reading stream %s: %w", name, err)
		}
		if status := piece.Header.Get("Status"); len(piece.Data) == 0 && status != "" && status != "204" {
			return fmt.Errorf("reading stream %s: the server ended it with %s %s", name, status, piece.Header.Get("Description"))
		}
		wait := to.request
		if len(piece.Data) == 0 {
			wait = to.nc.RequestWithContext // the end is answered when the stream is open
		}
		answer, err := untilTaken(ctx, func() (*nats.Msg, error) { return wait(ctx, target, piece.Data) })
		if err == nil && (len(piece.Data) == 0 || len(answer.Data) > 0) {
			err = refusal(answer)
		}
		if err != nil && strings.Contains(err.Error(), "maximum payload") {
			err = fmt.Errorf("%w; set max_payload of the NATS servers to %d, as it is here, and run the command again", err, s.nc.MaxPayload())
		}
		if err != nil {
			return fmt.Errorf("writing stream %s: %w", name, err)
		}
		if len(piece.Data) == 0 {
			return nil
		}
		if piece.Reply != "" {
			if err := piece.Respond(nil); err != nil {
				return fmt.Errorf("reading stream %s: %w", name, err)
			}
		}
	}
}

// untilTaken repeats a request that no server took, for as long as a piece may take: where the
// pieces go is announced by one server of a cluster, and the others know it a moment later. So is a
// stream that an interrupted move has begun: its servers give it up after some seconds.
func untilTaken(ctx context.Context, request func() (*nats.Msg, error)) (*nats.Msg, error) {
	var begun *jetstream.APIError
	for end := time.Now().Add(chunkWait); ; {
		answer, err := request()
		passes := errors.Is(err, nats.ErrNoResponders) || errors.As(err, &begun) && begun.ErrorCode == nameInUse
		if !passes || ctx.Err() != nil || time.Now().After(end) {
			return answer, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done(): // the next request fails
		}
	}
}

// nameInUse is the error of a server that is to restore a stream of whose name there is one.
const nameInUse = 10130

// The pieces of a snapshot are below the smallest limit of a message that this program accepts, and
// few enough of them are on their way to stay below what a client keeps.
const (
	snapshotChunk  = 128 << 10
	snapshotWindow = 8 << 20
)

// restore announces a stream to the server that is to have it, and returns where its pieces go. Its
// settings are those it has, but for the copies: a limit that is lower by now would remove
// messages, and Apply, which asks first, is for that.
func (s *Survey) restore(ctx context.Context, info *jetstream.StreamInfo) (subject string, err error) {
	config := info.Config
	config.Replicas = max(s.opts.Streams.Replicas, 1)
	config.Metadata = maps.Clone(config.Metadata)
	if config.Metadata == nil {
		config.Metadata = map[string]string{}
	}
	maps.DeleteFunc(config.Metadata, func(k, _ string) bool { return strings.HasPrefix(k, "_nats.") })
	config.Metadata[metaCopyOf] = config.Name // its messages are older than it
	config.Metadata[metaMoving] = "incomplete"
	config.Subjects = []string{parkedSubject + config.Name}
	var answer struct {
		Deliver string `json:"deliver_subject"`
	}
	_, err = untilTaken(ctx, func() (*nats.Msg, error) {
		err := s.ask(ctx, "STREAM.RESTORE."+config.Name, map[string]any{"config": config, "state": info.State}, &answer)
		if there, _ := s.find(ctx, config.Name); err != nil && there != nil {
			return nil, fmt.Errorf("%w: %s was made there meanwhile; start no receiver there before all streams are moved", ErrMove, config.Name)
		}
		return nil, err
	})
	if err != nil {
		return "", fmt.Errorf("making stream %s: %w", config.Name, err)
	}
	return answer.Deliver, nil
}

// ask asks JetStream, and reads the answer into into, unless that is nil.
func (s *Survey) ask(ctx context.Context, what string, request, into any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := s.request(ctx, s.opts.API(what), data)
	if err != nil {
		return err
	}
	if err := refusal(m); err != nil {
		return err
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(m.Data, into)
}

func (s *Survey) request(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, chunkWait)
	defer cancel()
	return s.nc.RequestWithContext(ctx, subject, data)
}

func next(ctx context.Context, pieces *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, chunkWait)
	defer cancel()
	return pieces.NextMsgWithContext(ctx)
}

// refusal is the error in an answer of JetStream.
func refusal(m *nats.Msg) error {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}
