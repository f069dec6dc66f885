package publish_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

func TestTilesAreKeptByName(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	b := natstest.Open(t, s)
	tiles, err := b.Tiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("tile"), 600<<10) // more than a message holds
	for _, step := range []struct {
		what string
		put  []byte // nil removes
		want []byte // nil: there is none
	}{
		{"stored", []byte("first"), []byte("first")},
		{"replaced", []byte("second"), []byte("second")},
		{"large", large, large},
		{"small again", []byte("third"), []byte("third")},
		{"removed", nil, nil},
		{"removed again", nil, nil},
		{"back", []byte("fourth"), []byte("fourth")},
	} {
		if step.put != nil {
			err = tiles.Put(t.Context(), "tile/0/x001/067.p/12", step.put)
		} else {
			err = tiles.Delete(t.Context(), "tile/0/x001/067.p/12")
		}
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		got, err := tiles.Get(t.Context(), "tile/0/x001/067.p/12")
		if step.want == nil && !errors.Is(err, fs.ErrNotExist) || step.want != nil && (err != nil || !bytes.Equal(got, step.want)) {
			t.Errorf("%s: Get = %d bytes, %v, want %d", step.what, len(got), err, len(step.want))
		}
	}
	if err := tiles.Delete(t.Context(), "tile/0/x001/067.p/12"); err != nil {
		t.Fatal(err)
	}
	if got := natstest.ExtentOf(t, b, "OBJ_"+conn.TilesBucket); got.Messages != 0 {
		t.Errorf("a removed tile leaves %d messages behind, want none", got.Messages)
	}
}

func TestReadOnlyStoreCreatesNoTiles(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, t.TempDir())
	natstest.Open(t, s)
	reader := natstest.OpenWith(t, s, conn.Options{ReadOnly: true})
	if _, err := reader.Tiles(t.Context()); !errors.Is(err, conn.ErrMissing) {
		t.Errorf("Tiles of a reader = %v, want ErrMissing", err)
	}
	if _, err := reader.Checkpoints(t.Context(), "test", conn.JobsStream); !errors.Is(err, conn.ErrMissing) {
		t.Errorf("Checkpoints of a reader = %v, want ErrMissing", err)
	}
}

