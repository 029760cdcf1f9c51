package jobs

import (
	"iter"

	"millrace/internal/screen"
)

// texted is an input with texts in which people write what they like.
type texted interface {
	// FreeTexts tells these texts by the names of their fields.
	FreeTexts() iter.Seq2[string, string]
}

// refusePHI returns a PHI_DETECTED fault when a free text of an input, as it came,
// holds personal data.
func refusePHI(input any) error {
	if in, ok := input.(texted); ok {
		return screen.Refuse(in.FreeTexts())
	}
	return nil
}
