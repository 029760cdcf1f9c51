// Package phi finds and masks personal health information in text: the identifiers
// of 45 CFR 164.514(b)(2), the "Safe Harbor" list, as far as text can hold them. It
// imports nothing of ours.
//
// What has a form or a checksum is found by it, names and places by word lists
// (lists/README.md) and by the words around them. It reads English, and the numbers,
// dates and addresses of some other countries. It misses some and it finds some that are
// none: `millrace phi eval` measures both.
//
// Time is linear in the length of the text, whatever it holds: one pass makes
// tokens, and each rule looks at a bounded number of them around a trigger.
package phi

import "unicode/utf8"

// Type is a category of identifier. It is also what a placeholder is called.
type Type string

// The categories. Full-face photographs and biometric identifiers, which complete
// the list of Safe Harbor, are not text.
const (
	Name          Type = "NAME"
	Location      Type = "LOCATION"       // smaller than a state: streets, towns, ZIP codes, hospitals; an address is one, with its state
	Date          Type = "DATE"           // more than a year
	Age           Type = "AGE"            // over 89
	Phone         Type = "PHONE"          //
	Fax           Type = "FAX"            //
	Email         Type = "EMAIL"          //
	SSN           Type = "SSN"            // US social security number, and the like of other countries
	MedicalRecord Type = "MEDICAL_RECORD" //
	HealthPlan    Type = "HEALTH_PLAN"    // insurance, member and policy numbers
	Account       Type = "ACCOUNT"        // bank accounts and payment cards too
	License       Type = "LICENSE"        // certificates too
	Vehicle       Type = "VEHICLE"        // VINs and plates
	Device        Type = "DEVICE"         // serial numbers and hardware addresses
	URL           Type = "URL"            //
	IP            Type = "IP"             //
	ID            Type = "ID"             // any other unique number or code
)

// Types lists every type.
func Types() []Type {
	return []Type{
		Name, Location, Date, Age, Phone, Fax, Email, SSN, MedicalRecord, HealthPlan, Account, License, Vehicle, Device,
		URL, IP, ID,
	}
}

// Finding is one identifier in a text. Start and End are offsets in Unicode code
// points, the end excluded; a byte that is not UTF-8 counts as one.
type Finding struct {
	Type  Type `json:"type"`
	Start int  `json:"start"`
	End   int  `json:"end"`
}

// Find returns the findings of a text in their order. They never overlap. A
// placeholder that stands in the text, such as [NAME_1], is none.
func Find(text string) []Finding {
	s := borrow()
	defer s.release()
	return findings(text, s.scan(text, nil))
}

// findings turns spans of bytes into findings.
func findings(text string, spans []span) []Finding {
	if len(spans) == 0 {
		return nil
	}
	found := make([]Finding, 0, len(spans))
	at, points := 0, 0
	for _, sp := range spans {
		start := points + utf8.RuneCountInString(text[at:sp.start])
		points = start + utf8.RuneCountInString(text[sp.start:sp.end])
		at = sp.end
		found = append(found, Finding{Type: sp.kind.typ(), Start: start, End: points})
	}
	return found
}
