package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

func TestSign(t *testing.T) {
	tests := []struct{ name, key, body, want string }{
		// The vector printed by the platform's Hash Verification page. OC: 7.1
		{"published", key, "<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>", "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="},
		{"line feed counts", key, "<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>\n", "sha256=YPOUrgFptfbT6xD0JAKBGAIFKjzc8LzFHdG097iMnmo="},
		{"job", "abcd1234efgh5678", `{"id":"1234","status":"COMPLETED"}`, "sha256=MmyRj8I7QypXhzQgRdAYuwXLYxsumFcy9dK7GCDrBVY="},
		{"empty", "abcd1234efgh5678", "", "sha256=qL+gkxkVLK96h2C2aojvxvjFh+j1Ubl1kiKUbp9uuZ4="},
	}
	for _, tt := range tests {
		if got := simulator.Sign(tt.key, []byte(tt.body)); got != tt.want {
			t.Errorf("%s: Sign = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestCallbackIsTheSignedStatus(t *testing.T) {
	r := start(t, simulator.Options{BasicUser: "platform", BasicPassword: "p4ss"})
	id := r.submit("")
	r.quiet()
	got := r.hook.all()
	if len(got) != 1 || !got[0].signedWith(key) {
		t.Fatalf("got %d callbacks, want 1 with the right signature: %+v", len(got), got)
	}
	body := number(t, got[0].body)
	for name, want := range map[string]string{"id": id, "status": "COMPLETED", "recordsCount": "3",
		"recordsFailedCount": "0", "object_name": "contact", "job_direction": "UPLOAD", "fileFormat": "csv"} {
		if fmt.Sprint(body[name]) != want {
			t.Errorf("callback has %s = %v, want %s", name, body[name], want)
		}
	}
	if user, password, _ := (&http.Request{Header: got[0].header}).BasicAuth(); user != "platform" || password != "p4ss" {
		t.Errorf("basic auth = %s:%s", user, password)
	}
	if got[0].header.Get("Elements-Webhook-Id") == "" || !strings.Contains(got[0].header.Get("User-Agent"), "TEST") {
		t.Errorf("headers = %v, want Elements-Webhook-Id and a TEST User-Agent", got[0].header)
	}
	sent := r.Deliveries()
	if len(sent) != 1 || sent[0].Job != id || sent[0].Code != 200 || sent[0].Attempt != 1 || string(sent[0].Body) != string(got[0].body) {
		t.Errorf("Deliveries() = %+v", sent)
	}
}

func TestCallbackDials(t *testing.T) {
	type seen struct{ statuses, signatures string }
	tests := []struct {
		dials string
		want  seen
	}{
		{"", seen{"COMPLETED", "right"}},
		{"callback=once", seen{"COMPLETED", "right"}},
		{"callback=never", seen{}},
		{"callback=late:40s", seen{"COMPLETED", "right"}},
		{"callback=twice", seen{"COMPLETED COMPLETED", "right right"}},
		{"callback=times:4", seen{"COMPLETED COMPLETED COMPLETED COMPLETED", "right right right right"}},
		{"callback=early", seen{"COMPLETED", "right"}},
		{"status=v3", seen{"COMPLETED", "right"}},
		{"status=WARNING,keys=v3", seen{"WARNING", "right"}},
		{"status=Half Done", seen{"Half Done", "right"}},
		{"progress", seen{"RUNNING COMPLETED", "right right"}},
		{"progress=SIMMERING,callback=early", seen{"SIMMERING COMPLETED", "right right"}},
		{"conflict", seen{"COMPLETED ABORTED", "right right"}},
		{"conflict=CANCELLED,status=ABORTED", seen{"ABORTED CANCELLED", "right right"}},
		{"conflict,status=ABORTED", seen{"ABORTED COMPLETED", "right right"}},
		{"signature=none", seen{"COMPLETED", "missing"}},
		{"signature=wrong_key", seen{"COMPLETED", "wrong"}},
		{"signature=forged", seen{"ABORTED", "wrong"}},
		{"progress=none,conflict=none,signature=right", seen{"COMPLETED", "right"}},
	}
	for _, tt := range tests {
		t.Run(tt.dials, func(t *testing.T) {
			r := start(t, simulator.Options{})
			r.submit(tt.dials)
			r.quiet()
			var statuses, signatures []string
			for _, c := range r.hook.all() {
				statuses = append(statuses, fmt.Sprint(c.status(t)))
				signatures = append(signatures, verdict(c))
			}
			got := seen{strings.Join(statuses, " "), strings.Join(signatures, " ")}
			if got != tt.want {
				t.Errorf("callbacks = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func verdict(c callback) string {
	switch {
	case c.header.Values("Elements-Webhook-Signature") == nil:
		return "missing"
	case c.signedWith(key):
		return "right"
	}
	return "wrong"
}

func TestTimesSendsAtOnce(t *testing.T) {
	r := start(t, simulator.Options{})
	const n = 5
	arrived, all := make(chan struct{}, n), make(chan struct{})
	r.hook.answers(func(int, callback) int {
		if arrived <- struct{}{}; len(arrived) == n {
			close(all)
		}
		select {
		case <-all: // only when all five are here together
			return 200
		case <-t.Context().Done():
			return 500
		}
	})
	r.submit("callback=times:5")
	r.quiet()
	got := r.hook.all()
	for _, c := range got {
		if string(c.body) != string(got[0].body) {
			t.Errorf("repeated callback differs: %s and %s", c.body, got[0].body)
		}
	}
}

// Callbacks sent in order stay in order: the second callback waits for the first one's answer.
func TestProgressAndConflictKeepTheirOrder(t *testing.T) {
	for _, dials := range []string{"progress", "conflict"} {
		r := start(t, simulator.Options{})
		second := make(chan struct{})
		r.hook.answers(func(n int, _ callback) int {
			if n == 2 {
				close(second)
				return 200
			}
			select {
			case <-second:
				t.Errorf("%s: the second callback came before the first was answered", dials)
			case <-time.After(50 * time.Millisecond):
			}
			return 200
		})
		r.submit(dials)
		r.quiet()
	}
}

func TestEarlyComesBeforeThePostIsAnswered(t *testing.T) {
	r := start(t, simulator.Options{JobDuration: time.Hour, TimeScale: 1})
	r.submit("callback=early")
	if got := len(r.hook.all()); got != 1 {
		t.Errorf("after the POST %d callbacks had come, want 1", got)
	}
}

func TestLateComesAfterTheEnd(t *testing.T) {
	r := start(t, simulator.Options{})
	r.submit("callback=late:200s")
	r.quiet()
	job, sent := r.Jobs()[0], r.Deliveries()[0]
	if late := sent.At.Sub(job.Finished); late < 200*time.Millisecond {
		t.Errorf("callback came %v after the end, want 200ms at least", late)
	}
}

func TestSenderTimeoutIsAFailedAttempt(t *testing.T) {
	r := start(t, simulator.Options{})
	r.hook.answers(func(n int, _ callback) int {
		if n == 1 {
			r.until("the sender giving up", func(s simulator.Stats) bool { return s.Attempts > 0 })
		}
		return 200
	})
	r.submit("callback_timeout=50ms")
	r.quiet()
	sent := r.Deliveries()
	if len(sent) != 2 || sent[0].Err == nil || sent[0].Code != 0 || sent[1].Code != 200 {
		t.Errorf("Deliveries() = %+v, want one without an answer and one with 200", sent)
	}
}

func TestSignatureFaultOfFirstAttemptsOnly(t *testing.T) {
	for _, fault := range []string{"wrong_key", "forged", "none"} {
		r := start(t, simulator.Options{})
		r.hook.answers(func(_ int, c callback) int {
			if c.signedWith(key) {
				return 200
			}
			return 401
		})
		r.submit("signature=" + fault + ":2")
		r.quiet()
		var codes []int
		for _, d := range r.Deliveries() {
			codes = append(codes, d.Code)
		}
		if !slices.Equal(codes, []int{401, 401, 200}) {
			t.Errorf("%s: answers = %v, want 401 401 200", fault, codes)
		}
		if got := r.hook.all()[2].status(t); got != "COMPLETED" {
			t.Errorf("%s: the right attempt says %v, want COMPLETED", fault, got)
		}
	}
}

func TestNoKeyNoHeader(t *testing.T) {
	r := start(t, simulator.Options{})
	r.SetSignatureKey("")
	r.submit("")
	r.quiet()
	if got := verdict(r.hook.all()[0]); got != "missing" {
		t.Errorf("signature is %s, want missing", got)
	}
}

func TestKeyRotationReachesRetries(t *testing.T) {
	r := start(t, simulator.Options{})
	r.hook.answers(func(_ int, c callback) int {
		if c.signedWith("new key") {
			return 200
		}
		r.SetSignatureKey("new key")
		return 401
	})
	r.submit("")
	r.quiet()
	if sent := r.Deliveries(); len(sent) != 2 || sent[1].Code != 200 {
		t.Errorf("Deliveries() = %+v, want the second signed with the new key", sent)
	}
}

// The free choices must all occur, or readers come to rely on one of them.
func TestShapesVary(t *testing.T) {
	r := start(t, simulator.Options{})
	for range 60 {
		r.submit("")
	}
	r.quiet()
	seen := map[string]bool{}
	for _, c := range r.hook.all() {
		body := number(t, c.body)
		seen[fmt.Sprintf("id is %T", body["id"])] = true
		for _, stranger := range []string{"simulated", "links", "x-ordinal"} {
			if _, ok := body[stranger]; ok {
				seen[stranger] = true
			}
		}
		seen[fmt.Sprintf("chunked %v", c.length < 0)] = true
		seen["content type "+c.header.Get("Content-Type")] = true
		seen[fmt.Sprintf("starts %.3q", c.body)] = true
		for _, spot := range []string{"callback-payload", "callbackPayload", "metadata"} {
			if value, ok := body[spot]; ok {
				seen[spot] = true
				if raw := fmt.Sprint(value); !strings.Contains(raw, "12345678901234567890") {
					t.Errorf("payload in %s is %s", spot, raw)
				}
			}
		}
	}
	for _, want := range []string{"simulated", "links", "x-ordinal", "chunked true", "chunked false", "id is string", "id is json.Number", "callback-payload", "callbackPayload", "metadata",
		"content type ", "content type text/plain", "content type application/json", `starts "{\n "`, `starts "{\n\t"`} {
		if !seen[want] {
			t.Errorf("never seen: %s, of %v", want, seen)
		}
	}
}

func TestIDDials(t *testing.T) {
	for dial, check := range map[string]func(json.RawMessage) bool{
		"string": func(raw json.RawMessage) bool { return raw[0] == '"' },
		"number": func(raw json.RawMessage) bool { return raw[0] != '"' },
		"big":    func(raw json.RawMessage) bool { return len(raw) >= 16 && raw[0] != '"' },
	} {
		r := start(t, simulator.Options{})
		id := r.submit("id=" + dial)
		r.quiet()
		var body map[string]json.RawMessage
		if err := json.Unmarshal(r.hook.all()[0].body, &body); err != nil || !check(body["id"]) {
			t.Errorf("id=%s: callback id is %s (%v)", dial, body["id"], err)
		}
		if a := r.get("/bulk/" + id + "/status"); a.code != 200 {
			t.Errorf("id=%s: status of %s answered %d", dial, id, a.code)
		}
		if f := new(float64); dial == "big" && (json.Unmarshal(body["id"], f) != nil || fmt.Sprintf("%.0f", *f) == id) {
			t.Errorf("id %s survives a float64", id)
		}
	}
}

func TestNamesOfTheThirdGeneration(t *testing.T) {
	r := start(t, simulator.Options{Faults: simulator.Faults{Keys: "v3"}})
	r.submit("status=ERROR,failed=1")
	r.quiet()
	body := number(t, r.hook.all()[0].body)
	for name, want := range map[string]string{"jobStatus": "ERROR", "recordCount": "3", "errorCount": "1", "objectName": "contact"} {
		if fmt.Sprint(body[name]) != want {
			t.Errorf("%s = %v, want %s", name, body[name], want)
		}
	}
	for _, old := range []string{"status", "recordsCount", "error"} {
		if _, ok := body[old]; ok {
			t.Errorf("callback has %s beside the names of v3", old)
		}
	}
}

func TestErrorOnlyOnFailure(t *testing.T) {
	for status, want := range map[string]bool{"COMPLETED": false, "WARNING": false, "ABORTED": true, "ERROR": true} {
		r := start(t, simulator.Options{})
		r.submit("status=" + status)
		r.quiet()
		if _, got := number(t, r.hook.all()[0].body)["error"]; got != want {
			t.Errorf("%s: error present = %v, want %v", status, got, want)
		}
	}
}
