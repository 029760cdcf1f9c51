package conversation

import (
	"fmt"
	"iter"
)

// FreeTexts tells the texts of a request in which people write what they like, by
// the names of their fields. Messages that are left out are not among them.
func (r Request) FreeTexts() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i, m := range r.Messages {
			if m.problem == "" && !yield(fmt.Sprintf("messages[%d].content", i), m.Content) {
				return
			}
		}
		if r.Feedback != nil {
			yield("feedback.text", r.Feedback.Text)
		}
	}
}
