package booking

import "iter"

// FreeTexts tells the texts of a request in which people write what they like, by
// the names of their fields. Name and e-mail address are meant to be personal.
func (r Request) FreeTexts() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { yield("notes", r.Notes) }
}
