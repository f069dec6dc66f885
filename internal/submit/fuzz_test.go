package submit_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"strings"
	"testing"
	"testing/iotest"

	"receiver/internal/submit"
)

// For any answer of the platform, a status is an error or complete: it has an id and a status, can
// be written as JSON, and its id is exactly the number that was sent.
func FuzzStatus(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1234","status":"COMPLETE"}`,
		`{"id":4.2114492E7,"jobStatus":"CANCELED","recordCount":3,"createdDate":1542829826619}`,
		`{"id":9007199254740993,"status":"X","recordsCount":"12","bulk_start_time":"2018-05-28T10:00:00+02:00"}`,
		`{"job_id":1e400,"status":{"a":[]},"completion_time":1e20}`, `[]`, `<html>`, ``,
		"\ufeff" + `{"jobStatus":"SUCCESS","numOfRowsFailed":" 3 ","native":{"errorCount":[]}}`, `{"status":"COMPLETED","STATUS":"ERROR","errors":[{}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := cannedClient(t, body).Status(t.Context(), "77")
		if err != nil {
			return
		}
		if s.ID == "" || s.Status == "" {
			t.Errorf("Status() = %+v, want an id and a status", s)
		}
		asJSON(t, s)
		var sent struct{ ID json.Number }
		if json.Unmarshal(body, &sent) != nil || s.ID == "77" || len(sent.ID) > 40 {
			return
		}
		var exact map[string]json.RawMessage
		_ = json.Unmarshal(body, &exact)
		if string(exact["id"]) != sent.ID.String() {
			return // a string, or a key of another case
		}
		if want, ok := new(big.Rat).SetString(sent.ID.String()); ok && want.RatString() != s.ID {
			t.Errorf("id of %s = %s, want %s", body, s.ID, want.RatString())
		}
	})
}

// For any answer of the platform, a listing of errors fails or has every row of it.
func FuzzErrors(f *testing.F) {
	for _, seed := range []string{`["a",{"status":"Conflicts Found"}]`, `[null,7,[{}],{"message":""}]`, ` null `, `{"message":"m"}`, `[`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n := 0
		for row, err := range cannedClient(t, body).Errors(t.Context(), "5", 0) {
			if err != nil {
				return
			}
			if n++; !json.Valid(row.Raw) {
				t.Errorf("row %d = %q, want JSON", n, row.Raw)
			}
		}
		var rows []json.RawMessage
		if err := json.Unmarshal(body, &rows); err != nil && len(bytes.Trim(body, " \t\r\n")) != 0 || n != len(rows) {
			t.Errorf("Errors() of %q gave %d rows, want %d, %v", body, n, len(rows), err)
		}
	})
}

// For any answer of the platform, the result is lines of JSON, the same however the bytes arrive;
// and an array gives exactly its elements.
func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"{\"a\":1}\n{\"a\":2}\n", `[{"a":1}, {"a":[2, 3]}]`, "{\n\"a\": 1}", "\ufeff[]", "[1,]", "[[1]]x", "1 2", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := io.ReadAll(submit.Normalise(bytes.NewReader(in)))
		slow, slowErr := io.ReadAll(submit.Normalise(iotest.OneByteReader(bytes.NewReader(in))))
		if !bytes.Equal(got, slow) || (err == nil) != (slowErr == nil) {
			t.Errorf("Normalise(%q) = %q, %v; byte by byte %q, %v", in, got, err, slow, slowErr)
		}
		for line := range strings.Lines(string(got)) {
			if !strings.HasSuffix(line, "\n") || !json.Valid([]byte(line)) {
				t.Errorf("Normalise(%q) gave the line %q, want JSON", in, line)
			}
		}
		var elements []json.RawMessage
		if json.Unmarshal(in, &elements) != nil || elements == nil {
			return
		}
		var want bytes.Buffer
		for _, e := range elements {
			_ = json.Compact(&want, e)
			want.WriteByte('\n')
		}
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("Normalise(%q) = %q, %v, want %q", in, got, err, want.Bytes())
		}
	})
}
