package publish_test

import (
	"testing"
	"time"

	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestLeaseHasOneHolder(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	first, second := lease(t, natstest.OpenWith(t, s, conn.Options{})), lease(t, natstest.OpenWith(t, s, conn.Options{}))
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

func TestLeaseEndsAfterItsTime(t *testing.T) {
	const leaseTime = time.Second
	s := natstest.Start(t, t.TempDir())
	gone := lease(t, publish.LeaseTime(natstest.Open(t, s), leaseTime))
	heir := lease(t, publish.LeaseTime(natstest.Open(t, s), time.Hour)) // the first sets the server's time
	if !hold(t, gone) || hold(t, heir) {
		t.Fatal("the lease is not its first holder's")
	}
	began := time.Now()
	natstest.Eventually(t, "the lease of a holder that is gone ends", func() bool { return hold(t, heir) })
	if took := time.Since(began); took < leaseTime/2 {
		t.Errorf("the lease ended after %v, want about %v", took, leaseTime)
	}
	if hold(t, gone) {
		t.Error("who lost the lease renews it")
	}
}

// The server ends a lease by the wall clock. If that clock is set back, the lease stays for as long
// as the clock was ahead. Another process takes it over when its holder has not renewed it for the
// lease time.
func TestLeaseThatTheServerKeepsIsTakenOver(t *testing.T) {
	t.Parallel()
	const leaseTime = 200 * time.Millisecond
	s := natstest.Start(t, t.TempDir())
	gone := lease(t, publish.LeaseTime(natstest.Open(t, s), time.Hour)) // the server's time
	heir := lease(t, publish.LeaseTime(natstest.Open(t, s), leaseTime))
	if !hold(t, gone) {
		t.Fatal("nobody holds the lease")
	}
	for range 5 {
		if hold(t, heir) || !hold(t, gone) {
			t.Fatal("a lease that is renewed was taken")
		}
		<-time.After(leaseTime)
	}
	natstest.Eventually(t, "the lease of a holder that is gone is taken", func() bool { return hold(t, heir) })
	if hold(t, gone) {
		t.Error("who lost the lease renews it")
	}
}

func TestLeasesAreIndependent(t *testing.T) {
	t.Parallel()
	b := natstest.OpenWith(t, natstest.Start(t, t.TempDir()), conn.Options{})
	one, other := lease(t, b), lease(t, b, "other")
	if !hold(t, one) || !hold(t, other) {
		t.Error("two leases cannot be held at once")
	}
}

func lease(t *testing.T, b *publish.Store, name ...string) *publish.Lease {
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
