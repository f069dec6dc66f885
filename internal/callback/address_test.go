package callback_test

import (
	"testing"

	"receiver/internal/callback"
)

func TestAnAddressGivesItsGrant(t *testing.T) {
	const base = "https://receiver.example.com/in"
	tokens := newTokens(t, "0123456789abcdef")
	if got, want := callback.Address(base, nil, grant), base+"/callbacks/crm"; got != want {
		t.Errorf("Address without tokens = %q, want %q", got, want)
	}
	address := callback.Address(base, tokens, grant)
	if got, ours := tokens.ReadAddress("crm", address); !ours || got != grant || !callback.IsAddress(address, base, "crm") {
		t.Errorf("ReadAddress(%q) = %+v, %v, want the grant", address, got, ours)
	}
	for _, other := range []string{base + "/callbacks/crm", base + "/callbacks/erp/" + tokens.Make(grant), address + "x", ""} {
		if got, ours := tokens.ReadAddress("crm", other); ours {
			t.Errorf("ReadAddress(%q) = %+v, want none", other, got)
		}
	}
}

func TestIsAddress(t *testing.T) {
	const base = "https://receiver.example.com/in"
	for _, tt := range []struct {
		address, base string
		want          bool
	}{
		{base + "/callbacks/crm", base, true},
		{base + "/callbacks/crm/token", base, true},
		{base + "/callbacks/crm?x=1", base, true},
		{base + "/callbacks/crm2", base, false},
		{base + "/callbacks/erp", base, false},
		{"https://other.example.com/in/callbacks/crm", base, false},
		{"https://other.example.com/in/callbacks/crm", "", true},
		{"https://other.example.com/callbacks/crm/token", "", true},
		{"https://other.example.com/callbacks/crm2", "", false},
		{"https://other.example.com/x?y=/callbacks/crm", "", false},
		{"", base, false},
		{"", "", false},
		{"%", "", false},
	} {
		if got := callback.IsAddress(tt.address, tt.base, "crm"); got != tt.want {
			t.Errorf("IsAddress(%q, %q) = %v, want %v", tt.address, tt.base, got, tt.want)
		}
	}
}
