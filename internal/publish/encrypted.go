package publish

import (
	"errors"
	"fmt"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// ErrEncrypted is returned for an encrypted body that Options.Decrypt, whose error it wraps, cannot
// decrypt.
var ErrEncrypted = errors.New("the body is encrypted")

// message makes the message of an event on its subject. A body that cannot be encrypted is not
// stored: the error is ErrUnavailable.
func (b *Store) message(subject string, e job.Event) (*message, error) {
	if b.opts.Encrypt == nil || len(e.Data) == 0 { // nothing is nothing to hide
		return &message{subject, e.Header(), e.Data}, nil
	}
	data, err := b.opts.Encrypt(e.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", conn.ErrUnavailable, err)
	}
	return &message{subject, e.EncryptedHeader(), data}, nil
}

// encryptedAttempt makes the message of an attempt. A body that cannot be encrypted is left out,
// like one that is too large.
func (b *Store) encryptedAttempt(a job.Attempt) *message {
	msg := &message{subject: a.Subject()}
	if len(a.Body) > 0 {
		data, err := b.opts.Encrypt(a.Body)
		if err == nil {
			msg.header, msg.data = a.EncryptedHeader(), data
			return msg
		}
		b.opts.Log.Error().Err(err).Str("source", a.Source).Msg("encrypting the body of an attempt failed; the attempt is recorded without it")
	}
	msg.header = a.Header()
	return msg
}

// decrypter returns the data of a message with these headers decrypted, or ErrEncrypted.
type decrypter func(header map[string][]string, data []byte) ([]byte, error)

// decrypt is the decrypter with the configured keys. It returns plain data unchanged.
func (b *Store) decrypt(header map[string][]string, data []byte) ([]byte, error) {
	if b.opts.Decrypt == nil || !job.Encrypted(header) {
		return withoutDecrypting(header, data)
	}
	plain, err := b.opts.Decrypt(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncrypted, err)
	}
	return plain, nil
}

// withoutDecrypting is the decrypter that has no keys.
func withoutDecrypting(header map[string][]string, data []byte) ([]byte, error) {
	if job.Encrypted(header) {
		return nil, ErrEncrypted
	}
	return data, nil
}
