package publish

import (
	"errors"
	"fmt"

	"receiver/internal/job"
)

// ErrHidden is returned for a body that is encrypted and that Options.Reveal, whose error
// it wraps, cannot decrypt.
var ErrHidden = errors.New("the body is encrypted")

// message makes the message of an event on its subject. What cannot be encrypted is not stored in clear:
// the error is ErrUnavailable.
func (b *Bus) message(subject string, e job.Event) (*message, error) {
	if b.opts.Hide == nil || len(e.Data) == 0 { // nothing is nothing to hide
		return &message{subject, e.Header(), e.Data}, nil
	}
	data, err := b.opts.Hide(e.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return &message{subject, e.EncryptedHeader(), data}, nil
}

// hiddenAttempt makes the message of an attempt. A body that cannot be encrypted is left
// out, as one that is too large is.
func (b *Bus) hiddenAttempt(a job.Attempt) *message {
	msg := &message{subject: a.Subject()}
	if len(a.Body) > 0 {
		data, err := b.opts.Hide(a.Body)
		if err == nil {
			msg.header, msg.data = a.EncryptedHeader(), data
			return msg
		}
		b.opts.Log.Error().Err(err).Str("source", a.Source).Msg("body of an attempt not kept")
	}
	msg.header = a.Header()
	return msg
}

// revealer returns the data of a message with these headers decrypted, or ErrHidden.
type revealer func(header map[string][]string, data []byte) ([]byte, error)

// reveal is the revealer that does what it can. What is not encrypted stays as it is.
func (b *Bus) reveal(header map[string][]string, data []byte) ([]byte, error) {
	if b.opts.Reveal == nil || !job.Encrypted(header) {
		return hidden(header, data)
	}
	plain, err := b.opts.Reveal(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHidden, err)
	}
	return plain, nil
}

// hidden is the revealer that decrypts nothing.
func hidden(header map[string][]string, data []byte) ([]byte, error) {
	if job.Encrypted(header) {
		return nil, ErrHidden
	}
	return data, nil
}
