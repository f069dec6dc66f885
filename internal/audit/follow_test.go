package audit_test

import (
	"errors"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
)

func TestFollowReadsTheSealedTreeAndSignsNothing(t *testing.T) {
	w := audittest.NewWorld(t, 300)
	follower, sealer := w.Sealer(t), w.Sealer(t)
	if cp, err := follower.Follow(t.Context()); err != nil || cp.Note != nil || cp.Tree.N != 0 {
		t.Fatalf("Follow of nothing = %+v, %v, want the empty tree without a note", cp, err)
	}
	for _, grow := range []int{0, 1, 700, 0} {
		w.Stream.Add(grow)
		want, err := sealer.Seal(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.Stream.Add(1) // not sealed yet, and not to be by a follower
		got, err := follower.Follow(t.Context())
		if err != nil || got.Tree != want.Tree {
			t.Errorf("Follow = %+v, %v, want the sealer's %+v", got.Tree, err, want.Tree)
		}
	}
	if n := len(w.Checkpoints.History); n != 4 {
		t.Errorf("%d checkpoints were signed, want the sealer's 4", n)
	}
}

func TestFollowRefusesWhatContradictsItself(t *testing.T) {
	for name, damage := range map[string]func(*testing.T, *audittest.World){
		"checkpoint rolled back": func(_ *testing.T, w *audittest.World) { w.Checkpoints.Set(w.Checkpoints.History[0]) },
		"checkpoint gone":        func(_ *testing.T, w *audittest.World) { w.Checkpoints.Set(nil) },
		"stream rewound":         func(_ *testing.T, w *audittest.World) { w.Stream.Newest = 2; w.Stream.Remove(3, 4, 5) },
	} {
		t.Run(name, func(t *testing.T) {
			w := audittest.NewWorld(t, 3)
			w.Seal(t)
			w.Stream.Add(2)
			w.Seal(t)
			follower := w.Sealer(t)
			if _, err := follower.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
			damage(t, w)
			var fork *audit.ForkError
			_, err := follower.Follow(t.Context())
			if !errors.As(err, &fork) && !errors.Is(err, audit.ErrRewound) {
				t.Fatalf("Follow = %v, want a fork or a rewinding", err)
			}
			if _, again := follower.Seal(t.Context()); again == nil || again.Error() != err.Error() {
				t.Errorf("Seal afterwards = %v, want the same refusal", again)
			}
		})
	}
}
