package payment

import (
	"fmt"
	"iter"
	"maps"
	"slices"
)

// FreeTexts tells the texts of a request in which people write what they like, by
// the names of their fields. The customer's address is meant to be personal. A key
// of metadata is the client's to choose and so not named.
func (r Request) FreeTexts() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if !yield("description", r.Description) {
			return
		}
		for i, item := range r.Items {
			if !yield(fmt.Sprintf("items[%d].name", i), item.Name) {
				return
			}
		}
		for _, key := range slices.Sorted(maps.Keys(r.Metadata)) {
			if !yield("metadata", key) || !yield("metadata.*", r.Metadata[key]) {
				return
			}
		}
	}
}
