// Package screen tells which personal data texts hold, and refuses texts that hold
// any. It fails closed: when a text cannot be looked at, it does not pass.
package screen

import (
	"fmt"
	"iter"
	"runtime/debug"
	"slices"

	"millrace/internal/fault"
	"millrace/internal/phi"
)

// MaxFindings is how many findings a refusal lists; it counts all of them.
const MaxFindings = 100

// Scanned is what Scan says of a text.
type Scanned struct {
	// Findings are in their order, with offsets in Unicode code points, the end excluded.
	Findings []phi.Finding `json:"findings" nullable:"false" doc:"What identifies a person, in order."`
	// Categories counts them.
	Categories counts `json:"categories" doc:"How many there are of each category." example:"{\"NAME\":2}"`
	// Masked has a placeholder such as [NAME_1] in place of each.
	Masked string `json:"masked" doc:"The text with placeholders in their place; what is the same has the same." example:"I am [NAME_1]."`
}

// counts counts findings by category.
type counts map[phi.Type]int

// Scan finds personal data in a text, and masks it as a conversation's is. The fault
// is MASKING_FAILED.
func Scan(text string) (Scanned, error) {
	var masker phi.Masker
	return scan(text, masker.Mask)
}

func scan(text string, mask func(string) (string, []phi.Finding)) (result Scanned, err error) {
	defer func() {
		if value := recover(); value != nil {
			result, err = Scanned{}, failed(value)
		}
	}()
	result = Scanned{Findings: []phi.Finding{}, Categories: make(counts)}
	masked, found := mask(text)
	result.Masked = masked
	result.Findings = append(result.Findings, found...)
	for _, f := range found {
		result.Categories[f.Type]++
	}
	return result, nil
}

// Finding is one identifier in a field of a request. Its value is not told.
type Finding struct {
	Field string   `json:"field"`
	Type  phi.Type `json:"type"`
	Start int      `json:"start"`
	End   int      `json:"end"`
}

// Refuse returns nil when none of the texts, which go by the names of their fields,
// holds personal data. The fault is PHI_DETECTED, with where it is and of which
// category in its details, or MASKING_FAILED. With types, others do not count.
func Refuse(texts iter.Seq2[string, string], types ...phi.Type) error {
	return refuse(texts, types, phi.Find)
}

func refuse(texts iter.Seq2[string, string], types []phi.Type, find func(string) []phi.Finding) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = failed(value)
		}
	}()
	var findings []Finding
	categories := make(counts)
	for field, text := range texts {
		for _, f := range find(text) {
			if len(types) > 0 && !slices.Contains(types, f.Type) {
				continue
			}
			categories[f.Type]++
			if len(findings) < MaxFindings {
				findings = append(findings, Finding{Field: field, Type: f.Type, Start: f.Start, End: f.End})
			}
		}
	}
	if len(findings) == 0 {
		return nil
	}
	return fault.New(fault.PHIDetected, "The texts of the request hold personal data, which this tenant does not take; nothing was stored. Take it out and send the request again.").
		With("findings", findings).With("categories", categories)
}

// failed is what becomes of a panic: a MASKING_FAILED fault. The value may quote the
// text that it failed on.
func failed(value any) *fault.Fault {
	return fault.New(fault.MaskingFailed, "The text could not be searched for personal data, so nothing was stored; try again, and quote the request id if it persists.").
		Because(fmt.Errorf("screen: panic with a value of type %T\n%s", value, debug.Stack()))
}
