package submit_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"receiver/internal/submit"
)

const deliveriesPath = "/elements/api-v2/notifications/subscriptions/deliveries"

func TestDeliveries(t *testing.T) {
	for _, tc := range []struct{ name, body, want, sent, url string }{
		{"as the simulator's",
			`[{"id":"7","channel":"webhook","status":"queued","jobId":42114492,"url":"` + callback + `","attempts":6,
			"createdDate":1542829826619,"lastAttemptDate":1542829827804,"body":"{\"id\": 42114492}"}]`,
			`[{"id":"7","status":"queued","job":"42114492","attempts":6,"created":"2018-11-21T19:50:26.619Z","last_attempt":"2018-11-21T19:50:27.804Z"}]`,
			`{"id": 42114492}`, callback},
		{"the job named by the body only", `[{"id":8,"status":"queued","payload":"{\"job_id\":\"a.b\"}"}]`,
			`[{"id":"8","status":"queued","job":"a.b"}]`, `{"job_id":"a.b"}`, ""},
		{"a body that is JSON, not text", `[{"id":8,"status":"retry","message":{"id": 9007199254740993}}]`,
			`[{"id":"8","status":"retry","job":"9007199254740993"}]`, `{"id": 9007199254740993}`, ""},
		{"neither job nor body", `[{"id":"9"}]`, `[{"id":"9","status":""}]`, "", ""},
		{"none", `[]`, `[]`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked http.Request
			c, _ := serve(t, answering(200, tc.body, &asked))
			got := []submit.Delivery{}
			for d, err := range c.Deliveries(t.Context(), submit.Queued, 0) {
				if err != nil {
					t.Fatalf("Deliveries() = %v", err)
				}
				got = append(got, d)
			}
			if asJSON(t, got) != tc.want {
				t.Errorf("Deliveries() = %s\nwant %s", asJSON(t, got), tc.want)
			}
			if len(got) == 1 && (string(got[0].Body) != tc.sent || got[0].URL != tc.url) {
				t.Errorf("Body, URL = %s, %s\nwant %s, %s", got[0].Body, got[0].URL, tc.sent, tc.url)
			}
			mustHide(t, "Deliveries() as JSON", asJSON(t, got))
			if asked.Method != "GET" || asked.URL.Path != deliveriesPath || asked.URL.Query().Get("where") != submit.Queued {
				t.Errorf("asked %s %s, want GET %s with the where clause", asked.Method, asked.URL, deliveriesPath)
			}
		})
	}
}

func TestDeliveriesArePagedAndBounded(t *testing.T) {
	asked := 0
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if asked < 3 {
			w.Header().Set("elements-next-page-token", fmt.Sprint(asked))
		}
		_, _ = fmt.Fprintf(w, `[{"id":"%da"},{"id":"%db"}]`, asked, asked)
	})
	for _, tc := range []struct{ limit, want, pages int }{{0, 6, 3}, {3, 3, 2}, {2, 2, 1}, {100, 6, 3}} {
		asked = 0
		got := 0
		for _, err := range c.Deliveries(t.Context(), submit.Queued, tc.limit) {
			if err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got != tc.want || asked != tc.pages {
			t.Errorf("Deliveries(limit %d) gave %d from %d pages, want %d from %d", tc.limit, got, asked, tc.want, tc.pages)
		}
	}
}

func TestDeliveriesThatCannotBeRead(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		code       int
	}{
		{"an object", `{"id":"7"}`, 200},
		{"a row that is none", `["` + callback + `"]`, 200},
		{"words", `soon`, 200},
		{"a refusal", `{"message":"no ` + callback + `"}`, 403},
	} {
		c, _ := serve(t, answering(tc.code, tc.body, nil))
		var err error
		for _, err = range c.Deliveries(t.Context(), submit.Queued, 0) {
			break
		}
		if err == nil {
			t.Errorf("%s: Deliveries() gave no error", tc.name)
			continue
		}
		if tc.code == 200 {
			mustHide(t, tc.name, err.Error())
		} else if !errors.Is(err, submit.ErrUnauthorized) {
			t.Errorf("%s: Deliveries() = %v, want ErrUnauthorized", tc.name, err)
		}
	}
}

func TestRelease(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		want       int
	}{
		{"says which", `[{"id":"1"},{"id":"2"}]`, 2},
		{"says nothing", ``, 0},
		{"says something else", `{"released":2}`, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked http.Request
			c, _ := serve(t, answering(200, tc.body, &asked))
			got, err := c.Release(t.Context(), submit.Queued)
			if err != nil || len(got) != tc.want {
				t.Errorf("Release() = %v, %v, want %d", got, err, tc.want)
			}
			if asked.Method != "PUT" || asked.URL.Path != deliveriesPath || asked.URL.Query().Get("where") != submit.Queued {
				t.Errorf("asked %s %s, want PUT %s with the where clause", asked.Method, asked.URL, deliveriesPath)
			}
		})
	}
}

// A release is repeated when it broke: what is not queued any more is left alone.
func TestReleaseIsRepeated(t *testing.T) {
	asked := 0
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked == 1 {
			hangUp(t, w)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	})
	if _, err := c.Release(t.Context(), submit.Queued); err != nil || asked != 2 {
		t.Errorf("Release() = %v after %d requests, want nil after 2", err, asked)
	}
	c, _ = serve(t, answering(401, ``, nil))
	if _, err := c.Release(t.Context(), submit.Queued); !errors.Is(err, submit.ErrUnauthorized) {
		t.Errorf("Release() = %v, want ErrUnauthorized", err)
	}
}

// For any answer of the platform, a listing of deliveries fails or its rows are complete.
func FuzzDeliveries(f *testing.F) {
	for _, seed := range []string{
		`[{"id":"7","status":"queued","jobId":1e3,"url":"https://x/tokentokentokentoken42","body":"{\"id\":1}"}]`,
		`[{"message":{"id":[]}},{"payload":"}"}]`, `[null]`, `null`, ` `, `{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for d, err := range cannedClient(t, body).Deliveries(t.Context(), submit.Queued, 0) {
			if err != nil {
				return
			}
			if len(d.Raw) == 0 {
				t.Errorf("Deliveries() of %s has a row without its text", body)
			}
			asJSON(t, d)
		}
	})
}
