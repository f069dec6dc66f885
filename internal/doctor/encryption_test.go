package doctor_test

import (
	"testing"

	"receiver/internal/doctor"
)

func TestEncryption(t *testing.T) {
	hold(t, []row{
		{"one key of two can be read", doctor.Encryption{Recipients: 2, Identity: true, Readable: true}.Findings(), doctor.OK, "encrypted to 2 keys, and can be decrypted here", ""},
		{"one key only", doctor.Encryption{Recipients: 1, Identity: true, Readable: true}.Findings(), doctor.Note, "to only one key", "encryption.recipients"},
		{"nobody here can read", doctor.Encryption{Recipients: 2}.Findings(), doctor.Note, "cannot be decrypted here", ""},
		{"nor what is put aside", doctor.Encryption{Recipients: 2, Aside: []string{"crm"}}.Findings(), doctor.Warning, "source crm quarantines callbacks", "encryption.identity"},
		{"put aside and readable", doctor.Encryption{Recipients: 2, Identity: true, Readable: true, Aside: []string{"crm"}}.Findings(), doctor.OK, "can be decrypted here", ""},
		{"to others", doctor.Encryption{Recipients: 2, Identity: true}.Findings(), doctor.Warning, "the identity belongs to none of the recipients", "encryption.identity"},
		{"an identity without recipients", doctor.Encryption{Identity: true}.Findings(), doctor.Note, "stored without encryption", "encryption.recipients"},
	})
	if found := (doctor.Encryption{}).Findings(); len(found) > 0 {
		t.Errorf("without encryption: %+v, want nothing to say", found)
	}
}
