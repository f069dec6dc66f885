package callback_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"receiver/internal/callback"
)

// lender has lent a body, which changes when it is taken back.
type lender struct {
	lent  []byte
	asked int
	err   error
}

func (l *lender) Keep(context.Context) ([]byte, error) {
	l.asked++
	if l.err != nil {
		return nil, l.err
	}
	body := bytes.Clone(l.lent)
	l.takeBack()
	return body, nil
}

func (l *lender) takeBack() {
	for i := range l.lent {
		l.lent[i] = '!'
	}
}

// Nothing that is lent is kept: of authentic bodies what the keeper gives, of others copies.
func TestALentBodyIsNotKept(t *testing.T) {
	const body = `{"id":"1","status":"COMPLETED"}`
	for _, tt := range []struct {
		name, secret string
		err, want    error
		asked        int
	}{
		{"authentic", demoSecret, nil, nil, 1},
		{"forged", otherSecret, nil, callback.ErrUnauthorized, 0},
		{"authentic, and no room for it in time", demoSecret, context.DeadlineExceeded, callback.ErrUnavailable, 1},
	} {
		s := &shelf{}
		q := signed(tt.secret, body)
		l := &lender{lent: q.Body, err: tt.err}
		q.Keeper = l
		_, err := newReceiver(t, s).Accept(t.Context(), q)
		l.takeBack()
		if !errors.Is(err, tt.want) || l.asked != tt.asked {
			t.Errorf("%s: %v and %d questions to the keeper, want %v and %d", tt.name, err, l.asked, tt.want, tt.asked)
		}
		kept := 0
		for _, e := range s.events {
			if kept++; string(e.Data) != body {
				t.Errorf("%s: the event has %q, want the body", tt.name, e.Data)
			}
		}
		for _, a := range s.offered {
			if kept++; string(a.Body) != body {
				t.Errorf("%s: the attempt has %q, want the body", tt.name, a.Body)
			}
		}
		if want := 1; tt.err == nil && kept != want {
			t.Errorf("%s: %d records, want %d", tt.name, kept, want)
		}
	}
}
