package records

import (
	"errors"
	"net/url"
	"receiver/internal/web"
	"strings"
	"testing"
	"time"
)

func TestQuestionsForPages(t *testing.T) {
	now := time.Now()
	for _, row := range []struct{ query, wrong string }{
		{"", ""},
		{"since=1h&until=1m&source=a&source=b&verdict=refused&reason=mismatch&address=192.0.2.0/24&key=k&job=7&body=ae&actions=true&limit=1000&after=JOBS-1.ATTEMPTS-2", ""},
		{"verdct=refused", `unknown parameter "verdct"`},
		{"limit=0", "limit is not 1 to 1000"},
		{"limit=1001", "limit is not 1 to 1000"},
		{"limit=x", "invalid syntax"},
		{"actions=perhaps", "invalid syntax"},
		{"since=yesterday", "neither a duration"},
		{"address=here", "neither an address"},
		{"after=JOBS", "is not the value of next of another page"},
		{"after=WATCH-1", "is not the value of next of another page"},
	} {
		values, err := url.ParseQuery(row.query)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parsePageQuery(values, now)
		if (err == nil) != (row.wrong == "") || err != nil && !strings.Contains(err.Error(), row.wrong) {
			t.Errorf("%q: %v, want %q", row.query, err, row.wrong)
		}
	}
	_, err := (&API{}).Callbacks(t.Context(), url.Values{"x": {"y"}})
	if !errors.Is(err, web.ErrQuery) {
		t.Errorf("a question that is none = %v, want ErrQuery", err)
	}
}
