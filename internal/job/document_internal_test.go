package job

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"testing"
)

// FuzzCount holds what is taken for a number of rows against exact arithmetic.
func FuzzCount(f *testing.F) {
	for _, s := range []string{"3", " 3 ", "3.0", "30e-1", "+3", "-0", "007.0", "9223372036854775807", "9223372036854775808", "0x3", "1_0", "1/1", "3.", ".5", "", "+-3", "1e99", "\u0663", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted, _ := json.Marshal(s)
		values := []string{string(quoted)}
		if json.Valid([]byte(s)) && s == strings.TrimSpace(s) && s[0] != '"' {
			values = append(values, s)
		}
		for _, value := range values {
			n, ok := asCount(value)
			if !ok {
				continue
			}
			exact, valid := new(big.Rat).SetString(strings.TrimPrefix(strings.TrimSpace(s), "+"))
			if n < 0 || !valid && strings.Trim(strings.TrimSpace(s), "+0123456789") != "" || valid && exact.Cmp(new(big.Rat).SetInt64(n)) != 0 {
				t.Errorf("asCount(%s) = %d, and that is %v", value, n, exact)
			}
		}
	})
}

// FuzzPlainFields holds the short way of reading a document against the long one: what it
// takes is JSON, and says the same.
func FuzzPlainFields(f *testing.F) {
	for _, body := range []string{
		`{"id":"1","status":"COMPLETED","recordsCount":2,"a":true,"b":false,"c":null,"d":0}`, " {\t\"id\" : 1 ,\r\n\"b\":\"\" } ", `{"":""}`,
		`{"id":01}`, `{"id":1.0}`, `{"id":1e3}`, `{"id":-1}`, `{"id":00}`, `{"id":}`, `{"id":"1",}`, `{"id":"1"}}`, `{"id":"1"`, `{"id"`, `{,}`, `{}`, `{`, ``,
		`{"id":"1","id":"2"}`, `{"i\u0064":"1"}`, `{"id":"1\"}`, `{"id":"é"}`, "{\"id\":\"\x7f\"}", "{\"id\":\"\n\"}", `{"id":nulll}`, `{"id":tru}`, `["a"]`, `{"a":{}}`,
		`{"id":"1","status":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":" 3.0 "}`, "\ufeff{\"id\":\"1\"}", `{"errorCount":-1}`, `{"errorCount":3e0}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1,"m":1,"n":1,"o":1,"p":1,"q":1}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := plainFields(body, nil)
		if !ok {
			return
		}
		if !json.Valid([]byte(body)) {
			t.Fatalf("plainFields(%q) = %q, and that is no JSON", body, got)
		}
		want, err := split(strings.TrimSpace(body), nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("plainFields(%q) = %q, want %q, %v", body, got, want, err)
		}
	})
}

// Else the long way would hide that the short one takes nothing.
func TestACallbackIsPlain(t *testing.T) {
	const notification = `{"id":"42114492","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,` +
		`"instanceId":425904,"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv"}`
	if f, ok := plainFields(notification, nil); !ok || len(f) != 8 {
		t.Errorf("plainFields = %q, %t, want its 8 members", f, ok)
	}
}
