package publish_test

import (
	"context"
	"testing"
	"time"

	"receiver/internal/publish"
)

func TestALeaseHasOneHolder(t *testing.T) {
	s := start(t, t.TempDir())
	first, second := lease(t, openWith(t, s, publish.Options{})), lease(t, openWith(t, s, publish.Options{}))
	for i, step := range []struct {
		name string
		by   *publish.Lease
		want bool
	}{
		{"the first takes it", first, true},
		{"the second does not get it", second, false},
		{"the first renews it", first, true},
		{"the second still does not", second, false},
	} {
		if got := hold(t, step.by); got != step.want {
			t.Fatalf("step %d, %s: Hold = %v, want %v", i, step.name, got, step.want)
		}
	}
	if err := second.Release(t.Context()); err != nil || hold(t, second) {
		t.Fatalf("after who does not hold it gave it back (%v), the second holds it", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !hold(t, second) || hold(t, first) {
		t.Error("after the first gave it back, the second does not hold it alone")
	}
	if err := first.Release(t.Context()); err != nil || hold(t, first) {
		t.Errorf("what the first no longer held it could give back: %v", err)
	}
}

func TestALeaseOutlivesItsHolderForAWhileOnly(t *testing.T) {
	const leaseTime = time.Second
	s := start(t, t.TempDir())
	gone := lease(t, openWith(t, s, publish.Options{LeaseTime: leaseTime}))
	heir := lease(t, openWith(t, s, publish.Options{LeaseTime: time.Hour})) // the first settles it
	if !hold(t, gone) || hold(t, heir) {
		t.Fatal("the lease is not its first holder's")
	}
	began := time.Now()
	eventually(t, "the lease of a holder that is gone ends", func() bool { return hold(t, heir) })
	if took := time.Since(began); took < leaseTime/2 {
		t.Errorf("the lease ended after %v, want about %v", took, leaseTime)
	}
	if hold(t, gone) {
		t.Error("who lost the lease renews it")
	}
}

// The server ends a lease by the wall clock. When that is set back, it does not, for as long as
// it was ahead; then it counts that the holder is gone.
func TestALeaseThatTheServerDoesNotEndIsTaken(t *testing.T) {
	const leaseTime = 200 * time.Millisecond
	s := start(t, t.TempDir())
	gone := lease(t, openWith(t, s, publish.Options{LeaseTime: time.Hour})) // the server's time
	heir := lease(t, openWith(t, s, publish.Options{LeaseTime: leaseTime}))
	if !hold(t, gone) {
		t.Fatal("nobody holds the lease")
	}
	for range 5 {
		if hold(t, heir) || !hold(t, gone) {
			t.Fatal("a lease that is renewed was taken")
		}
		<-time.After(leaseTime)
	}
	eventually(t, "the lease of a holder that is gone is taken", func() bool { return hold(t, heir) })
	if hold(t, gone) {
		t.Error("who lost the lease renews it")
	}
}

func TestLeasesAreApart(t *testing.T) {
	b := openWith(t, start(t, t.TempDir()), publish.Options{})
	one, other := lease(t, b), lease(t, b, "other")
	if !hold(t, one) || !hold(t, other) {
		t.Error("two leases cannot be held at once")
	}
}

func lease(t *testing.T, b *publish.Bus, name ...string) *publish.Lease {
	t.Helper()
	l, err := b.Lease(t.Context(), append(name, "work")[0])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func hold(t *testing.T, l *publish.Lease) bool {
	t.Helper()
	held, err := l.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func openWith(t *testing.T, s *publish.Server, o publish.Options) *publish.Bus {
	t.Helper()
	b, err := s.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}
