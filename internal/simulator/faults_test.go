package simulator_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

func TestParseFaults(t *testing.T) {
	tests := []struct {
		text string
		want simulator.Faults
	}{
		{"callback=never,status=v3,id=number,http=429:2", simulator.Faults{Callback: simulator.Callback{Mode: "never"},
			Keys: "v3", ID: "number", HTTP: []simulator.Answer{{Code: 429, Times: 2}}}},
		{"", simulator.Faults{}},
		{" html , progress ,conflict", simulator.Faults{HTML: true, Progress: "RUNNING", Conflict: "other"}},
		{"callback=late:2h", simulator.Faults{Callback: simulator.Callback{Mode: "late", Late: 2 * time.Hour}}},
		{"callback=twice", simulator.Faults{Callback: simulator.Callback{Mode: "times", Times: 2}}},
		{"signature=wrong_key:1", simulator.Faults{Signature: simulator.Signature{Mode: "wrong_key", Attempts: 1}}},
		{"status=COMPLETE,failed=all", simulator.Faults{Status: "COMPLETE", Failed: simulator.AllRows}},
		{"http=drop,http=503:all,retry_after=2s", simulator.Faults{HTTP: []simulator.Answer{{Times: 1},
			{Code: 503, Times: simulator.AllRequests}}, RetryAfter: 2 * time.Second}},
		{"post=lost,slow=1ms,callback_timeout=1s", simulator.Faults{Post: "lost", Slow: time.Millisecond, Timeout: time.Second}},
		{"mix=post=429+html/keys=v3,rate=0.5", simulator.Faults{Mix: []simulator.Faults{{Post: "429", HTML: true}, {Keys: "v3"}}, Rate: 0.5}},
		{"mix", simulator.Faults{Mix: simulator.EveryFault()}},
	}
	for _, tt := range tests {
		got, err := simulator.ParseFaults(tt.text)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("ParseFaults(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
		if again, err := simulator.ParseFaults(got.String()); err != nil || !reflect.DeepEqual(again, tt.want) {
			t.Errorf("%q was written as %q and read back as %+v, %v", tt.text, got, again, err)
		}
	}
}

func TestParseFaultsErrors(t *testing.T) {
	for _, text := range []string{"calback=never", "callback=", "callback", "callback=sometimes", "callback=late", "callback=late:-1s",
		"callback=times:0", "callback=once:3", "signature=bad", "signature=none:x", "keys=v2", "id=uuid", "status", "status=9",
		"failed=-2", "failed=some", "http=200", "http=429:none", "http=x", "html=yes", "post=200", "post=later", "slow=fast",
		"slow=0s", "callback_timeout=721h", "rate=2", "rate=0", "rate=NaN", "keys=v1,keys=v3", "mix=mix", "mix=nope", "=", "mix=rate=1", "mix=/", "mix=+"} {
		got, err := simulator.ParseFaults(text)
		if err == nil {
			t.Errorf("ParseFaults(%q) = %+v, want an error", text, got)
			continue
		}
		for _, dial := range []string{"callback ", "signature ", "callback_timeout ", "retry_after ", "mix "} {
			if strings.Count(err.Error(), "\n  "+dial) != 1 {
				t.Errorf("ParseFaults(%q): error lists the dial %snot once: %v", text, dial, err)
			}
		}
	}
}

func TestFaultsJSON(t *testing.T) {
	tests := []struct{ raw, want string }{
		{`"callback=never,failed=2"`, "callback=never,failed=2"},
		{`{"callback":"late:2s","failed":3,"progress":true,"html":false,"conflict":null}`, "callback=late:2s,progress=RUNNING,failed=3"},
		{`{"http":["429:2",503],"retry_after":"1s"}`, "http=429:2,http=503:1,retry_after=1s"},
		{`{"http":502,"html":true}`, "http=502:1,html"},
		{`{"mix":["callback=never",{"http":"502","html":true}],"rate":0.25}`, "mix=callback=never/http=502:1+html,rate=0.25"},
		{`{}`, ""},
	}
	for _, tt := range tests {
		var got simulator.Faults
		if err := json.Unmarshal([]byte(tt.raw), &got); err != nil || got.String() != tt.want {
			t.Errorf("%s = %q, %v, want %q", tt.raw, got, err, tt.want)
		}
	}
	for _, raw := range []string{`7`, `[]`, `{"nope":1}`, `{"callback":{"a":1}}`, `{"http":[["429"]]}`, `{"mix":["mix"]}`, `{"mix":[""]}`, `{"mix":[1]}`} {
		var got simulator.Faults
		if err := json.Unmarshal([]byte(raw), &got); err == nil {
			t.Errorf("%s = %q, want an error", raw, got)
		}
	}
}

func TestEveryFaultIsADial(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range simulator.EveryFault() {
		text := f.String()
		if text == "" || seen[text] {
			t.Errorf("fault %q is empty or twice in the list", text)
		}
		seen[text] = true
	}
	if len(seen) < 30 {
		t.Errorf("%d faults, want all of them", len(seen))
	}
}

// Two platforms with one seed draw the same; another seed draws otherwise.
func TestMixIsReproducible(t *testing.T) {
	draws := func(seed uint64) (all []string) {
		r := start(t, simulator.Options{Seed: seed, Faults: simulator.Faults{
			Mix:  []simulator.Faults{{Keys: "v1"}, {Failed: 1}, {Status: "WARNING"}, {ID: "big"}},
			Rate: 0.8, Callback: simulator.Callback{Mode: "never"}}})
		for range 40 {
			body, kind := form("file", "rows.csv", goodRows)
			if a := r.call("POST", "/bulk/contact", body, kind); a.code != 200 {
				t.Fatalf("POST: %d %s", a.code, a.body)
			}
		}
		for _, j := range r.Jobs() {
			if !strings.Contains(j.Faults.String(), "callback=never") {
				t.Errorf("draw %q is not laid over the default", j.Faults)
			}
			all = append(all, j.Faults.String())
		}
		return all
	}
	first, again, other := draws(7), draws(7), draws(8)
	if !reflect.DeepEqual(first, again) || reflect.DeepEqual(first, other) {
		t.Errorf("seed 7 drew\n%v\nand\n%v\nseed 8\n%v", first, again, other)
	}
	distinct := map[string]int{}
	for _, f := range first {
		distinct[f]++
	}
	if len(distinct) != 5 {
		t.Errorf("drew %v, want all four and none", distinct)
	}
}

func TestJobDialsLieOverTheDefault(t *testing.T) {
	base := simulator.Faults{Keys: "v3", Failed: 1, HTTP: []simulator.Answer{{Code: 503, Times: 1}}}
	r := start(t, simulator.Options{Faults: base})
	if a := r.get("/objects"); a.code != 503 {
		t.Fatalf("first request: %d, want the default's 503", a.code)
	}
	r.submit("failed=2,http=502:1")
	job := r.Jobs()[0]
	if got, want := job.Faults.String(), "keys=v3,failed=2,http=502:1"; got != want || job.Failed != 2 {
		t.Errorf("job has faults %q and %d failed, want %q and 2", got, job.Failed, want)
	}
}

func FuzzParseFaults(f *testing.F) {
	for _, seed := range []string{"", "callback=late:2h,keys=v3,http=429:2,html", "mix=post=429+html/keys=v3,rate=0.5", "mix",
		"failed=all,progress,conflict=ABORTED", "=,=", "mix=/", "http=drop:all,slow=+1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := simulator.ParseFaults(text)
		if err != nil {
			return
		}
		again, err := simulator.ParseFaults(got.String())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q was written as %q and read back as %+v, %v", text, got, again, err)
		}
		raw, err := json.Marshal(got)
		var read simulator.Faults
		if err != nil || json.Unmarshal(raw, &read) != nil || !reflect.DeepEqual(read, got) {
			t.Errorf("%q became %s in JSON and %+v again (%v)", text, raw, read, err)
		}
	})
}