func TestCheckpointsAreStoredByCompareAndSet(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	jobs, err := b.Checkpoints(t.Context(), "test", conn.JobsStream)
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.Checkpoints(t.Context(), "test", conn.AttemptsStream)
	if err != nil {
		t.Fatal(err)
	}
	if got, rev, err := jobs.Load(t.Context()); got != nil || rev != 0 || err != nil {
		t.Fatalf("Load of none = %q, %d, %v", got, rev, err)
	}
	first, err := jobs.Store(t.Context(), []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Store(t.Context(), []byte("another log's"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.Store(t.Context(), []byte("forked"), 0); !errors.Is(err, publish.ErrChanged) {
		t.Errorf("Store with an old revision = %v, want ErrChanged", err)
	}
	if _, err := jobs.Store(t.Context(), []byte("two"), first); err != nil {
		t.Fatal(err)
	}
	if got, rev, err := jobs.Load(t.Context()); string(got) != "two" || rev <= first || err != nil {
		t.Errorf("Load = %q, %d, %v, want two", got, rev, err)
	}
	var all []string
	err = jobs.All(t.Context(), func(m publish.Message) error {
		all = append(all, string(m.Data))
		return nil
	})
	if err != nil || len(all) != 2 || all[0] != "one" || all[1] != "two" {
		t.Errorf("All = %q, %v, want one and two", all, err)
	}
}

func TestActionsAreRecorded(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	if got := natstest.ExtentOf(t, b, conn.ActionsStream); got.First > 1 || got.Last != 0 || got.Messages != 0 || !got.Oldest.IsZero() {
		t.Errorf("extent of nothing = %+v", got)
	}
	a := job.Action{What: job.ActionCancel, Time: time.Now(), Operator: "me"}
	if seq, err := b.Act(t.Context(), a); seq != 1 || err != nil {
		t.Fatalf("Act = %d, %v, want 1", seq, err)
	}
	if _, err := b.Act(t.Context(), job.Action{What: "cancel.all"}); err == nil {
		t.Error("Act took an action that no subject can name")
	}
	got := natstest.ExtentOf(t, b, conn.ActionsStream)
	if got.First != 1 || got.Last != 1 || got.Messages != 1 || got.Bytes == 0 {
		t.Errorf("extent = %+v, want one message", got)
	}
	var read []job.Action
	err := b.Range(t.Context(), conn.ActionsStream, 1, got.Last, func(m publish.Message) error {
		r, err := job.ParseAction(m.Subject, m.Data)
		read = append(read, r)
		return err
	})
	if err != nil || len(read) != 1 || read[0].Operator != "me" {
		t.Errorf("read back %+v, %v, want the action", read, err)
	}
	if _, err := b.Extent(t.Context(), "NOTHING"); !errors.Is(err, conn.ErrMissing) {
		t.Errorf("Extent of no stream = %v, want ErrMissing", err)
	}
}

// Queued refusals are in the stream before the last sealing.
func TestDrainAttemptsStoresTheQueue(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	const n = 50
	for range n {
		if !offer(b, job.Attempt{Source: "demo", Verdict: "mismatch", Receipt: job.Receipt{Received: time.Now()}}) {
			t.Fatal("Offer = false on a queue with room")
		}
	}
	if err := b.DrainAttempts(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := natstest.ExtentOf(t, b, conn.AttemptsStream); got.Messages != n {
		t.Errorf("%d attempts are stored after DrainAttempts, want %d", got.Messages, n)
	}
	if offer(b, job.Attempt{Source: "demo", Verdict: "mismatch"}) {
		t.Error("Offer = true after DrainAttempts")
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	b := natstest.Open(t, natstest.Start(t, t.TempDir()))
	read := func(from publish.Position, headersOnly bool, most int) (all []publish.Message) {
		t.Helper()
		for m, err := range b.From(t.Context(), conn.JobsStream, from, headersOnly) {
			if err != nil {
				t.Fatal(err)
			}
			if all = append(all, m); len(all) == most {
				break
			}
		}
		return all
	}
	if got := read(publish.Position{}, false, 10); len(got) != 0 {
		t.Errorf("an empty stream gave %d messages", len(got))
	}
	for _, id := range []string{"1", "2", "3"} {
		if _, err := b.Publish(t.Context(), natstest.Event(job.Finished, id, "COMPLETED")); err != nil {
			t.Fatal(err)
		}
	}
	all := read(publish.Position{}, false, 10)
	if len(all) != 3 || len(all[0].Data) == 0 {
		t.Fatalf("from the first: %+v, want 3 messages with data", all)
	}
	if got := read(publish.Position{Time: all[1].Time}, true, 10); len(got) != 2 || got[0].Sequence != 2 || len(got[0].Data) != 0 || len(got[0].Header["Nats-Msg-Size"]) != 1 {
		t.Errorf("since the second, headers only: %+v, want 2 and 3 without data", got)
	}
	if got := read(publish.Position{Time: time.Now().Add(time.Hour)}, false, 10); len(got) != 0 {
		t.Errorf("since the future: %d messages, want none", len(got))
	}
	if got := read(publish.Position{}, false, 1); len(got) != 1 {
		t.Errorf("whoever reads one gets %d", len(got))
	}
	if got := read(publish.Position{Sequence: 3, Time: time.Now()}, false, 10); len(got) != 1 || got[0].Sequence != 3 {
		t.Errorf("from sequence 3: %+v, want it alone", got)
	}
	for _, tt := range []struct {
		from publish.Position
		want []uint64
	}{
		{publish.Position{Back: true}, []uint64{3, 2, 1}},
		{publish.Position{Back: true, Sequence: 3}, []uint64{2, 1}},
		{publish.Position{Back: true, Sequence: 1}, nil},
		{publish.Position{Back: true, Sequence: 99}, []uint64{3, 2, 1}},
		{publish.Position{Back: true, Time: all[1].Time}, []uint64{1}},
		{publish.Position{Back: true, Time: time.Now().Add(time.Hour)}, []uint64{3, 2, 1}},
	} {
		var got []uint64
		for _, m := range read(tt.from, true, 10) {
			got = append(got, m.Sequence)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("from %+v: %v, want %v", tt.from, got, tt.want)
		}
	}
	for _, err := range b.From(t.Context(), "NOTHING", publish.Position{}, false) {
		if err == nil {
			t.Error("a stream that is not there gave a message")
		}
	}
}
