package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// Publish stores e and returns it with its sequence, or, with Existed, the event
// that was there already:
//
//   - of a kind that exists once for a job, whatever is on the subject;
//   - Progress and Conflict, the one with the same id;
//   - Unrecognised, the same bytes within the stream's duplicate window (2 minutes).
//
// Any number of callers and replicas may publish the same at once; one wins. An
// error is ErrUnavailable, and nothing is known to be stored.
func (b *Bus) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	ctx, cancel := b.bound(ctx)
	defer cancel()
	msg, err := b.message(ctx, e.Subject(), e.Header(), e.Data)
	if err != nil {
		return job.Stored{}, err
	}
	switch e.Kind {
	case job.Unrecognised:
		ack, err := b.publish(ctx, msg, jetstream.WithMsgID(e.ID()))
		if err != nil {
			return job.Stored{}, err
		}
		return job.Stored{Event: e, Sequence: ack.Sequence, Existed: ack.Duplicate}, nil
	case job.Progress, job.Conflict:
		return b.publishDistinct(ctx, e, msg)
	}
	return b.publishOnce(ctx, e, msg)
}

func (b *Bus) publishOnce(ctx context.Context, e job.Event, msg *nats.Msg) (job.Stored, error) {
	ack, err := b.publish(ctx, msg, jetstream.WithExpectLastSequencePerSubject(0))
	if err == nil {
		return job.Stored{Event: e, Sequence: ack.Sequence}, nil
	}
	if !isTaken(err) {
		return job.Stored{}, err
	}
	there, err := b.last(ctx, msg.Subject)
	there.Existed = true
	return there, err
}

// publishDistinct stores one event for each id on a subject: it looks at what is
// there, and publishes on the condition that nothing has come since.
func (b *Bus) publishDistinct(ctx context.Context, e job.Event, msg *nats.Msg) (job.Stored, error) {
	for {
		var last uint64
		for there, err := range b.on(ctx, msg.Subject) {
			if err != nil {
				return job.Stored{}, err
			}
			if there.ID() == e.ID() {
				there.Existed = true
				return there, nil
			}
			last = there.Sequence
		}
		ack, err := b.publish(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
		if err == nil {
			return job.Stored{Event: e, Sequence: ack.Sequence}, nil
		}
		if !isTaken(err) {
			return job.Stored{}, err
		}
	}
}

// publish sends one message and waits for its acknowledgement. The error is as
// JetStream gave it if it was its answer, else ErrUnavailable.
func (b *Bus) publish(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	future, err := b.js.PublishMsgAsync(msg, opts...)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	select {
	case ack := <-future.Ok():
		return ack, nil
	case err := <-future.Err():
		if isTaken(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, context.Cause(ctx))
	}
}

// isTaken reports whether JetStream refused a message because its subject holds
// another last sequence than expected: somebody was there before.
func isTaken(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == errWrongLastSequence
}

// errWrongLastSequence is JetStream's code for a failed expectation of the last
// sequence; nats.go has no name for it. nats-server errors.json, JSStreamWrongLastSequenceErrF.
const errWrongLastSequence jetstream.ErrorCode = 10071

// dataRef is the header that stands for a body kept in the object store.
const dataRef = "receiver-data-ref"

const dataRefPrefix = "nats-object:" + PayloadBucket + "/"

// headerRoom is what a message's headers and protocol line may need beside its body.
const headerRoom = 64 << 10

// message makes the message, with a body that the server would refuse for its size
// put into the object store first and named by its digest.
func (b *Bus) message(ctx context.Context, subject string, header map[string][]string, data []byte) (*nats.Msg, error) {
	if int64(len(data))+headerRoom > b.nc.MaxPayload() {
		name := job.BodySHA256(data)
		if err := b.putPayload(ctx, name, data); err != nil {
			return nil, err
		}
		header[dataRef] = []string{dataRefPrefix + name}
		data = nil
	}
	return &nats.Msg{Subject: subject, Header: header, Data: data}, nil
}

func (b *Bus) putPayload(ctx context.Context, name string, data []byte) error {
	replicas := max(b.opts.Streams.Replicas, 1)
	store, err := b.js.ObjectStore(ctx, PayloadBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		store, err = b.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: PayloadBucket, Replicas: replicas,
			Description: "bodies larger than a message, named by their SHA-256",
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			store, err = b.js.ObjectStore(ctx, PayloadBucket)
		}
	}
	if err == nil {
		_, err = store.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(data))
	}
	if err != nil {
		return fmt.Errorf("%w: storing a body of %d bytes in bucket %s: %v", ErrUnavailable, len(data), PayloadBucket, err)
	}
	return nil
}
