package web

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const after = 5 * time.Second
		d := deadlines{after: after}
		for range 100 {
			began := time.Now()
			ctx := d.context(began)
			if ctx.Err() != nil {
				t.Fatal("a context has ended before it is given out")
			}
			if end, ok := ctx.Deadline(); !ok || end.After(began.Add(after)) || end.Before(began.Add(after*9/10)) {
				t.Errorf("a context asked for at %v ends at %v, %v", began, end, ok)
			}
			time.Sleep(77 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
		}
		last := d.context(time.Now())
		<-last.Done()
		if next := d.context(time.Now()); next == last || next.Err() != nil {
			t.Error("a context that has ended is given out")
		}
	})
	if ctx := (&deadlines{}).context(time.Now()); ctx != context.Background() {
		t.Errorf("without a time the context is %v", ctx)
	}
}
